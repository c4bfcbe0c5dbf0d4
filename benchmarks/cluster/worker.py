"""What a worker does with a step: the same as a run on one machine, with its inputs read from the store."""

from __future__ import annotations

import json
import os
import socket
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senm.support.errors import SenmError
from senm.support.progress import Task
from senm.support.threads import for_worker

if TYPE_CHECKING:
    from benchmarks.core.step import Step
    from benchmarks.running.runner import Runner

LIVE = "live"  # folder of the store where running steps say how far they are
EVERY = 1.0  # seconds between two words on progress


@dataclass(frozen=True)
class Job:
    """What all steps of a run share: where the store and the data sets are, and how torch is to work."""

    store: str
    data: tuple[tuple[str, str], ...] = ()  # (fingerprint, folder)
    device: str = "cpu"
    deterministic: bool = False
    threads: int = 1
    scale: str = ""
    plugins: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Answer:
    """What became of a step: made, found, failed with a sentence, short of an input, or broken by our own defect."""

    key: str
    node: str
    seconds: float = 0.0
    made: bool = False
    error: SenmError | None = None
    lacking: str = ""
    defect: str = ""
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Gone:
    """A worker ended before its step did."""

    reason: str


class _LiveTask:
    def __init__(self, path: Path, label: str, total: int | None) -> None:
        self.path, self.about = path, {"label": label, "total": total, "node": node_name(), "done": 0}
        self.last = 0.0

    def advance(self, n: int = 1, **fields: Any) -> None:
        self.about["done"] = int(self.about["done"] or 0) + n
        if time.monotonic() - self.last < EVERY:
            return
        self.last = time.monotonic()
        try:
            temporary = self.path.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(self.about))
            temporary.replace(self.path)
        except OSError:  # a word on progress is never worth a step
            return


class LiveProgress:
    """Progress of one step, left in a file that the driver reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        yield _LiveTask(self.path, label, total)

    def say(self, text: str) -> None:
        """Keep a line for the driver; the number of the step means nothing here."""
        if not text.startswith("[1/1] "):
            self.said.append(text)


def node_name() -> str:
    """What messages call this machine."""
    return os.environ.get("SENM_NODE") or socket.gethostname()


@lru_cache(maxsize=4)
def _runner(job: Job) -> Runner:
    """Store and data sets, opened once a process."""
    for name, value in (*for_worker(job.threads).items(), *job.environment):
        os.environ[name] = value
    import torch

    import baselines
    from benchmarks.core import environment
    from benchmarks.running.runner import Runner
    from benchmarks.running.steps import Bench
    from benchmarks.store.store import Store
    from senm.data.prepared import PreparedData
    from senm.sampling.memory import keep_freed_memory

    torch.set_num_threads(job.threads)
    keep_freed_memory()
    environment.deterministic(job.deterministic, job.device)
    for target in job.plugins:
        baselines.load_plugin(target)
    store = Store(job.store)
    data: Mapping[str, PreparedData] = {name: PreparedData.open(folder) for name, folder in job.data}
    return Runner(store, Bench(job.device, data, workdir=store.workdir), keep_going=False, scale=job.scale)


def perform(job: Job, step: Step, devices: int = 1) -> Answer:
    """Make one step whose inputs are in the store, a training on `devices` GPUs where its system can share it.

    Never raises: what went wrong is in the answer.
    """
    started, node = time.monotonic(), node_name()
    progress = LiveProgress(Path(job.store) / LIVE / step.key[:32])

    def answer(**found: Any) -> Answer:
        return Answer(step.key, node, round(time.monotonic() - started, 3), notes=tuple(progress.said), **found)

    try:
        runner = _once(job, progress, devices)
        for each in () if step.released else step.inputs.values():
            if runner.store.get(each) is None:
                return answer(lacking=each.key)
        runner.need(step)
        return answer(made=step.key in runner.outcome.made)
    except SenmError as error:
        return answer(error=error)
    except Exception:  # noqa: BLE001
        return answer(defect=traceback.format_exc())
    finally:
        progress.path.unlink(missing_ok=True)


def _once(job: Job, progress: LiveProgress, devices: int) -> Runner:
    """A runner for one step: it remembers nothing of earlier ones, which another worker may have made again."""
    from dataclasses import replace

    from benchmarks.running.runner import Runner

    shared = _runner(job)
    bench = replace(shared.bench, progress=progress, devices=devices)
    return Runner(shared.store, bench, keep_going=False, scale=job.scale)

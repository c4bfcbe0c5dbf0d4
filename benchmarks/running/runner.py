"""Runs what a plan needs and the store lacks. A system that fails takes only its own rows with it."""

from __future__ import annotations

import errno
import importlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.core.step import Step, unique
from benchmarks.planning.plan import Plan
from benchmarks.running.steps import Bench
from benchmarks.store.store import Store
from senm.support.errors import CheckpointError, DataError, MachineError, SenmError, TrainingError
from senm.support.progress import duration

RUNNERS = {
    "fit": "benchmarks.running.steps:fit",
    "sample": "benchmarks.running.steps:sample",
    "fit-restorer": "benchmarks.running.steps:fit_restorer",
    "restore": "benchmarks.running.steps:restore",
    "external": "benchmarks.running.external_rows:collect",
    "weights": "benchmarks.running.external_rows:published",
    "evaluate": "benchmarks.running.measure:evaluate",
    "draws": "benchmarks.running.draws:measure",
}
RELEASE = "benchmarks.running.steps:release"


@dataclass
class Outcome:
    """What a run did: keys of steps that were made or found in the store, and errors by key of the step that failed."""

    made: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    failed: dict[str, SenmError] = field(default_factory=dict)
    seconds: float = 0.0

    def problem(self, step: Step) -> str:
        """Why a step has no artefact, or ''."""
        error = next((self.failed[each.key] for each in unique([step]) if each.key in self.failed), None)
        return str(error) if error else ""


class Runner:
    """Makes artefacts on demand: a stored result asks for none of its inputs.

    Args:
        store: where artefacts are.
        bench: what the steps work with.
        keep_going: whether a failing training or checkpoint ends only the rows that need it.
        scale: name of the scale, for the provenance; `run` takes the plan's.
        made: told of each step that `run` made.
    """

    def __init__(self, store: Store, bench: Bench, keep_going: bool = True, scale: str = "",
                 made: Callable[[Step], object] | None = None) -> None:
        self.store, self.bench, self.keep_going, self._told = store, bench, keep_going, made
        self.outcome = Outcome()
        self._paths: dict[str, Path] = {}
        self._total = 0
        self._scale = scale

    def run(self, plan: Plan) -> Outcome:
        """Run every step of the plan that is missing.

        Raises:
            MachineError, UsageError: something that would stop the other steps as well.
        """
        started = time.monotonic()
        self._total, self._scale = len(missing(plan, self.store)), plan.scale.name
        for table in plan.tables:
            for row in table.rows:
                for step in row.evaluations.values():
                    self._attempt(step)
        self.outcome.seconds = time.monotonic() - started
        return self.outcome

    def _attempt(self, step: Step) -> None:
        try:
            self.need(step)
        except (TrainingError, DataError, CheckpointError) as error:
            if not self.keep_going:
                raise
            self.bench.progress.say(f"{step.label}: {error}")

    def need(self, step: Step) -> Path:
        """The artefact of a step, made now if the store lacks it.

        Raises:
            SenmError: it or one of its inputs cannot be made; a step that failed once is not tried again.
        """
        if step.key in self._paths:
            return self._paths[step.key]
        if step.key in self.outcome.failed:
            raise self.outcome.failed[step.key]
        path = self.store.get(step)
        if path is None:
            path = self._make(step)
        else:
            self.outcome.found.append(step.key)
        self._paths[step.key] = path
        return path

    def _make(self, step: Step) -> Path:
        inputs = {} if step.released else {role: self.need(each) for role, each in step.inputs.items()}
        work = _function(RELEASE if step.released else RUNNERS[step.kind])
        self.bench.progress.say(f"[{len(self.outcome.made) + 1}/{max(self._total, 1)}] {step.label}")
        made = False

        def write(folder: Path) -> None:
            nonlocal made
            made = True
            whole = not step.released and not self._begun(step)
            started = time.monotonic()
            with translated(step):
                work(step, inputs, folder, self.bench)
            self._provenance(step, folder, time.monotonic() - started, step.cost if whole else {})

        try:
            path = self.store.make(step, write)
        except MachineError:
            raise
        except SenmError as error:
            self.outcome.failed[step.key] = error
            raise
        (self.outcome.made if made else self.outcome.found).append(step.key)
        if made and self._told is not None:
            self._told(step)
        return path

    def _begun(self, step: Step) -> bool:
        """Whether an earlier run left part of the work behind."""
        return self.bench.workdir is not None and any(self.bench.workdir(step.key).iterdir())

    def _provenance(self, step: Step, folder: Path, seconds: float, cost: dict[str, float]) -> None:
        """Keep where and when a step was made; `cost` is what was done in `seconds`, empty where that is a part."""
        from benchmarks.core import environment

        found = {
            "kind": step.kind,
            "system": step.params.get("system", ""),
            "scale": self._scale,
            "cost": cost,
            "machine": environment.machine(self.bench.device),
            "versions": environment.versions(),
            "git": environment.git_state(),
            "seconds": round(seconds, 3),
        }
        (folder / "provenance.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


@contextmanager
def translated(step: Step) -> Iterator[None]:
    """Memory that runs out, and errors inside a user's own system, as sentences; our defects keep their traceback."""
    import torch

    import baselines

    system = str(step.params.get("system", ""))
    own = system in baselines.REGISTRY or not system
    try:
        if own:
            yield
        else:
            with contained(f"{system!r} failed in the step {step.kind!r}"):
                yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        mend = "free memory on the device, or use another --device or a smaller scale"
        first = next(iter(str(error).splitlines()), "")
        raise MachineError(f"{step.label}: out of memory ({first})", "", mend) from error


@contextmanager
def contained(what: str) -> Iterator[None]:
    """Run a user's own code: whatever it raises, exit included, is a `TrainingError` that names it.

    A process that it forked ends here instead of going on with the run. Working folder and default dtype are put back.
    What cannot be caught is a system that kills the process.

    Raises:
        TrainingError: the code failed or asked to exit.
        OSError, MachineError, MemoryError: the disk or the memory is full, which concerns every row.
    """
    import torch

    process, folder, dtype = os.getpid(), Path.cwd(), torch.get_default_dtype()
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit, MemoryError, torch.OutOfMemoryError):
        raise
    except (TrainingError, DataError, CheckpointError):
        raise
    except BaseException as error:
        reason = error.__cause__ if isinstance(error, SenmError) else error
        if isinstance(reason, OSError) and reason.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        words = "it asked to exit" if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
        raise TrainingError(f"{what}: {words}") from error
    finally:
        if os.getpid() != process:
            os._exit(1)
        os.chdir(folder)
        torch.set_default_dtype(dtype)


def missing(plan: Plan, store: Store) -> list[Step]:
    """The steps that a run would make now, inputs first: a stored step asks for none of its inputs."""
    wanted: dict[str, Step] = {}

    def visit(step: Step) -> None:
        if step.key in wanted or store.has(step.key):
            return
        if not step.released:
            for each in step.inputs.values():
                visit(each)
        wanted[step.key] = step

    for table in plan.tables:
        for row in table.rows:
            for step in row.evaluations.values():
                visit(step)
    return list(wanted.values())


def summary(outcome: Outcome) -> str:
    """One sentence on what a run did."""
    if not outcome.made and not outcome.failed:
        return "nothing to do: every result is in the store"
    text = f"{len(outcome.made)} steps run in {duration(outcome.seconds)}, {len(outcome.found)} results from the store"
    return text + (f", {len(outcome.failed)} failed" if outcome.failed else "")


def _function(target: str) -> Callable[..., None]:
    module, _, name = target.partition(":")
    found: Callable[..., None] = getattr(importlib.import_module(module), name)
    return found

"""Worker processes of this machine, one step each at a time; one that is killed is replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from benchmarks.cluster.resources import Capacity, Needs
from benchmarks.cluster.worker import Answer, Gone, Job, perform
from senm.support.threads import allowed_cores, for_worker

if TYPE_CHECKING:
    from benchmarks.core.step import Step


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    key: str = ""


class LocalPool:
    """`count` worker processes with `job.threads` threads each."""

    patience = 3  # times that a step may lose its worker

    def __init__(self, job: Job, count: int) -> None:
        self.job, self.count = job, count
        self._workers: list[_Worker] = []

    def nodes(self) -> Sequence[Capacity]:
        """This machine."""
        import psutil

        gpus = 0
        if self.job.device.startswith("cuda"):
            import torch

            gpus = torch.cuda.device_count() if self.job.device == "cuda" else 1
        memory = psutil.virtual_memory().available / 2**30
        cores = max(self.count, allowed_cores()) if gpus else self.count
        return [Capacity(name="this machine", gpu=gpus, cpu=cores, memory=memory)]

    def free(self) -> bool:
        """Whether a worker is idle or can still be started."""
        return sum(bool(worker.key) for worker in self._workers) < self.count

    def submit(self, step: Step, needs: Needs) -> None:
        """Give a step to an idle worker, started now if there is none."""
        worker = next((each for each in self._workers if not each.key), None)
        if worker is None:
            worker = self._start()
        worker.key = step.key
        try:
            worker.pipe.send(step)
        except (BrokenPipeError, OSError):
            return  # it is gone; `wait` finds out

    def wait(self, timeout: float) -> list[tuple[str, Answer | Gone]]:
        """What ended within `timeout` seconds."""
        busy: dict[Any, _Worker] = {worker.pipe: worker for worker in self._workers if worker.key}
        found: list[tuple[str, Answer | Gone]] = []
        for pipe in wait(list(busy), timeout):
            worker = busy[pipe]
            key, worker.key = worker.key, ""
            try:
                found.append((key, worker.pipe.recv()))
            except (EOFError, OSError):
                self._workers.remove(worker)
                worker.process.join()
                found.append((key, Gone(f"its process was killed (signal {-(worker.process.exitcode or 0)})")))
        return found

    def stop(self) -> None:
        """End all workers; a training under way keeps its last checkpoint."""
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            worker.process.kill()
        self._workers.clear()

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        with _environment(for_worker(self.job.threads)):  # read when the libraries of the process are loaded
            process = context.Process(target=_serve, args=(theirs, self.job, os.getpid()), daemon=True)
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _serve(pipe: Connection, job: Job, parent: int) -> None:
    """Do steps until the pipe closes. Ctrl-C is the driver's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    while True:
        try:
            step = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(perform(job, step))


def _follow(parent: int) -> None:
    """End this worker when its driver is gone: one killed with -9 cannot tell it to stop."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)

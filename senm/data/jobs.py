"""Preparing files in parallel: each job decodes one image, cuts or reduces it, and writes its items of a pool.

Jobs are independent and write to fixed places, so any number of workers and any restart give the same bytes.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senm.data.formats.bicubic import reduce
from senm.data.images import read_rgb
from senm.data.pool import Images
from senm.data.writer import PoolWriter, PreparedWriter
from senm.support.errors import DataError, MachineError
from senm.support.progress import Progress

MOST_WORKERS = 6  # each holds a decoded photograph: together they stay below 2 GiB for 12 megapixels
FLUSH_SECONDS = 0.5  # how much finished work a kill may cost; each flush syncs the pools to disk


@dataclass(frozen=True)
class Job:
    """One image file and where its pieces go.

    Attributes:
        file: 8-bit RGB image.
        pool: pool and side, for example ``("train", "clean")``.
        index: item of the first piece; the others follow.
        cuts: integer (n, 4) rows [row, column, height, width] counted from 0; each is one item.
        factor: reduce each piece by this factor (bicubic) before it is written.
    """

    file: Path
    pool: tuple[str, str]
    index: int
    cuts: np.ndarray
    factor: int = 1

    @property
    def tag(self) -> str:
        return f"{self.pool[0]}/{self.pool[1]}/{self.index}"


_writers: Mapping[tuple[str, str], PoolWriter] = {}


def perform(job: Job, writers: Mapping[tuple[str, str], PoolWriter]) -> str:
    """Do one job and return the SHA-256 of its file.

    Raises:
        DataError: the file is not a whole 8-bit RGB image, or a cut leaves it.
    """
    with job.file.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    pixels = read_rgb(job.file)
    height, width = pixels.shape[:2]
    for row, column, h, w in job.cuts.tolist():
        if row < 0 or column < 0 or row + h > height or column + w > width:
            raise DataError(f"{job.file} has {height} x {width} pixels, too few for the cut at {row}, {column}",
                            "the file as it was when preparation began", "run the preparation again")
    pieces = (pixels[r:r + h, c:c + w] for r, c, h, w in job.cuts.tolist())
    writers[job.pool].write(job.index, (reduce(p, job.factor) if job.factor > 1 else p for p in pieces))
    return digest


def run(jobs: Sequence[Job], writers: Mapping[tuple[str, str], PoolWriter], writer: PreparedWriter, *,
        workers: int | None = None, progress: Progress, label: str = "cutting") -> dict[Path, str]:
    """Do all jobs that `writer` does not know as done, marking each; returns file -> SHA-256 for all of them.

    Args:
        workers: processes; None means one a core, 6 at most; 1 stays in this process.

    Raises:
        DataError: as `perform`.
        MachineError: a worker was killed (most often for lack of memory).
    """
    before = dict(tag.split(" ", 1) for tag in writer.done if " " in tag)
    hashes = {job.file: before[job.tag] for job in jobs if job.tag in before}
    todo = [job for job in jobs if job.tag not in before]
    count = min(workers or min(os.cpu_count() or 1, MOST_WORKERS), max(len(todo), 1))
    pending: list[str] = []
    flushed = time.monotonic()
    with progress.task(label, len(jobs)) as task:
        task.advance(len(jobs) - len(todo))
        try:
            for job, digest in _results(todo, writers, count):
                hashes[job.file] = digest
                pending.append(f"{job.tag} {digest}")
                task.advance()
                if time.monotonic() - flushed > FLUSH_SECONDS:
                    writer.mark(*pending)
                    pending.clear()
                    flushed = time.monotonic()
        finally:
            if pending:
                writer.mark(*pending)
    return hashes


def _results(todo: Sequence[Job], writers: Mapping[tuple[str, str], PoolWriter],
             count: int) -> Iterator[tuple[Job, str]]:
    """Each job with the hash of its file, as they are done: here, or by `count` processes."""
    if count == 1 or not guarded():
        for job in todo:
            yield job, perform(job, writers)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, _begin_worker, (writers, os.getpid())) as pool:
        waiting: dict[Future[str], Job] = {}
        queue = iter(todo)
        try:
            while True:
                for job in queue:
                    waiting[pool.submit(_perform, job)] = job
                    if len(waiting) >= 2 * count:
                        break
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool as error:
            raise MachineError("a worker process was killed", "enough memory for each worker",
                               "run the same command with --workers 1: it goes on where it stopped") from error
        finally:
            pool.shutdown(cancel_futures=True)


def guarded() -> bool:
    """Whether workers can be started: a plain script that has no main guard would be run again by each of them."""
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None)
    if script is None or getattr(main, "__spec__", None) is not None or not os.path.isfile(script):
        return True
    with open(script, "rb") as file:
        return b"__name__" in file.read()


def store(writer: PreparedWriter, name: str, sides: Mapping[str, Images]) -> None:
    """Write a pool whose items all have one size, image by image; sides that are done already are kept."""
    first = next(iter(sides.values()))
    writers = writer.pool(name, [{"name": n} for n in first.names], {s: images.size(0) for s, images in sides.items()})
    for side, images in sides.items():
        if not writer.is_done(f"{name}/{side}"):
            writers[side].write(0, (images[i] for i in range(len(images))))
            writer.mark(f"{name}/{side}")


def _begin_worker(writers: Mapping[tuple[str, str], PoolWriter], parent: int) -> None:
    global _writers
    _writers = writers
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    """End this worker when its parent is gone: a parent killed with -9 cannot tell it to stop."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def _perform(job: Job) -> str:
    return perform(job, _writers)

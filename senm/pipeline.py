"""Sampling into a folder of PNG files or into a prepared data set: reading, computing, encoding and writing overlap.

One thread reads ahead (in `senm.sample`), the caller's thread computes, some encode and write. What is finished is
kept: a run that was killed goes on where it stopped, and as noise depends on an image's name only, the result is the
same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from senm.data.images import list_images, write_png
from senm.data.pool import FileImages, Images
from senm.data.writer import PreparedWriter
from senm.errors import DataError
from senm.progress import NullProgress, Progress

if TYPE_CHECKING:
    from senm.trained import Trained

Sampler = Callable[[Images], Iterator[np.ndarray]]
"""Noisy images, uint8 (H, W, 3), in the order of the clean ones: `sample_images` with everything else bound."""
CHUNK = 256
"""Images after which a prepared data set notes its progress."""


def sample_folder(model: Trained, clean: Path, out: Path, *, progress: Progress | None = None, **options: Any) -> int:
    """A noisy PNG in `out` for each image file in `clean`; returns how many are there afterwards.

    Args:
        options: of `Trained.sample`: seed, device, level, temperature, tile, batch, precision, compile.

    Raises:
        DataError: no images, or two of the same name; MachineError: `out` cannot be written.
    """
    images = FileImages(list_images(clean))
    sample_to_folder(lambda part: model.sample(part, **options), images, out, progress=progress)
    return len(images)


def sample_to_folder(sampler: Sampler, clean: Images, out: Path, *, workers: int = 4,
                     progress: Progress | None = None) -> int:
    """Write a PNG for each clean image into `out`, skipping those that are there; returns how many were made.

    Files appear whole (temporary file, then rename), so that a file that exists is a finished one.

    Raises:
        DataError: two images have the same name.
        MachineError: the folder cannot be written.
    """
    if len(set(clean.names)) != len(clean):
        raise DataError("two clean images have the same name", "one name an image", "rename one of them")
    out.mkdir(parents=True, exist_ok=True)
    left = [i for i, name in enumerate(clean.names) if not (out / f"{name}.png").is_file()]
    names = [clean.names[i] for i in left]
    with (progress or NullProgress()).task("writing", len(clean)) as task:
        task.advance(len(clean) - len(left))
        jobs = ((out / f"{name}.png", image) for name, image in zip(names, sampler(clean.subset(left)), strict=True))
        for _ in in_background(write_png, jobs, workers):
            task.advance()
    return len(left)


def sample_to_prepared(sampler: Sampler, clean: Images, out: Path, *, plan: dict[str, Any],
                       name: str = "synthetic", progress: Progress | None = None) -> Path:
    """Write clean images and their noisy counterparts as the `train` pool of a prepared data set, without PNG files.

    Args:
        plan: what determines the result (model, seed, ...), JSON-able; half-made work of another plan is discarded.

    Raises:
        UsageError: `out` exists and is not a prepared data set.
        MachineError: the disk is full or cannot be written.
    """
    sizes = [clean.size(i) for i in range(len(clean))]
    same = len(set(sizes)) == 1
    items = [{"name": each} for each in clean.names]
    with PreparedWriter(out, name, plan, resume=True) as writer:
        sides = writer.pool("train", items, dict.fromkeys(("clean", "noisy"), sizes[0] if same else sizes))
        writer.order("paired", "train", range(len(clean)))
        starts = range(0, len(clean), CHUNK)
        left = [start for start in starts if not writer.is_done(f"chunk {start}")]
        with (progress or NullProgress()).task("writing", len(starts)) as task:
            task.advance(len(starts) - len(left))
            for start in left:
                part = clean.subset(range(start, min(start + CHUNK, len(clean))))
                noisy = sampler(part)
                jobs = ((start + i, (part[i], image)) for i, image in enumerate(noisy))

                def write(index: int, pair: tuple[np.ndarray, np.ndarray]) -> None:
                    for side, image in zip(("clean", "noisy"), pair, strict=True):
                        sides[side].write(index, [image])

                for _ in in_background(write, jobs, 1):
                    pass
                writer.mark(f"chunk {start}")
                task.advance()
        writer.finish(description=f"synthetic pairs made from {len(clean)} clean images")
    return out


def in_background(work: Callable[[Any, Any], object], jobs: Iterable[tuple[Any, Any]], workers: int) -> Iterator[None]:
    """Call ``work(*job)`` in threads while the next jobs are made, at most four waiting a thread.

    Yields once a finished job. The first error stops everything and is raised here.
    """
    waiting: deque[Future[object]] = deque()
    with ThreadPoolExecutor(workers, "write") as pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(work, *job))
                while len(waiting) > 4 * workers or (waiting and waiting[0].done()):
                    waiting.popleft().result()
                    yield
            while waiting:
                waiting.popleft().result()
                yield
        finally:
            for future in waiting:
                future.cancel()

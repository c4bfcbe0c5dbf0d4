"""Sampling into a folder of PNG files or into a prepared data set: reading, computing, encoding and writing overlap.

One thread reads ahead (in `senm.sampling.sampler`), the caller's thread computes, some encode and write. What is
finished is kept: a run that was killed goes on where it stopped, and as noise depends on an image's name only, the
result is the same. A file beside the images says what they were made with, so that only the same run goes on. Denoising
into a folder does the same.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from senm.data.images import left_out, list_images, write_png
from senm.data.pool import FileImages, Images
from senm.data.writer import PreparedWriter
from senm.support.contents import sha256_of
from senm.support.errors import DataError, UsageError
from senm.support.files import writable, write_bytes
from senm.support.progress import NullProgress, Progress

if TYPE_CHECKING:
    from senm.sampling.trained import Trained

Sampler = Callable[[Images], Iterator[np.ndarray]]
"""Noisy images, uint8 (H, W, 3), in the order of the clean ones: `sample_images` with everything else bound."""
CHUNK = 256
"""Images after which a prepared data set notes its progress."""
PLAN = "plan.json"
"""In a folder of images: what they were made with."""
DECISIVE = {"seed": 0, "level": None, "temperature": 1.0, "precision": "float32"}
"""Options of `Trained.sample` that decide what an image looks like, with their defaults."""


def sample_folder(model: Trained, clean: Path, out: Path, *, progress: Progress | None = None, **options: Any) -> int:
    """A noisy PNG in `out` for each image file in `clean`; returns how many are there afterwards.

    Args:
        options: of `Trained.sample`: seed, device, level, temperature, tile, batch, precision, compile.

    Raises:
        DataError: no images, or two of the same name.
        UsageError: `out` is the folder of the clean images, or holds images that were made with something else.
        MachineError: `out` cannot be written.
    """
    kept_apart(clean, out)
    images = FileImages(list_images(clean))
    if others := left_out(clean):
        (progress or NullProgress()).say(others)
    place = str(options.get("device") or next(model.network.parameters()).device)
    plan = {"command": "sample", "folder": clean.resolve().name, "images": files_hash(images),
            "model": fingerprint(model),
            "device": place.partition(":")[0],  # draws on a GPU differ from those on a CPU
            **{name: options.get(name, default) for name, default in DECISIVE.items()}}
    sample_to_folder(lambda part: model.sample(part, **options), images, out, progress=progress, plan=plan)
    return len(images)


def denoise_folder(model: Trained, noisy: Path, out: Path, *, tile: int | None = None,
                   progress: Progress | None = None) -> int:
    """A denoised PNG in `out` for each image file in `noisy`; returns how many are there afterwards.

    Args:
        tile: as for `senm.api.denoise`.

    Raises:
        DataError: no images, two of the same name, or a model that cannot denoise.
        UsageError: `out` is the folder of the noisy images, or holds images that were made with something else.
        MachineError: `out` cannot be written.
    """
    kept_apart(noisy, out)
    images = FileImages(list_images(noisy))
    if others := left_out(noisy):
        (progress or NullProgress()).say(others)
    plan = {"command": "denoise", "folder": noisy.resolve().name, "images": files_hash(images),
            "model": fingerprint(model)}
    sample_to_folder(lambda part: model.denoise(part, tile=tile), images, out, progress=progress,
                     plan=plan)
    return len(images)


def files_hash(images: FileImages) -> str:
    """SHA-256 over names and bytes of files: other photographs under the same names are other images."""
    found = hashlib.sha256()
    for name, digest in zip(images.names, sha256_of(images.paths), strict=True):
        found.update(name.encode(errors="surrogateescape") + b"\0" + bytes.fromhex(digest))
    return found.hexdigest()


def kept_apart(images: Path, out: Path) -> None:
    """Refuse to write into the folder that is read (UsageError)."""
    if images.resolve() == out.resolve():
        raise UsageError(f"{out} is the folder of the images to read", "another folder to write into",
                         "choose another --out")


def fingerprint(model: Trained) -> str:
    """SHA-256 of a model as it is saved: its weights, settings and levels."""
    found = hashlib.sha256(model.in_effect.model_dump_json().encode())
    found.update(json.dumps([round(level, 6) for level in model.levels]).encode())
    for name, weights in sorted(model.network.to_authors().items()):
        found.update(name.encode())
        found.update(weights.detach().cpu().contiguous().numpy().tobytes())
    if model.prior is not None:
        found.update(model.prior.filter.numpy().tobytes())
    found.update(repr(model.curve).encode() if model.curve is not None else b"")
    return found.hexdigest()


def sample_to_folder(sampler: Sampler, clean: Images, out: Path, *, workers: int = 4,
                     progress: Progress | None = None, plan: Mapping[str, Any] | None = None) -> int:
    """Write a PNG for each clean image into `out`, skipping those that are there; returns how many were made.

    Files appear whole (temporary file, then rename), so that a file that exists is a finished one.

    Args:
        plan: what determines the result, JSON-able: it is kept in `out`, and another one's images are refused. None
            takes any images that are there for finished ones.

    Raises:
        DataError: two images have the same name.
        UsageError: `out` holds images of another plan.
        MachineError: the folder cannot be written.
    """
    if len(set(clean.names)) != len(clean):
        raise DataError("two clean images have the same name", "one name an image", "rename one of them")
    writable(out)
    if plan is not None:
        note_plan(plan, clean.names, out)
    left = [i for i, name in enumerate(clean.names) if not (out / f"{name}.png").is_file()]
    names = [clean.names[i] for i in left]
    with (progress or NullProgress()).task("writing", len(clean)) as task:
        task.advance(len(clean) - len(left))
        jobs = ((out / f"{name}.png", image) for name, image in zip(names, sampler(clean.subset(left)), strict=True))
        for _ in in_background(write_png, jobs, workers):
            task.advance()
    return len(left)


def note_plan(plan: Mapping[str, Any], names: Iterable[str], out: Path) -> None:
    """Write the plan into `out`, or refuse the images that another one left there.

    Raises:
        UsageError: there are images of another plan; names what differs.
        MachineError: the folder cannot be written.
    """
    path, found = out / PLAN, None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = [name for name in names if (out / f"{name}.png").exists()]
        problem = f"{len(there)} of the images ({there[0]}.png), made with something unknown" if there else ""
    except (OSError, ValueError):
        problem = f"a {PLAN} that cannot be read"
    else:
        known = found if isinstance(found, dict) else {}
        differ = [f"{name} ({shown(known.get(name))}, now {shown(plan.get(name))})"
                  for name in sorted({*known, *plan}) if known.get(name) != plan.get(name)]
        problem = f"images made with another {' and '.join(differ)}" if differ and any(out.glob("*.png")) else ""
    if problem:
        raise UsageError(f"{out} holds {problem}", "an empty folder, or the one of a run that is the same",
                         "choose another --out, or remove the folder")
    if found != plan:
        write_bytes(path, json.dumps(plan, indent=1, default=float).encode())


def shown(value: Any) -> str:
    """A value of a plan in a message: hashes by their beginning."""
    text = "none" if value is None else str(value)
    return f"{text[:8]}..." if len(text) == 64 else text


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

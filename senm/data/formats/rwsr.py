"""AIM 2019 RWSR track 2 and NTIRE 2020 RWSR track 1, prepared for x4 super-resolution with learnt noise.

Clean low-resolution images are the clean photographs reduced by `bicubic.reduce`; the degraded training images are
the target domain as they are. The paper takes the first 10 validation pairs as paired domain and evaluates on the
other 90. Training photographs are first cropped, from the bottom and right, to a multiple of the set's largest scale,
as in DeFlow's preparation (volflow/DeFlow); validation images stay whole.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from senm.data.formats.archives import extract, image_folder, origin
from senm.data.formats.sidd_layouts import find
from senm.data.formats.sidd_photos import check_end
from senm.data.images import image_size, list_images
from senm.data.jobs import Job, run
from senm.data.manifest import Source
from senm.data.prepared import PreparedData
from senm.data.writer import PoolWriter, PreparedWriter
from senm.support import seeding
from senm.support.errors import DataError, unknown
from senm.support.progress import NullProgress, Progress

FACTOR = 4
PARTS = ("target", "source", "low", "high")
SMOKE_IMAGES = 16


@dataclass(frozen=True)
class Layout:
    """Names of the four parts of a set, the archive's first, and the crop multiples of its training images."""

    target: tuple[str, ...]
    source: tuple[str, ...]
    low: tuple[str, ...]
    high: tuple[str, ...]
    target_multiple: int
    source_multiple: int
    licence: str


LAYOUTS = {
    "aim19": Layout(("train-noisy-images", "TrainingSource"), ("train-clean-images", "DIV2K_train_HR"),
                    ("valid-input-noisy", "ValidationSource"), ("valid-gt-clean", "DIV2K_valid_HR"), 8, 32,
                    "AIM 2019 challenge data; DIV2K and Flickr2K terms"),
    "ntire20": Layout(("Corrupted-tr-x",), ("Corrupted-tr-y",), ("Corrupted-va-x",), ("track1-valid-gt",), 4, 16,
                      "NTIRE 2020 challenge data; DIV2K and Flickr2K terms"),
}


@dataclass(frozen=True)
class RwsrSizes:
    """Number of validation pairs and how many of them, from the first, form the paired domain."""

    validation: int | None = 100
    paired: int = 10


OFFICIAL = RwsrSizes()


@dataclass(frozen=True)
class _Item:
    """One image of a pool: its name, its file on each side, the size taken of it, and the reduction."""

    name: str
    files: dict[str, tuple[Path, tuple[int, int], int]]


def prepare(kind: str, root: Path | str, out: Path | str, *, seed: int = 0, workers: int | None = None,
            sizes: RwsrSizes = OFFICIAL, allow_partial: bool = False, scale: str = "paper",
            progress: Progress | None = None) -> PreparedData:
    """Prepare 'aim19' or 'ntire20' from its official zips or unpacked folders below `root` into the folder `out`.

    Splits of the result: 'train' (the 10 pairs) and 'validation' (the other 90), each with the sides 'clean' (low
    resolution), 'noisy' (low resolution) and 'high'; 'source' with 'clean' and 'high'; 'target' with 'noisy'. Images
    keep their sizes. Archives are unpacked beside `out` and removed when the preparation is complete. At scale 'smoke'
    an incomplete set will do, and at most 16 images of each pool are taken.

    Raises:
        UsageError: unknown kind, or `out` is something else.
        DataError: missing, incomplete or damaged files, unpaired names, sizes that are not 1 : 4, unsafe archives.
        MachineError: disk full or not writable.
    """
    if kind not in LAYOUTS:
        raise unknown("data set", kind, LAYOUTS)
    root, out, layout, progress = Path(root), Path(out), LAYOUTS[kind], progress or NullProgress()
    unpacked = out.parent / f".{out.name}.unpacked"
    try:
        folders = {part: locate(root, getattr(layout, part), unpacked, progress) for part in PARTS}
        pools = _pools(folders, layout, sizes, allow_partial or scale == "smoke")
        if scale == "smoke":
            pools = {name: items[:SMOKE_IMAGES] for name, items in pools.items()}
        prepared = _write(kind, out, pools, root, unpacked, layout, seed, workers, progress)
    except DataError:
        shutil.rmtree(unpacked, ignore_errors=True)
        raise
    shutil.rmtree(unpacked, ignore_errors=True)
    return prepared


def locate(root: Path, names: tuple[str, ...], unpacked: Path, progress: Progress) -> Path:
    """The folder of images of one part: an unpacked folder of one of these names, else its zip, unpacked now.

    Raises:
        DataError: neither there, no images in it, or an unsafe or damaged archive.
    """
    for name in names:
        folder = find(root, name)
        if folder and folder.is_dir():
            return image_folder(folder)
    for name in names:
        if archive := find(root, f"{name}.zip"):
            return image_folder(extract(archive, unpacked / name, progress))
    raise DataError(f"{root} holds neither {names[0]} nor {names[0]}.zip", "all four parts of the set",
                    "download it with `python -m benchmarks.run prepare ... --download`")


def _pools(folders: dict[str, Path], layout: Layout, sizes: RwsrSizes, allow_partial: bool) -> dict[str, list[_Item]]:
    low, high = (_by_name(folders[part]) for part in ("low", "high"))
    if low.keys() != high.keys():
        lone = sorted(low.keys() ^ high.keys())
        raise DataError(f"validation input and ground truth differ in {len(lone)} names (first: {lone[0]})",
                        "the same names in both folders", "pairs are made by name, never by order: restore the names")
    if not allow_partial and sizes.validation is not None and len(low) != sizes.validation:
        raise DataError(f"{len(low)} of {sizes.validation} validation pairs", "the whole validation set",
                        "unpack the rest, or pass --allow-partial")
    if len(low) <= sizes.paired:
        raise DataError(f"{len(low)} validation pairs", f"more than the {sizes.paired} that form the paired domain")
    pairs = [_pair(name, low[name], high[name]) for name in sorted(low)]
    source = []
    for name, path in _by_name(folders["source"]).items():
        size = _multiple(path, layout.source_multiple)
        source.append(_Item(name, {"clean": (path, size, FACTOR), "high": (path, size, 1)}))
    target = [_Item(name, {"noisy": (path, _multiple(path, layout.target_multiple), 1)})
              for name, path in _by_name(folders["target"]).items()]
    return {"train": pairs[: sizes.paired], "validation": pairs[sizes.paired :], "source": source, "target": target}


def _by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in list_images(folder):
        if path.stem in found:
            raise DataError(f"{path.name} and {found[path.stem].name} have one name", "one file a name",
                            "remove one of them")
        if path.suffix.lower() == ".png":
            check_end(path)
        found[path.stem] = path
    return found


def _pair(name: str, low: Path, high: Path) -> _Item:
    (h, w), (height, width) = image_size(low), image_size(high)
    if (height // FACTOR, width // FACTOR) != (h, w):
        raise DataError(f"{name}: input has {h} x {w} pixels, ground truth {height} x {width}",
                        f"an input {FACTOR} times smaller", "take both from the same archive pair")
    whole = (h * FACTOR, w * FACTOR)
    return _Item(name, {"clean": (high, whole, FACTOR), "noisy": (low, (h, w), 1), "high": (high, whole, 1)})


def _multiple(path: Path, multiple: int) -> tuple[int, int]:
    height, width = image_size(path)
    if min(height, width) < multiple:
        raise DataError(f"{path} has {height} x {width} pixels", f"at least {multiple} on each side")
    return height - height % multiple, width - width % multiple


def _write(kind: str, out: Path, pools: dict[str, list[_Item]], root: Path, unpacked: Path, layout: Layout, seed: int,
           workers: int | None, progress: Progress) -> PreparedData:
    shown = partial(origin, root=root, unpacked=unpacked)
    files = {path for items in pools.values() for item in items for path, _, _ in item.files.values()}
    plan: dict[str, Any] = {"kind": kind, "seed": seed, "factor": FACTOR,
                            "files": {shown(path): path.stat().st_size for path in sorted(files)}}
    with PreparedWriter(out, kind, plan, resume=True) as writer:
        try:
            jobs: list[Job] = []
            writers: dict[tuple[str, str], PoolWriter] = {}
            for pool, items in pools.items():
                sides = {side: np.array([_stored(item, side) for item in items]) for side in items[0].files}
                described = [{"name": item.name, **{f"{s}_file": shown(f[0]) for s, f in item.files.items()}}
                             for item in items]
                writers |= {(pool, s): w for s, w in writer.pool(pool, described, sides).items()}
                jobs += [Job(path, (pool, side), i, np.array([[0, 0, *size]]), factor)
                         for i, item in enumerate(items) for side, (path, size, factor) in item.files.items()]
            hashes = run(jobs, writers, writer, workers=workers, progress=progress, label=f"preparing {kind}")
            for domain, pool in (("paired", "train"), ("source", "source"), ("target", "target")):
                count = len(pools[pool])
                order = range(count) if domain == "paired" else seeding.rng("rwsr", domain,
                                                                            seed).permutation(count).tolist()
                writer.order(domain, pool, order)
            sources = [Source(name=f"{pool} {item.name} {side}", file=shown(path), sha256=hashes[path],
                              size=image_size(path),
                              licence=layout.licence, split=pool)
                       for pool, items in pools.items() for item in items for side, (path, _, _) in item.files.items()]
            return writer.finish(
                description=f"{kind}: " + ", ".join(f"{len(items)} {pool}" for pool, items in pools.items()),
                split_rule="first pairs of validation as paired domain", sources=sources, progress=progress,
                paired_counts={10: len(pools["train"])}, notes=[
                    f"first {len(pools['train'])} validation pairs in name order train, the other "
                    f"{len(pools['validation'])} are evaluated: no published number on the whole set is comparable",
                    f"training images cropped to multiples of {layout.source_multiple} (clean) and "
                    f"{layout.target_multiple} (degraded); validation images whole"])
        except DataError:
            writer.discard()
            raise


def _stored(item: _Item, side: str) -> tuple[int, int]:
    _, (height, width), factor = item.files[side]
    return height // factor, width // factor

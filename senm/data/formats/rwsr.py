"""AIM 2019 RWSR track 2 and NTIRE 2020 RWSR track 1, prepared for x4 super-resolution with learnt noise.

Clean low-resolution images are the clean photographs reduced by `bicubic.reduce`; the degraded training images are
the target domain as they are. The paper takes the first 10 validation pairs as paired domain and evaluates on the
other 90. Training photographs are first cropped, from the bottom and right, to a multiple of the set's largest scale,
as in DeFlow's preparation (volflow/DeFlow); validation images stay whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
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


Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Item:
    """One image of a pool: its name and, on each side, its file, the top, left, height and width taken of it, and by
    how much that is reduced."""

    name: str
    files: dict[str, tuple[Path, Box, int]]


@dataclass(frozen=True)
class Words:
    """What a set says of itself: plan of its preparation, licence of its files, rule of its split, notes."""

    plan: dict[str, Any]
    licence: str
    split_rule: str
    notes: tuple[str, ...]


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
        shown = partial(origin, root=root, unpacked=unpacked)
        words = Words({"kind": kind, "seed": seed, "factor": FACTOR}, layout.licence,
                      "first pairs of validation as paired domain", (
                          f"first {len(pools['train'])} validation pairs in name order train, the other "
                          f"{len(pools['validation'])} are evaluated: no published number on the whole set is "
                          "comparable",
                          f"training images cropped to multiples of {layout.source_multiple} (clean) and "
                          f"{layout.target_multiple} (degraded); validation images whole"))
        prepared = write(kind, out, pools, shown, words, seed, workers, progress)
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


def _pools(folders: dict[str, Path], layout: Layout, sizes: RwsrSizes, allow_partial: bool) -> dict[str, list[Item]]:
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
        source.append(clean_item(name, path, layout.source_multiple))
    target = [Item(name, {"noisy": (path, multiple(path, layout.target_multiple), 1)})
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


def _pair(name: str, low: Path, high: Path) -> Item:
    (h, w), (height, width) = image_size(low), image_size(high)
    if (height // FACTOR, width // FACTOR) != (h, w):
        raise DataError(f"{name}: input has {h} x {w} pixels, ground truth {height} x {width}",
                        f"an input {FACTOR} times smaller", "take both from the same archive pair")
    whole = (0, 0, h * FACTOR, w * FACTOR)
    return Item(name, {"clean": (high, whole, FACTOR), "noisy": (low, (0, 0, h, w), 1), "high": (high, whole, 1)})


def clean_item(name: str, path: Path, of: int) -> Item:
    """A clean photograph, as high resolution and reduced by 4, cropped to a multiple of `of` pixels."""
    box = multiple(path, of)
    return Item(name, {"clean": (path, box, FACTOR), "high": (path, box, 1)})


def multiple(path: Path, of: int) -> Box:
    """The largest box at the upper left of an image file whose sides are multiples of `of` pixels.

    Raises:
        DataError: the image is smaller than that.
    """
    height, width = image_size(path)
    if min(height, width) < of:
        raise DataError(f"{path} has {height} x {width} pixels", f"at least {of} on each side")
    return 0, 0, height - height % of, width - width % of


def write(kind: str, out: Path, pools: Mapping[str, list[Item]], shown: Callable[[Path], str], words: Words, seed: int,
          workers: int | None, progress: Progress) -> PreparedData:
    """Write pools of whole images and the domains that they form: 'train' is paired; `shown` names a file in public."""
    files = {path for items in pools.values() for item in items for path, _, _ in item.files.values()}
    plan = {**words.plan, "files": {shown(path): path.stat().st_size for path in sorted(files)}}
    with PreparedWriter(out, kind, plan, resume=True) as writer:
        try:
            jobs: list[Job] = []
            writers: dict[tuple[str, str], PoolWriter] = {}
            for pool, items in pools.items():
                sides = {side: np.array([_stored(item, side) for item in items]) for side in items[0].files}
                described = [{"name": item.name, **{f"{s}_file": shown(f[0]) for s, f in item.files.items()}}
                             for item in items]
                writers |= {(pool, s): w for s, w in writer.pool(pool, described, sides).items()}
                jobs += [Job(path, (pool, side), i, np.array([box]), factor)
                         for i, item in enumerate(items) for side, (path, box, factor) in item.files.items()]
            hashes = run(jobs, writers, writer, workers=workers, progress=progress, label=f"preparing {kind}")
            for domain, pool in (("paired", "train"), ("source", "source"), ("target", "target")):
                if pool not in pools:
                    continue
                count = len(pools[pool])
                order = range(count) if domain == "paired" else seeding.rng("rwsr", domain,
                                                                            seed).permutation(count).tolist()
                writer.order(domain, pool, order)
            sources = [Source(name=f"{pool} {item.name} {side}", file=shown(path), sha256=hashes[path],
                              size=image_size(path),
                              licence=words.licence, split=pool)
                       for pool, items in pools.items() for item in items for side, (path, _, _) in item.files.items()]
            return writer.finish(
                description=f"{kind}: " + ", ".join(f"{len(items)} {pool}" for pool, items in pools.items()),
                split_rule=words.split_rule, sources=sources, progress=progress, notes=words.notes,
                paired_counts={10: len(pools["train"])} if "train" in pools else {})
        except DataError:
            writer.discard()
            raise


def _stored(item: Item, side: str) -> tuple[int, int]:
    _, (_, _, height, width), factor = item.files[side]
    return height // factor, width // factor

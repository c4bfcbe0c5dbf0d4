"""SIDD prepared: crops of the training photographs, the domains, the validation pairs and the benchmark blocks.

300 crops of 256 x 256 a photograph, as in the authors' preparation; theirs has no seed, so their very crops cannot
be cut again. Here the places come from a named stream and are listed in the prepared folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from senm import seeding
from senm.data.checks import check_apart
from senm.data.jobs import Job, run, store
from senm.data.manifest import Source, file_sha256
from senm.data.prepared import PreparedData, PreparedWriter
from senm.data.sidd_blocks import OFFICIAL as BLOCKS
from senm.data.sidd_blocks import BlockShape
from senm.data.sidd_layouts import Blocks, find, read_benchmark, read_validation
from senm.data.sidd_photos import Photo, find_photos
from senm.data.splits import MEANING, check_split, paper_counts, split
from senm.errors import DataError
from senm.progress import NullProgress, Progress

LICENCE = "SIDD, MIT licence by its authors; see the data set's page"


@dataclass(frozen=True)
class SiddSizes:
    """What a whole SIDD holds. The defaults are the official numbers; `pairs` None accepts any number."""

    pairs: int | None = 320
    crop: int = 256
    blocks: BlockShape = BLOCKS


OFFICIAL = SiddSizes()


def places(photo: Photo, crops: int, size: int, seed: int) -> np.ndarray:
    """Where the crops of a photograph lie: integer (crops, 4) rows [row, column, height, width] counted from 0.

    Every place is equally likely, the last row and column included; places may overlap.

    Raises:
        DataError: the photograph is smaller than a crop.
    """
    height, width = photo.size
    if height < size or width < size:
        raise DataError(f"{photo.clean} has {height} x {width} pixels", f"at least {size} x {size}",
                        "use smaller crops")
    rng = seeding.rng("sidd crops", seed, photo.name)
    out = np.full((crops, 4), size, dtype=np.int64)
    out[:, 0] = rng.integers(0, height - size + 1, crops)
    out[:, 1] = rng.integers(0, width - size + 1, crops)
    return out


def prepare(root: Path | str, out: Path | str, *, split_rule: str = "authors", seed: int = 0, crops: int = 300,
            workers: int | None = None, sizes: SiddSizes = OFFICIAL, allow_partial: bool = False,
            progress: Progress | None = None) -> PreparedData:
    """Prepare SIDD from its official downloads below `root` into the folder `out`.

    Splits of the result: 'train' (all crops, both sides), 'validation' (both sides) and, where its blocks are
    there, 'benchmark' (noisy). A run that was stopped goes on where it was; the result is the same byte for byte
    for any number of workers.

    Args:
        split_rule: 'authors' or 'by-photo', see `senm.data.splits`.
        crops: crops a photograph.
        workers: processes; None means one a core.
        sizes: what a whole data set holds; only tests change it.
        allow_partial: accept fewer photographs than the whole, and absent validation blocks.

    Raises:
        DataError: missing, incomplete, mixed-up or damaged files. Nothing is left behind.
        MachineError: disk full or not writable, or another process prepares the same folder.
        UsageError: unknown split rule, or `out` is something else.
    """
    root, progress = Path(root), progress or NullProgress()
    photos = find_photos(root, None if allow_partial else sizes.pairs)
    blocks = _blocks(root, sizes.blocks, allow_partial)
    table = {photo.name: places(photo, crops, sizes.crop, seed) for photo in photos}
    items = [{"name": f"{p.name}_{j + 1:03d}", "scene": p.instance, "clean_file": _shown(p.clean, root),
              "noisy_file": _shown(p.noisy, root), "row": int(r), "column": int(c)}
             for p in photos for j, (r, c, _, _) in enumerate(table[p.name].tolist())]
    scenes = [str(item["scene"]) for item in items]
    domains = split(split_rule, scenes, seed)
    check_split(domains, scenes, split_rule)
    plan: dict[str, Any] = {
        "split_rule": split_rule, "seed": seed, "crops": crops, "crop": sizes.crop,
        "forms": {name: found.form for name, found in blocks.items()},
        "photographs": {p.name: [p.clean.stat().st_size, p.noisy.stat().st_size] for p in photos}}
    with PreparedWriter(out, "sidd", plan, resume=True) as writer:
        try:
            train = writer.pool("train", items, {"clean": (sizes.crop,) * 2, "noisy": (sizes.crop,) * 2})
            jobs = [Job(path, ("train", side), crops * i, table[p.name]) for i, p in enumerate(photos)
                    for side, path in (("clean", p.clean), ("noisy", p.noisy))]
            hashes = run(jobs, {("train", side): w for side, w in train.items()}, writer, workers=workers,
                         progress=progress, label="cutting SIDD")
            sources = [Source(name=f"{p.name} {side}", file=_shown(path, root), sha256=hashes[path], licence=LICENCE,
                              size=p.size, split="train")
                       for p in photos for side, path in (("clean", p.clean), ("noisy", p.noisy))]
            for name, found in blocks.items():
                store(writer, name, found.sides)
                sources += [Source(name=f"{name} {file.name}", file=_shown(file, root), sha256=file_sha256(file),
                                   licence=LICENCE, split=name) for file in found.files]
            for domain, indices in domains.items():
                writer.order(domain, "train", indices.tolist())
            return writer.finish(
                description=f"SIDD sRGB: {len(photos)} photographs, {crops} crops of {sizes.crop} pixels from each",
                split_rule=split_rule, paired_counts=paper_counts(len(domains["paired"])), sources=sources,
                notes=_notes(split_rule, len(photos), sizes, blocks), progress=progress)
        except DataError:
            writer.discard()
            raise


def _blocks(root: Path, shape: BlockShape, allow_partial: bool) -> dict[str, Blocks]:
    validation, benchmark = read_validation(root, shape), read_benchmark(root, shape)
    if validation is None and not allow_partial:
        raise DataError(f"{root} holds no SIDD validation blocks",
                        "ValidationNoisyBlocksSrgb.mat and ValidationGtBlocksSrgb.mat",
                        "download both, or pass --allow-partial to prepare training crops only")
    if validation and benchmark:
        check_apart(validation.sides["noisy"], benchmark.sides["noisy"],
                    ("the validation blocks", "the benchmark blocks"),
                    "one of the files has the other's content: download both again")
    return {name: found for name, found in (("validation", validation), ("benchmark", benchmark)) if found}


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _notes(rule: str, photos: int, sizes: SiddSizes, blocks: dict[str, Blocks]) -> list[str]:
    notes = [f"split rule {rule}, {MEANING[rule]}"]
    if photos != OFFICIAL.pairs:
        notes.append(f"{photos} of {OFFICIAL.pairs} photographs: not the whole of SIDD-Medium")
    for name in ("validation", "benchmark"):
        notes.append(f"{name} blocks: {blocks[name].form if name in blocks else 'absent'}")
    if sizes.blocks != BLOCKS:
        notes.append(f"blocks of shape {sizes.blocks.array} instead of {BLOCKS.array}")
    return notes


def is_official_tree(root: Path | str) -> bool:
    """Whether `root` looks like downloaded SIDD (as against a prepared folder): cheap, no file is opened."""
    root = Path(root)
    return find(root, "SIDD_Medium_Srgb") is not None or any(root.glob("*/*_GT_SRGB_01*.[pP][nN][gG]")) or any(
        root.glob("*/*/*_GT_SRGB_01*.[pP][nN][gG]"))

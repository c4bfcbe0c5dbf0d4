"""SIDD prepared: crops of the training photographs, the domains, the validation pairs and the benchmark blocks.

300 crops of 256 x 256 a photograph, as in the authors' preparation; theirs has no seed, so their very crops cannot
be cut again. Here the places come from a named stream and are listed in the prepared folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from senm.data.checking.sides import check_apart
from senm.data.formats.archives import extract, origin
from senm.data.formats.sidd_blocks import OFFICIAL as BLOCKS
from senm.data.formats.sidd_blocks import BlockShape
from senm.data.formats.sidd_layouts import Blocks, find, read_benchmark, read_validation, shape_there
from senm.data.formats.sidd_photos import Photo, find_photos, instance_folders
from senm.data.formats.splits import MEANING, check_split, paper_counts, split
from senm.data.jobs import Job, run, store
from senm.data.manifest import Source, file_sha256
from senm.data.prepared import PreparedData
from senm.data.writer import PreparedWriter
from senm.support import seeding
from senm.support.errors import DataError, unknown
from senm.support.progress import NullProgress, Progress

LICENCE = "SIDD, MIT licence by its authors; see the data set's page"


@dataclass(frozen=True)
class SiddSizes:
    """What a whole SIDD holds. The defaults are the official numbers; `pairs` None accepts any number."""

    pairs: int | None = 320
    blocks: BlockShape = BLOCKS


@dataclass(frozen=True)
class Cutting:
    """How the training photographs are cut and divided.

    Attributes:
        split_rule: 'authors' or 'by-photo', see `senm.data.formats.splits`.
        seed: of the streams that place the crops and divide them.
        crops: crops a photograph.
        size: side of a crop in pixels.
        scenes: use this many scenes, drawn at random; None uses all.
    """

    split_rule: str = "authors"
    seed: int = 0
    crops: int = 300
    size: int = 256
    scenes: int | None = None


OFFICIAL = SiddSizes()
SCALES = {"smoke": Cutting(crops=16, size=64, scenes=6), "short": Cutting(crops=30), "paper": Cutting()}


def places(photo: Photo, cutting: Cutting) -> np.ndarray:
    """Where the crops of a photograph lie: integer (crops, 4) rows [row, column, height, width] counted from 0.

    Every place is equally likely, the last row and column included; places may overlap.

    Raises:
        DataError: the photograph is smaller than a crop.
    """
    (height, width), size = photo.size, cutting.size
    if height < size or width < size:
        raise DataError(f"{photo.clean} has {height} x {width} pixels", f"at least {size} x {size}",
                        "use the whole photographs")
    rng = seeding.rng("sidd crops", cutting.seed, photo.name)
    out = np.full((cutting.crops, 4), size, dtype=np.int64)
    out[:, 0] = rng.integers(0, height - size + 1, cutting.crops)
    out[:, 1] = rng.integers(0, width - size + 1, cutting.crops)
    return out


def prepare(root: Path | str, out: Path | str, *, cutting: Cutting | None = None, scale: str = "paper",
            workers: int | None = None, sizes: SiddSizes = OFFICIAL, allow_partial: bool = False,
            progress: Progress | None = None) -> PreparedData:
    """Prepare SIDD from its official downloads below `root` into the folder `out`.

    Splits of the result: 'train' (all crops, both sides), 'validation' (both sides) and, where its blocks are
    there, 'benchmark' (noisy). A run that was stopped goes on where it was; the result is the same byte for byte
    for any number of workers. An archive is unpacked beside `out` and removed when the preparation is complete.

    Args:
        cutting: how to cut; None takes that of the scale.
        scale: 'paper' (300 crops of 256 x 256 a photograph), 'short' (30) or 'smoke' (a few small crops of a few
            scenes; an incomplete data set will do).
        workers: processes; None means one a core.
        sizes: what a whole data set holds; only tests change it.
        allow_partial: accept fewer photographs or blocks than the whole, and absent validation blocks.

    Raises:
        DataError: missing, incomplete, mixed-up or damaged files. Nothing is left behind.
        MachineError: disk full or not writable, or another process prepares the same folder.
        UsageError: unknown split rule or scale, or `out` is something else.
    """
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    root, out, cutting, progress = Path(root), Path(out), cutting or SCALES[scale], progress or NullProgress()
    allow_partial = allow_partial or scale == "smoke"
    unpacked = out.parent / f".{out.name}.unpacked"
    try:
        photos = _photos(root, None if allow_partial else sizes.pairs, unpacked, progress)
        blocks = _blocks(root, sizes.blocks, allow_partial)
        chosen = _some_scenes(photos, cutting)
        shown = partial(origin, root=root, unpacked=unpacked)
        prepared = _write(out, chosen, blocks, cutting, shown, workers, progress)
    except DataError:
        shutil.rmtree(unpacked, ignore_errors=True)
        raise
    shutil.rmtree(unpacked, ignore_errors=True)
    return prepared


def _some_scenes(photos: list[Photo], cutting: Cutting) -> list[Photo]:
    scenes = sorted({p.instance for p in photos})
    if cutting.scenes is None or cutting.scenes >= len(scenes):
        return photos
    drawn = seeding.rng("sidd scenes", cutting.seed).permutation(len(scenes))[: cutting.scenes]
    kept = {scenes[i] for i in drawn.tolist()}
    return [p for p in photos if p.instance in kept]


def _write(out: Path, photos: list[Photo], blocks: dict[str, Blocks], cutting: Cutting, shown: Callable[[Path], str],
           workers: int | None, progress: Progress) -> PreparedData:
    table = {photo.name: places(photo, cutting) for photo in photos}
    items = [{"name": f"{p.name}_{j + 1:03d}", "scene": p.instance, "clean_file": shown(p.clean),
              "noisy_file": shown(p.noisy), "row": int(r), "column": int(c)}
             for p in photos for j, (r, c, _, _) in enumerate(table[p.name].tolist())]
    scenes = [str(item["scene"]) for item in items]
    domains = split(cutting.split_rule, scenes, cutting.seed)
    check_split(domains, scenes, cutting.split_rule)
    few = len(domains["paired"])
    if cutting.split_rule == "by-photo":  # "all pairs" means all of them: the scenes of the pairs come first
        rest = np.setdiff1d(np.arange(len(scenes)), domains["paired"])
        domains["paired"] = np.concatenate([domains["paired"],
                                            seeding.rng("split rest", cutting.seed).permutation(rest)])
    files = [path for p in photos for path in (p.clean, p.noisy)] + [f for b in blocks.values() for f in b.files]
    plan: dict[str, Any] = {**asdict(cutting), "forms": {name: found.form for name, found in blocks.items()},
                            "files": {shown(path): path.stat().st_size for path in files}}
    notes = _notes(cutting.split_rule, len(photos), blocks)
    with PreparedWriter(out, "sidd", plan, resume=True) as writer:
        try:
            block_sources: list[Source] = []
            for name in list(blocks):  # stored and let go first, so that the workers have the memory
                found = blocks.pop(name)
                store(writer, name, found.sides)
                block_sources += [Source(name=f"{name} {file.name}", file=shown(file), sha256=file_sha256(file),
                                         licence=LICENCE, split=name) for file in found.files]
                del found
            train = writer.pool("train", items, dict.fromkeys(("clean", "noisy"), (cutting.size, cutting.size)))
            jobs = [Job(path, ("train", side), cutting.crops * i, table[p.name]) for i, p in enumerate(photos)
                    for side, path in (("clean", p.clean), ("noisy", p.noisy))]
            hashes = run(jobs, {("train", side): w for side, w in train.items()}, writer, workers=workers,
                         progress=progress, label="cutting SIDD")
            sources = [Source(name=f"{p.name} {side}", file=shown(path), sha256=hashes[path], licence=LICENCE,
                              size=p.size, split="train")
                       for p in photos for side, path in (("clean", p.clean), ("noisy", p.noisy))]
            for domain, indices in domains.items():
                writer.order(domain, "train", indices.tolist())
            return writer.finish(
                description=f"SIDD sRGB: {len(photos)} photographs, {cutting.crops} crops of {cutting.size} px each",
                split_rule=cutting.split_rule, paired_counts=paper_counts(few), sources=[*sources, *block_sources],
                notes=notes, progress=progress)
        except DataError:
            writer.discard()
            raise


def _blocks(root: Path, shape: BlockShape, allow_partial: bool) -> dict[str, Blocks]:
    if allow_partial:
        shape = shape_there(root) or shape
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


def _photos(root: Path, pairs: int | None, unpacked: Path, progress: Progress) -> list[Photo]:
    """The photographs of the unpacked tree, else those of the archive, which is unpacked now."""
    archive = find(root, "SIDD_Medium_Srgb.zip")
    if archive is None or instance_folders(root):
        return find_photos(root, pairs)
    return find_photos(extract(archive, unpacked / archive.stem, progress), pairs)


def _notes(rule: str, photos: int, blocks: dict[str, Blocks]) -> list[str]:
    notes = [f"split rule {rule}, {MEANING[rule]}"]
    if photos != OFFICIAL.pairs:
        notes.append(f"{photos} of {OFFICIAL.pairs} photographs: not the whole of SIDD-Medium")
    for name in ("validation", "benchmark"):
        found = blocks.get(name)
        count = len(next(iter(found.sides.values()))) if found else 0
        notes.append(f"{name}: {count} of {BLOCKS.count} blocks" + (f", from {found.form}" if found else ""))
    return notes

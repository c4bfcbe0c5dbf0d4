"""A folder of real camera pairs: found by suffix or in two subfolders, checked, cut into crops, divided into domains.

Images may have any sizes. Every choice (validation images, places of crops, pairs, unpaired halves) comes from its
own named stream and is listed in the prepared folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from senm.data.checking.alignment import check_pairs
from senm.data.checking.sides import digest
from senm.data.formats.splits import MEANING, check_split, paper_counts, split
from senm.data.images import EXTENSIONS, image_size, list_images, read_rgb
from senm.data.jobs import Job, run
from senm.data.manifest import Source, file_sha256
from senm.data.pool import FileImages, Pairs
from senm.data.prepared import PreparedData
from senm.data.writer import PreparedWriter
from senm.support import seeding
from senm.support.errors import DataError, UsageError, unknown
from senm.support.progress import NullProgress, Progress

SUBFOLDERS = (("noisy", "clean"), ("noisy", "gt"), ("lq", "gt"), ("lq", "hq"), ("input", "gt"), ("input", "target"),
              ("input", "groundtruth"), ("input_crops", "gt_crops"), ("input_crops", "target_crops"),
              ("trainL", "trainH"), ("low", "high"))
"""Names by which the field keeps the two sides, degraded first; in any case."""
SMALLEST = 64  # pixels: the least side of an image, and so of a crop
ONE_PROCESS = 200_000_000  # bytes of images below which starting worker processes takes longer than the work
LOOKED_AT = 12  # pairs of a large folder whose content is judged
HOW = "PATH/noisy and PATH/clean, or suffixes as in folder:PATH,_real,_mean"


@dataclass(frozen=True)
class FilePair:
    """One noisy image file and its clean partner. `scene` is shared by pairs with the same clean file."""

    name: str
    noisy: Path
    clean: Path
    size: tuple[int, int]
    scene: str = ""


@dataclass(frozen=True)
class Cutting:
    """How much is cut. `images` and `validation` bound the scenes used (None: all, and a tenth of them).

    Attributes:
        crop: side of a crop in pixels; lowered to the smallest image side where that is less.
        crops: training crops an image.
        validation_crops: crops an image of the validation split.
        images: at most this many training scenes, drawn at random.
        validation: at most this many validation scenes.
    """

    crop: int
    crops: int
    validation_crops: int
    images: int | None = None
    validation: int | None = None


SCALES = {
    "smoke": Cutting(64, 4, 2, images=12, validation=4),
    "short": Cutting(128, 8, 8),
    "paper": Cutting(256, 300, 32),
}


def find_pairs(root: Path | str, noisy_suffix: str | None = None, clean_suffix: str | None = None,
               partners: Path | str | None = None) -> list[FilePair]:
    """All pairs of a folder, in natural order of their names, matched by name and never by order.

    Args:
        root: the folder. With suffixes, files directly in it whose names (without extension) end in them; else two
            subfolders, for example noisy and clean, whose files have the same names (extensions may differ).
        noisy_suffix: for example ``_real``.
        clean_suffix: for example ``_mean``.
        partners: another folder, whose files are the clean partners of those in `root`.

    Raises:
        DataError: missing or empty folder, a name without its partner, a name twice, a pair of different sizes, an
            image smaller than 64 pixels, or a file that is not 8-bit RGB.
        UsageError: only one suffix, or two equal ones.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"the data folder {root} {'is not a folder' if root.exists() else 'does not exist'}",
                        "a folder of image pairs", "check the path")
    if (noisy_suffix is None) != (clean_suffix is None) or (noisy_suffix is not None and noisy_suffix == clean_suffix):
        raise UsageError(f"suffixes {noisy_suffix!r} and {clean_suffix!r}", "two different ones, noisy then clean")
    if noisy_suffix is not None and clean_suffix is not None:
        noisy, clean = _by_suffix(root, noisy_suffix), _by_suffix(root, clean_suffix)
        if clean_suffix == "":
            clean = {name: path for name, path in clean.items() if path not in noisy.values()}
        if noisy_suffix == "":
            noisy = {name: path for name, path in noisy.items() if path not in clean.values()}
        sides = f"ending in {noisy_suffix!r}", f"ending in {clean_suffix!r}"
    else:
        first, second = _subfolders(root) if partners is None else (root, Path(partners))
        noisy, clean = _by_name(list_images(first)), _by_name(list_images(second))
        sides = f"in {first.name}", f"in {second.name}"
    if not noisy and not clean:
        raise DataError(f"{root} holds no image {sides[0]} or {sides[1]}", HOW, "check the folder and the suffixes")
    lonely = [f"{name} (only {side})" for side, here, there in ((sides[0], noisy, clean), (sides[1], clean, noisy))
              for name in here if name not in there]
    if lonely:
        more = f" and {len(lonely) - 10} more" if len(lonely) > 10 else ""
        raise DataError(f"{root} has no partner for {', '.join(lonely[:10])}{more}",
                        "a noisy and a clean image of every name", "add the missing files, or remove these")
    return [_checked(name, path, clean[name]) for name, path in noisy.items()]


def place_and_suffixes(text: str) -> tuple[str, tuple[str, ...]]:
    """``DIR``, ``DIR,noisy-suffix,clean-suffix`` or ``NOISY-DIR,CLEAN-DIR``, where a folder's name may hold commas.

    What exists wins; the suffixes are the last two fields.

    Returns:
        The folder, and nothing, the two suffixes, or the folder of the clean partners.

    Raises:
        UsageError: one field too few or too many.
    """
    if "," not in text or Path(text).expanduser().is_dir():
        return str(Path(text).expanduser()) if text else text, ()
    fields = text.split(",")
    for i in range(1, len(fields)):
        sides = [str(Path(",".join(part)).expanduser()) for part in (fields[:i], fields[i:])]
        if all(Path(side).is_dir() for side in sides):
            return sides[0], (sides[1],)
    folder, *suffixes = text.rsplit(",", 2)
    if len(suffixes) != 2 or ("," in folder and not Path(folder).expanduser().is_dir()):
        raise UsageError(f"{text!r} has {len(fields) - 1} suffixes",
                         "DIR,noisy-suffix,clean-suffix, or NOISY-DIR,CLEAN-DIR, folders that exist")
    return str(Path(folder).expanduser()), tuple(suffixes)


def _by_suffix(root: Path, suffix: str) -> dict[str, Path]:
    stem = Path(suffix).stem if Path(suffix).suffix.lower() in EXTENSIONS else suffix
    return _by_name([p for p in list_images(root) if p.stem.endswith(stem)], stem)


def _by_name(paths: Sequence[Path], suffix: str = "") -> dict[str, Path]:
    named: dict[str, Path] = {}
    for path in paths:
        name = path.stem.removesuffix(suffix)
        if name in named:
            raise DataError(f"{named[name].name} and {path.name} have the same name", "one file a name and side",
                            "remove one of them")
        named[name] = path
    return named


def _subfolders(root: Path) -> tuple[Path, Path]:
    there = {path.name.lower(): path for path in sorted(root.iterdir()) if path.is_dir()}
    for noisy, clean in SUBFOLDERS:
        if noisy.lower() in there and clean.lower() in there:
            return there[noisy.lower()], there[clean.lower()]
    if not any(root.iterdir()):
        raise DataError(f"the data folder {root} is empty", HOW, "check the path")
    raise DataError(f"{root} has no pair of subfolders such as noisy and clean", HOW,
                    "give the two suffixes, or name both folders: NOISY,CLEAN")


def _checked(name: str, noisy: Path, clean: Path) -> FilePair:
    (h, w), (height, width) = image_size(noisy), image_size(clean)
    if (h, w) != (height, width):
        raise DataError(f"pair {name}: {noisy.name} has {h} x {w} pixels, {clean.name} {height} x {width}",
                        "two images of one size", "crop or replace one of them")
    if min(h, w) < SMALLEST:
        raise DataError(f"{noisy} has {h} x {w} pixels", f"at least {SMALLEST} x {SMALLEST}", "remove this pair")
    return FilePair(name, noisy, clean, (h, w))


def prepare(root: Path | str, out: Path | str, scale: str = "short", *, noisy_suffix: str | None = None,
            clean_suffix: str | None = None, split_rule: str = "authors", seed: int = 0,
            cutting: Cutting | None = None, workers: int | None = None, name: str = "folder",
            licence: str = "", scenes: Mapping[str, str] | None = None, trust_pairs: bool = False,
            partners: Path | str | None = None, progress: Progress | None = None) -> PreparedData:
    """Prepare a folder of pairs into the folder `out`; a run that was stopped goes on where it was.

    Splits: 'train' and 'validation', divided by scene. The domains are drawn from 'train' by the split rule; all pairs
    means every training crop.

    Args:
        root, noisy_suffix, clean_suffix, partners: see `find_pairs`.
        scale: 'smoke', 'short' or 'paper': how many crops of what size; `cutting` overrides it.
        split_rule: 'authors' (by crop) or 'by-photo', see `senm.data.formats.splits`.
        seed: of all streams.
        workers: processes; None means one a core, or none for a small folder.
        name, licence: written to the manifest.
        scenes: pair -> the photograph it was cut from, where that is known; else pairs with one clean file are one.
        trust_pairs: whether pairs that do not look like pairs (`senm.data.checking.alignment`) are only named.

    Raises:
        DataError: as `find_pairs`; a truncated image, an image twice, sides equal or swapped, too few images.
        MachineError: disk full or not writable.
        UsageError: unknown scale or split rule, or `out` is something else.
    """
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    progress = progress or NullProgress()
    pairs = find_pairs(root, noisy_suffix, clean_suffix, partners)
    hashes = {path: file_sha256(path) for pair in pairs for path in (pair.noisy, pair.clean)}
    small = sum(path.stat().st_size for path in hashes) < ONE_PROCESS
    pairs = _scenes(pairs, hashes, scenes or {})
    pairs = _copies(pairs) if small else pairs
    wanted = cutting or SCALES[scale]
    wanted = replace(wanted, crop=min(wanted.crop, min(min(pair.size) for pair in pairs)))
    parts = _choose(pairs, wanted, seed)
    _check_content(pairs if small else parts["train"][:LOOKED_AT], trust_pairs, progress)
    cuts = {p.name: _places(p, wanted.crop, wanted.validation_crops if name == "validation" else wanted.crops, seed)
            for name, part in parts.items() for p in part}
    shown = [p.scene for p in parts["train"] for _ in range(wanted.crops)]
    domains = split(split_rule, shown, seed)
    check_split(domains, shown, split_rule)
    few = len(domains["paired"])
    if split_rule == "by-photo":
        rest = np.setdiff1d(np.arange(len(shown)), domains["paired"])
        domains["paired"] = np.concatenate([domains["paired"], seeding.rng("split rest", seed).permutation(rest)])
    plan: dict[str, Any] = {"scale": scale, "seed": seed, "split_rule": split_rule, **asdict(wanted),
                            "files": {f"{side} {p.name}": hashes[path] for part in parts.values() for p in part
                                      for side, path in (("noisy", p.noisy), ("clean", p.clean))}}
    with PreparedWriter(out, name, plan, resume=True) as writer:
        try:
            _cut(writer, parts, cuts, 1 if small and workers is None else workers, progress)
            for domain, order in domains.items():
                writer.order(domain, "train", order.tolist())
            used = sum(len(part) for part in parts.values())
            return writer.finish(
                description=f"{used} of {len(pairs)} camera pairs, crops of {wanted.crop} px", split_rule=split_rule,
                paired_counts=paper_counts(few), notes=_notes(split_rule, parts, few, len(shown)),
                sources=[Source(name=p.name, file=f"{path.parent.name}/{path.name}", sha256=hashes[path],
                                licence=licence, size=p.size, split=part_name)
                         for part_name, part in parts.items() for p in part for path in (p.noisy, p.clean)],
                progress=progress)
        except DataError:
            writer.discard()
            raise


def _scenes(pairs: list[FilePair], hashes: dict[Path, str], known: Mapping[str, str]) -> list[FilePair]:
    """The pairs with their scenes: all noisy images of one clean file show one scene; a noisy file must occur once."""
    first: dict[str, str] = {}
    noisy: dict[str, Path] = {}
    out = []
    for pair in pairs:
        if (twin := noisy.setdefault(hashes[pair.noisy], pair.noisy)) != pair.noisy:
            raise DataError(f"{twin.name} and {pair.noisy.name} are the same file", "every noisy image once",
                            "remove one of the two pairs")
        same = first.setdefault(hashes[pair.clean], pair.name)
        out.append(replace(pair, scene=known.get(pair.name, same)))
    return out


def _copies(pairs: list[FilePair]) -> list[FilePair]:
    """The pairs with one scene for clean files of equal pixels, written twice: they must not be in both splits."""
    first: dict[bytes, str] = {}
    found = []
    for pair in pairs:
        pixels = digest(read_rgb(pair.clean))
        found.append(pair if pixels is None else replace(pair, scene=first.setdefault(pixels, pair.scene)))
    return found


def _choose(pairs: list[FilePair], wanted: Cutting, seed: int) -> dict[str, list[FilePair]]:
    """The pairs of the training and the validation split: a tenth of the scenes, one at least, validates."""
    scenes = list(dict.fromkeys(pair.scene for pair in pairs))
    if len(scenes) < 2:
        raise DataError(f"{len(scenes)} scene", "at least 2, one to train on and one to validate", "add pairs")
    order = [scenes[i] for i in seeding.rng("folder validation", seed).permutation(len(scenes))]
    tenth = max(1, round(len(scenes) / 10))
    validation, train = order[:tenth][:wanted.validation], order[tenth:][:wanted.images]
    return {"train": [p for p in pairs if p.scene in set(train)],
            "validation": [p for p in pairs if p.scene in set(validation)]}


def _check_content(pairs: list[FilePair], trust: bool, progress: Progress) -> None:
    """Decode images, so that a truncated one is found, and refuse what does not look like pairs."""
    for pair in pairs:
        for path in (pair.noisy, pair.clean):
            read_rgb(path)
    names = [p.name for p in pairs]
    both = Pairs(FileImages([p.clean for p in pairs], names), FileImages([p.noisy for p in pairs], names))
    if said := check_pairs(both, trust):
        progress.say(f"taken as they are: {said}")


def _places(pair: FilePair, crop: int, count: int, seed: int) -> np.ndarray:
    """Integer (count, 4) rows [row, column, height, width] from the pair's own stream; every place equally likely."""
    rng = seeding.rng("folder crops", seed, pair.name)
    out = np.full((count, 4), crop, dtype=np.int64)
    out[:, 0] = rng.integers(0, pair.size[0] - crop + 1, count)
    out[:, 1] = rng.integers(0, pair.size[1] - crop + 1, count)
    return out


def _cut(writer: PreparedWriter, parts: dict[str, list[FilePair]], cuts: dict[str, np.ndarray], workers: int | None,
         progress: Progress) -> None:
    jobs, pools = [], {}
    for part_name, part in parts.items():
        items = [{"name": f"{p.name}_{j:03d}", "scene": p.scene, "noisy_file": p.noisy.name,
                  "clean_file": p.clean.name, "row": int(row), "column": int(column)}
                 for p in part for j, (row, column, _, _) in enumerate(cuts[p.name])]
        crop = int(cuts[part[0].name][0, 2])
        for side, pool in writer.pool(part_name, items, dict.fromkeys(("clean", "noisy"), (crop, crop))).items():
            pools[part_name, side] = pool
        at = 0
        for p in part:
            jobs += [Job(p.clean, (part_name, "clean"), at, cuts[p.name]),
                     Job(p.noisy, (part_name, "noisy"), at, cuts[p.name])]
            at += len(cuts[p.name])
    run(jobs, pools, writer, workers=workers, progress=progress, label="cutting pairs")


def _notes(rule: str, parts: dict[str, list[FilePair]], few: int, everything: int) -> list[str]:
    notes = [f"split rule {rule}, {MEANING[rule]}",
             f"{len(parts['train'])} images train and {len(parts['validation'])} others validate"]
    notes += [f"{n} pairs of the paper are {have} here" for n, have in paper_counts(few).items() if n != have]
    if rule == "by-photo":
        notes.append(f"all {everything} pairs include the scenes of the source and the target domain")
    return notes

"""The training photographs of SIDD (sRGB): found by name, paired by name, and checked before any pixel is cut."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from senm.data.images import image_size
from senm.data.manifest import file_sha256
from senm.support.errors import DataError

INSTANCE = re.compile(r"^(\d{4})_(\d{3})_(GP|IP|S6|N6|G4)_(\d{5})_(\d{5})_(\d{4})_([LNH])$")
PHOTO = re.compile(r"^(?:\d{4}_)?(GT|NOISY)_SRGB_(\d{3})\.PNG$", re.IGNORECASE)
# Instance numbers 0001-0200 that SIDD-Medium leaves out: they belong to the validation and benchmark photographs.
ABSENT = frozenset((9, 21, 24, 26, 31, 37, 41, 46, 49, 53, 56, 58, 61, 67, 71, 74, 79, 82, 85, 93, 95, 100, 103, 109,
                    112, 119, 124, 128, 131, 141, 143, 148, 153, 158, 162, 171, 174, 176, 183, 187))
PNG_END = b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Photo:
    """One pair of photographs. `name` is instance number and shot (``0001_010``), `size` height and width."""

    name: str
    instance: str
    clean: Path
    noisy: Path
    size: tuple[int, int]


def find_photos(root: Path, pairs: int | None = 320) -> list[Photo]:
    """All pairs below `root`, ordered by name.

    Args:
        root: the folder SIDD_Medium_Srgb, one above it, its Data folder, or Restormer's repacked train folder.
        pairs: the number to insist on; None takes what is there.

    Raises:
        DataError: nothing found, another number, a photograph without its partner, sides of different size, an
            instance that does not belong to the training set, a truncated file, or one file under two names.
    """
    folders = instance_folders(Path(root))
    if not folders:
        raise DataError(f"{root} holds no SIDD photographs", "SIDD_Medium_Srgb/Data/<instance>/<NNNN>_GT_SRGB_010.PNG",
                        "give the folder that holds SIDD_Medium_Srgb")
    photos = [photo for folder in folders for photo in _photos_of(folder)]
    if pairs is not None and len(photos) != pairs:
        half = len(photos) == len(folders) and pairs == 2 * len(photos)
        small = " (one shot each: this looks like SIDD-Small)" if half else ""
        raise DataError(f"{root} holds {len(photos)} of {pairs} pairs{small}", "the whole of SIDD-Medium",
                        "unpack the rest, or pass --allow-partial to use what is there")
    _check_twins([path for photo in photos for path in (photo.clean, photo.noisy)])
    return photos


def instance_folders(root: Path) -> list[Path]:
    """The scene folders at most four levels below `root`, those of the benchmark and hidden ones left out."""
    for level in range(4):
        found = [p for p in root.glob("*/" * level + "*") if INSTANCE.match(p.name)
                 and not any(x.startswith(".") or x == "SIDD_Benchmark_Data" for x in p.relative_to(root).parts)]
        if found:
            return sorted(found, key=lambda p: p.name)
    return []


def _photos_of(folder: Path) -> list[Photo]:
    number = int(folder.name[:4])
    if number in ABSENT:
        raise DataError(f"{folder.name} is not a training scene of SIDD-Medium", "the 160 training scenes",
                        "keep validation and benchmark photographs out of the training folder")
    shots: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in sorted(folder.iterdir()):
        if match := PHOTO.match(path.name):
            shots[match[2]][match[1].upper()] = path
    photos = []
    for shot, sides in sorted(shots.items()):
        if len(sides) != 2:
            there = next(iter(sides.values()))
            raise DataError(f"{there} has no partner", f"GT and NOISY of shot {shot} in one folder",
                            "photographs are paired by name, never by order: restore the missing file")
        clean, noisy = sides["GT"], sides["NOISY"]
        sizes = image_size(clean), image_size(noisy)
        if sizes[0] != sizes[1]:
            (h, w), (height, width) = sizes
            raise DataError(f"{noisy.name} has {height} x {width} pixels, {clean.name} {h} x {w}",
                            "two photographs of one size", "unpack this scene again")
        for path in (clean, noisy):
            check_end(path)
        photos.append(Photo(f"{folder.name[:4]}_{shot}", folder.name, clean, noisy, sizes[0]))
    if not photos:
        raise DataError(f"{folder} holds no photograph", "<NNNN>_GT_SRGB_010.PNG and its partners",
                        "unpack this scene again")
    return photos


def check_end(path: Path) -> None:
    """Refuse a PNG whose end is missing, without decoding it.

    Raises:
        DataError: the file is truncated.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(PNG_END)))
        if file.read() != PNG_END:
            raise DataError(f"{path} is truncated", "a whole PNG file", "copy or download the file again")


def _check_twins(paths: list[Path]) -> None:
    """Only files of equal length are hashed: two different photographs hardly ever have the same."""
    by_length: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        by_length[path.stat().st_size].append(path)
    seen: dict[str, Path] = {}
    for group in by_length.values():
        for path in group if len(group) > 1 else []:
            digest = file_sha256(path)
            if digest in seen:
                raise DataError(f"{seen[digest]} and {path} are the same file", "every photograph once",
                                "unpack both scenes again")
            seen[digest] = path

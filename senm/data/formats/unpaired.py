"""Bad photographs in one folder and good ones in another, of other scenes: what people have who have no pairs.

Laid out as the challenge sets of `senm.data.formats.rwsr` without their pairs: 'source' has the good photographs and
their reduction by 4, 'target' the bad ones, 'validation' cuts of bad ones that are kept back. These have no clean
partner, so only no-reference scores can judge what is made of them.
"""

from __future__ import annotations

from pathlib import Path

from senm.data.checking.sides import digest
from senm.data.formats.folder import ONE_PROCESS
from senm.data.formats.rwsr import FACTOR, SMOKE_IMAGES, Box, Item, Words, clean_item, multiple, write
from senm.data.images import image_size, list_images, read_rgb
from senm.data.prepared import PreparedData
from senm.support import seeding
from senm.support.errors import DataError
from senm.support.progress import NullProgress, Progress

TARGET_MULTIPLE, SOURCE_MULTIPLE = 8, 32  # pixels: as those of AIM 2019, on which the systems were tuned
CUT = {"smoke": 64, "short": 128, "paper": 512}
"""Largest side of a validation cut in pixels; it is enlarged by 4."""
MOST_VALIDATION = 100


def prepare(root: Path | str, out: Path | str, *, partners: Path | str, scale: str = "short", seed: int = 0,
            workers: int | None = None, progress: Progress | None = None) -> PreparedData:
    """Prepare a folder of low-quality photographs and one of good photographs for x4 super-resolution.

    A tenth of the low-quality photographs, one at least, is kept back for validation: its middle, at most 64, 128 or
    512 pixels a side at the scales 'smoke', 'short' and 'paper'. A photograph that is there twice is taken once.

    Args:
        root: the low-quality photographs, 8-bit RGB, at least 8 pixels a side.
        partners: the good photographs, at least 32 pixels a side; of other scenes, so names mean nothing.

    Raises:
        DataError: a missing or empty folder, a photograph that is too small or in both folders, fewer than two
            low-quality ones.
        MachineError: disk full or not writable.
        UsageError: `out` is something else.
    """
    low, high, out, progress = Path(root), Path(partners), Path(out), progress or NullProgress()
    files, seen = {}, {}
    for folder in (low, high):
        files[folder], seen[folder] = _once(folder, progress)
    if both := seen[low].keys() & seen[high].keys():
        one = min(both, key=lambda pixels: seen[low][pixels])
        shared = "1 photograph is" if len(both) == 1 else f"{len(both)} photographs are"
        raise DataError(f"{shared} in both folders (first: {seen[low][one]} = {seen[high][one]})",
                        "low-quality photographs in the first folder, good ones in the second",
                        "check that the folders are what they are called")
    if len(files[low]) < 2:
        raise DataError(f"{low} holds {len(files[low])} photograph", "at least 2: one to learn from, one to judge by",
                        "add photographs")
    order = [files[low][i] for i in seeding.rng("unpaired validation", seed).permutation(len(files[low]))]
    kept = min(MOST_VALIDATION, max(1, round(len(order) / 10)))
    pools = {
        "validation": [Item(p.stem, {"noisy": (p, middle(p, CUT[scale]), 1)}) for p in sorted(order[:kept])],
        "source": [clean_item(p.stem, p, SOURCE_MULTIPLE) for p in files[high]],
        "target": [Item(p.stem, {"noisy": (p, multiple(p, TARGET_MULTIPLE), 1)}) for p in sorted(order[kept:])],
    }
    if scale == "smoke":
        pools = {name: items[:SMOKE_IMAGES] for name, items in pools.items()}
    words = Words({"kind": "unpaired", "seed": seed, "scale": scale, "factor": FACTOR}, "",
                  "a tenth of the low-quality photographs validates",
                  ("no pairs: scores that need a clean partner cannot be measured",))

    def shown(path: Path) -> str:
        return f"{'low' if path.parent == low else 'high'}/{path.name}"

    size = sum(path.stat().st_size for each in files.values() for path in each)
    processes = 1 if workers is None and size < ONE_PROCESS else workers
    return write("unpaired", out, pools, shown, words, seed, processes, progress)


def middle(path: Path, most: int) -> Box:
    """The middle of an image file, at most so many pixels a side, a multiple of 8."""
    _, _, height, width = multiple(path, TARGET_MULTIPLE)
    rows, columns = min(height, most), min(width, most)
    whole = image_size(path)
    return (whole[0] - rows) // 2, (whole[1] - columns) // 2, rows, columns


def _once(folder: Path, progress: Progress) -> tuple[list[Path], dict[bytes, str]]:
    """The image files of a folder without copies of the same pixels, and the names by pixels."""
    names: dict[bytes, str] = {}
    found: dict[str, Path] = {}
    copies = []
    for path in list_images(folder):
        pixels = digest(read_rgb(path))
        if pixels is None:
            raise DataError(f"{path} is one flat colour", "a photograph", "remove it")
        if path.stem in found:
            raise DataError(f"{path.name} and {found[path.stem].name} have one name", "one file a name",
                            "remove one of them")
        if names.setdefault(pixels, path.name) != path.name:
            copies.append(path.name)
            continue
        found[path.stem] = path
    if copies:
        progress.say(f"{len(copies)} copies of other photographs in {folder.name} were left out (first: {copies[0]})")
    return list(found.values()), names

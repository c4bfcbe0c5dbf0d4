"""Where the SIDD blocks lie under a folder: MATLAB files, PNG folders or whole photographs, whichever is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from senm.data.checking.sides import check_sides
from senm.data.formats.matfiles import container, keys
from senm.data.formats.sidd_blocks import (
    OFFICIAL,
    BlockShape,
    read_mat_blocks,
    read_png_blocks,
    read_table,
    read_whole_benchmark,
)
from senm.data.pool import Images, Pairs
from senm.support.errors import DataError

NOISY_DIRS = ("input_crops", "input", "noisy")
CLEAN_DIRS = ("gt_crops", "target_crops", "groundtruth", "target", "gt", "clean")


def find(root: Path, name: str, depth: int = 4) -> Path | None:
    """The file or folder `name` nearest to `root`, itself included, hidden folders left out."""
    if root.name == name:
        return root
    for level in range(depth + 1):
        found = sorted(p for p in root.glob("*/" * level + name)
                       if not any(part.startswith(".") for part in p.relative_to(root).parts))
        if found:
            return found[0]
    return None


@dataclass(frozen=True)
class Blocks:
    """Blocks as found: pools by side, the form they were found in, and the files they come from."""

    sides: dict[str, Images]
    form: str
    files: tuple[Path, ...]


def read_validation(root: Path, shape: BlockShape = OFFICIAL) -> Blocks | None:
    """Validation blocks, both sides ('mat v5', 'mat hdf5' or 'png'), or None where there are none.

    Raises:
        DataError: found, but broken, incomplete, swapped, or in LMDB form.
    """
    noisy, clean = (find(root, f"Validation{side}BlocksSrgb.mat") for side in ("Noisy", "Gt"))
    if noisy or clean:
        if noisy is None or clean is None:
            there, lacking = (noisy, "Gt") if noisy else (clean, "Noisy")
            raise DataError(f"{there} has no partner", f"Validation{lacking}BlocksSrgb.mat beside it",
                            "download both files")
        return _both(read_mat_blocks(clean, "ValidationGtBlocksSrgb", shape),
                     read_mat_blocks(noisy, "ValidationNoisyBlocksSrgb", shape), f"mat {container(noisy)}", (clean,
                                                                                                             noisy))
    for name in NOISY_DIRS:
        folder = find(root, name)
        partner = next((folder.parent / c for c in CLEAN_DIRS if (folder.parent / c).is_dir()),
                       None) if folder else None
        if folder and folder.is_dir() and partner:
            first, second = read_png_blocks(partner, shape), read_png_blocks(folder, shape)
            return _both(first, second, "png", first.paths + second.paths)
    if lmdb := find(root, "input_crops.lmdb"):
        raise DataError(f"{lmdb} is an LMDB", "the .mat files or PNG folders",
                        "unpack it to input_crops and gt_crops first")
    return None


def shape_there(root: Path) -> BlockShape | None:
    """How many blocks the validation file below `root` really holds, or None where it is absent or of another kind."""
    path = find(root, "ValidationNoisyBlocksSrgb.mat")
    found = keys(path).get("ValidationNoisyBlocksSrgb", ()) if path else ()
    if len(found) != 5 or found[2] != found[3] or found[4] != 3:
        return None
    return BlockShape(*found[:3])


def _both(clean: Images, noisy: Images, form: str, files: tuple[Path, ...]) -> Blocks:
    check_sides(Pairs(clean, noisy))
    return Blocks({"clean": clean, "noisy": noisy}, form, files)


def read_benchmark(root: Path, shape: BlockShape = OFFICIAL) -> Blocks | None:
    """Benchmark blocks, noisy only ('mat v5', 'mat hdf5' or 'whole photographs'), or None where there are none.

    Raises:
        DataError: found, but broken or incomplete.
    """
    if path := find(root, "BenchmarkNoisyBlocksSrgb.mat"):
        return Blocks({"noisy": read_mat_blocks(path, "BenchmarkNoisyBlocksSrgb", shape)}, f"mat {container(path)}",
                      (path,))
    if folder := find(root, "SIDD_Benchmark_Data"):
        table = read_table(find(root, "BenchmarkBlocks32.mat"), shape)
        images = read_whole_benchmark(folder, table, shape)
        return Blocks({"noisy": images}, "whole photographs", tuple(dict.fromkeys(cut.photo for cut in images.cuts)))
    return None

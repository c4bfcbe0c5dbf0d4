"""Faults of SIDD's validation and benchmark blocks, and of its archive."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from senm.data.formats import sidd
from senm.data.formats.sidd_blocks import official_table
from tests import fixtures_official as fx
from tests.bad_inputs.base import CUT, case

NOISY, CLEAN, BENCH = "ValidationNoisyBlocksSrgb", "ValidationGtBlocksSrgb", "BenchmarkNoisyBlocksSrgb"


@case("SIDD", "64 of the 1,280 validation blocks")
def _(root: Path) -> Any:
    fx.mat(root / f"{NOISY}.mat", NOISY, np.zeros((2, 32, 256, 256, 3), np.uint8))
    fx.mat(root / f"{CLEAN}.mat", CLEAN, np.zeros((2, 32, 256, 256, 3), np.uint8))
    sizes = sidd.SiddSizes(pairs=6)
    return lambda: sidd.prepare(root, root.parent / "out", cutting=CUT, sizes=sizes, workers=1)


@case("SIDD", "benchmark blocks under the name of the validation blocks")
def _(root: Path) -> None:
    (root / f"{BENCH}.mat").replace(root / f"{NOISY}.mat")


@case("SIDD", "validation blocks inside the benchmark file")
def _(root: Path) -> None:
    fx.mat(root / f"{BENCH}.mat", BENCH, fx.blocks(2, 4, 32)[0])


@case("SIDD", "noisy and ground-truth blocks exchanged")
def _(root: Path) -> None:
    noisy, clean = fx.blocks(2, 4, 32)
    fx.mat(root / f"{NOISY}.mat", NOISY, clean)
    fx.mat(root / f"{CLEAN}.mat", CLEAN, noisy)


@case("SIDD", "the same blocks on both sides")
def _(root: Path) -> None:
    fx.mat(root / f"{CLEAN}.mat", CLEAN, fx.blocks(2, 4, 32)[0])


@case("SIDD", "ground-truth blocks missing")
def _(root: Path) -> None:
    (root / f"{CLEAN}.mat").unlink()


@case("SIDD", "no validation blocks at all")
def _(root: Path) -> None:
    (root / f"{CLEAN}.mat").unlink()
    (root / f"{NOISY}.mat").unlink()


@case("SIDD", "blocks with their axes reversed")
def _(root: Path) -> None:
    fx.mat(root / f"{NOISY}.mat", NOISY, fx.blocks(2, 4, 32)[0].T)


@case("SIDD", "blocks converted to floats")
def _(root: Path) -> None:
    fx.mat(root / f"{NOISY}.mat", NOISY, fx.blocks(2, 4, 32)[0] / 255.0)


@case("SIDD", "a MATLAB file cut short")
def _(root: Path) -> None:
    path = root / f"{NOISY}.mat"
    path.write_bytes(path.read_bytes()[:3000])


@case("SIDD", "a MATLAB file of zero bytes")
def _(root: Path) -> None:
    (root / f"{NOISY}.mat").write_bytes(b"")


@case("SIDD", "a login page saved as MATLAB file")
def _(root: Path) -> None:
    (root / f"{NOISY}.mat").write_text("<!DOCTYPE html><html><body>Please sign in</body></html>")


def png_blocks(root: Path) -> Path:
    for name in (NOISY, CLEAN):
        (root / f"{name}.mat").unlink()
    return fx.sidd_nafnet(root / "blocks")


@case("SIDD", "a PNG block missing")
def _(root: Path) -> None:
    (png_blocks(root) / "input_crops" / "ValidationBlocksSrgb_5.png").unlink()


@case("SIDD", "PNG blocks under other names")
def _(root: Path) -> None:
    folder = png_blocks(root) / "input_crops"
    (folder / "ValidationBlocksSrgb_5.png").rename(folder / "block5.png")


@case("SIDD", "a PNG block of another size")
def _(root: Path) -> None:
    fx.png(png_blocks(root) / "gt_crops" / "ValidationBlocksSrgb_5.png", fx.photo(32, 40, 1))


@case("SIDD", "a PNG block with a gAMA chunk, which changes the official KLD")
def _(root: Path) -> None:
    path = png_blocks(root) / "input_crops" / "ValidationBlocksSrgb_5.png"
    data, chunk = path.read_bytes(), b"gAMA" + struct.pack(">I", 45455)
    path.write_bytes(data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:])


@case("SIDD", "blocks as LMDB")
def _(root: Path) -> None:
    for name in (NOISY, CLEAN):
        (root / f"{name}.mat").unlink()
    (root / "input_crops.lmdb").mkdir()


def whole(root: Path, table: np.ndarray, size: tuple[int, int] = (96, 128)) -> None:
    (root / f"{BENCH}.mat").unlink()
    fx.sidd_whole(root, table, size=size)


TABLE = np.array([[1, 1, 32, 32], [5, 90, 32, 32], [9, 9, 32, 32], [33, 1, 32, 32]])


@case("SIDD", "BenchmarkBlocks32 counted from 0")
def _(root: Path) -> None:
    whole(root, TABLE - [[1, 1, 0, 0]])


@case("SIDD", "BenchmarkBlocks32 with other positions")
def _(root: Path) -> Any:
    from senm.data.formats.sidd_blocks import read_table

    path = fx.mat(root / "BenchmarkBlocks32.mat", "BenchmarkBlocks32",
                  np.add(official_table(), [8, 0, 0, 0]).astype(np.uint16))
    return lambda: read_table(path)


@case("SIDD", "benchmark photographs turned to portrait")
def _(root: Path) -> None:
    whole(root, TABLE, (128, 96))


@case("SIDD", "an archive cut short")
def _(root: Path) -> None:
    archive = fx.zip_folder(root / "SIDD_Medium_Srgb", root / "SIDD_Medium_Srgb.zip", "SIDD_Medium_Srgb/")
    archive.write_bytes(archive.read_bytes()[:-3000])


@case("SIDD", "an archive that writes outside its folder")
def _(root: Path) -> None:
    fx.zip_folder(root / "SIDD_Medium_Srgb", root / "SIDD_Medium_Srgb.zip", "../../SIDD_Medium_Srgb/")

"""SIDD validation and benchmark blocks, from each form in which they are passed around.

MATLAB files of (40, 32, 256, 256, 3) uint8 RGB, whole benchmark photographs cut by BenchmarkBlocks32, and the PNG
folders of NAFNet (``ValidationBlocksSrgb_<k>.png``) and Restormer (``<image>_<block>.png``, counted from 1). All
give the same pool: item 32 * image + block, named ``<image>_<block>`` counted from 1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senm.data.cuts import Cut, CutImages
from senm.data.formats.matfiles import keys, read_array
from senm.data.images import check_no_gamma, image_size, list_images, read_rgb
from senm.data.pool import ArrayImages, FileImages
from senm.support.errors import DataError, nearest

NAFNET = re.compile(r"^ValidationBlocksSrgb_(\d+)$")
RESTORMER = re.compile(r"^(\d{4})_(\d{2,})$")
# Top-left corners, 1-based, of the 8 squares that the 32 blocks fill two by two (BenchmarkBlocks32.mat of 2018-04-20).
SQUARES = ((1601, 2413), (1063, 57), (491, 329), (2203, 1705), (699, 3149), (1583, 1467), (241, 2087), (2337, 1093))


@dataclass(frozen=True)
class BlockShape:
    """How many photographs and blocks, and the side of a block in pixels. The defaults are the official ones."""

    images: int = 40
    blocks: int = 32
    size: int = 256

    @property
    def count(self) -> int:
        return self.images * self.blocks

    @property
    def array(self) -> tuple[int, ...]:
        return (self.images, self.blocks, self.size, self.size, 3)

    def names(self) -> tuple[str, ...]:
        """``0001_01`` ... in the order of the flat index."""
        return tuple(f"{i + 1:04d}_{j + 1:02d}" for i in range(self.images) for j in range(self.blocks))


OFFICIAL = BlockShape()


def official_table(size: int = 256) -> np.ndarray:
    """BenchmarkBlocks32: (32, 4) rows [row, column, height, width], 1-based; each square in turn, 2 x 2 by rows."""
    rows = [(r + dr, c + dc, size, size) for r, c in SQUARES for dr in (0, size) for dc in (0, size)]
    return np.array(rows, dtype=np.int64)


def read_mat_blocks(path: Path, key: str, shape: BlockShape = OFFICIAL) -> ArrayImages:
    """The blocks of one MATLAB file as a pool.

    Raises:
        DataError: broken file, another key (for example benchmark blocks under the validation name), wrong number
            of blocks, wrong order of axes, wrong dtype.
    """
    known = keys(path)
    if key not in known:
        other = nearest(key, known) or next(iter(known), "nothing")
        raise DataError(f"{path.name} holds '{other}' instead of '{key}'", f"the variable '{key}'",
                        "validation, ground truth and benchmark are mixed up: give each file its own name")
    found = known[key]
    if found != shape.array:
        raise DataError(_shape_fault(path, found, shape), f"shape {shape.array}: image, block, row, column, channel",
                        "download the whole file again")
    array = read_array(path, key)
    if array.dtype != np.uint8:
        raise DataError(f"'{key}' in {path.name} is of type {array.dtype}", "uint8, 0 to 255",
                        "use the official file: a converted copy no longer holds the published pixels")
    return ArrayImages(array.reshape(-1, shape.size, shape.size, 3), shape.names())


def _shape_fault(path: Path, found: tuple[int, ...], shape: BlockShape) -> str:
    if len(found) == 5 and found[2:] == shape.array[2:]:
        return f"{path.name} holds {found[0] * found[1]} of {shape.count} blocks (shape {found})"
    if tuple(reversed(found)) == shape.array:
        return f"{path.name} has its axes in reverse order (shape {found})"
    return f"{path.name} has shape {found}"


def read_png_blocks(folder: Path, shape: BlockShape = OFFICIAL, gamma: bool = True) -> FileImages:
    """A folder of block PNGs in NAFNet's or Restormer's names, put into the order of the flat index by name.

    Args:
        gamma: refuse gAMA and sRGB chunks (they change the grey values of the official KLD).

    Raises:
        DataError: foreign names, missing or repeated blocks, wrong size, colour-space chunk.
    """
    place: dict[int, Path] = {}
    for path in list_images(folder):
        index = _block_index(path, shape)
        if index in place:
            raise DataError(f"{path.name} and {place[index].name} are the same block", "one file a block")
        place[index] = path
    missing = [name for k, name in enumerate(shape.names()) if k not in place]
    if missing or len(place) != shape.count:
        raise DataError(f"{folder} holds {len(place)} of {shape.count} blocks; missing: {', '.join(missing[:3])} ...",
                        f"{shape.images} images with {shape.blocks} blocks each", "copy or convert the whole set")
    paths = [place[k] for k in range(shape.count)]
    for path in paths:
        if image_size(path) != (shape.size, shape.size):
            raise DataError(f"{path} has {image_size(path)[0]} x {image_size(path)[1]} pixels",
                            f"{shape.size} x {shape.size}")
        if gamma:
            check_no_gamma(path)
    return FileImages(paths, shape.names())


def _block_index(path: Path, shape: BlockShape) -> int:
    if match := NAFNET.match(path.stem):
        index = int(match[1])
        if index < shape.count:
            return index
    elif match := RESTORMER.match(path.stem):
        image, block = int(match[1]) - 1, int(match[2]) - 1
        if 0 <= image < shape.images and 0 <= block < shape.blocks:
            return shape.blocks * image + block
    raise DataError(f"{path} does not say which block it is",
                    f"ValidationBlocksSrgb_0 to _{shape.count - 1}, or 0001_01 to {shape.names()[-1]}",
                    "restore the original names: sorted order is not block order")


def read_table(path: Path | None, shape: BlockShape = OFFICIAL) -> np.ndarray:
    """The block positions (blocks, 4), 1-based [row, column, height, width], checked; built in where `path` is None.

    Raises:
        DataError: not (32, 4), 0-based, blocks of another size, or (at the official size) other positions.
    """
    if path is None:
        return official_table()
    table = read_array(path, "BenchmarkBlocks32").astype(np.int64)
    if table.shape != (shape.blocks, 4):
        raise DataError(f"BenchmarkBlocks32 has shape {table.shape}", f"({shape.blocks}, 4)")
    if table[:, :2].min() < 1:
        raise DataError("BenchmarkBlocks32 has a position below 1", "positions counted from 1, as MATLAB does")
    if (table[:, 2:] != shape.size).any():
        raise DataError("BenchmarkBlocks32 has blocks of another size", f"{shape.size} x {shape.size}")
    if shape == OFFICIAL and not np.array_equal(table, official_table()):
        raise DataError("BenchmarkBlocks32 differs from the published positions",
                        "the file of the code package v1.1 or v1.2")
    return table


def read_whole_benchmark(folder: Path, table: np.ndarray, shape: BlockShape = OFFICIAL) -> CutImages:
    """Benchmark blocks cut from the whole photographs ``<folder>/<instance>/<NNNN>_NOISY_SRGB_010.PNG``.

    Raises:
        DataError: another number of photographs, or a block that leaves its photograph.
    """
    photos = sorted(p for p in folder.glob("*/*") if re.fullmatch(r"\d{4}_NOISY_SRGB_010\.png", p.name, re.IGNORECASE))
    if len(photos) != shape.images:
        raise DataError(f"{folder} holds {len(photos)} of {shape.images} benchmark photographs",
                        "<instance>/<NNNN>_NOISY_SRGB_010.PNG", "unpack the whole archive")
    cuts = []
    for photo in photos:
        height, width = image_size(photo)
        for row, column, h, w in table.tolist():
            if row - 1 + h > height or column - 1 + w > width:
                raise DataError(f"{photo} has {height} x {width} pixels: the block at {row}, {column} leaves it",
                                "the whole photograph, not turned or cut")
            cuts.append(Cut(photo, row - 1, column - 1, h, w))
    return CutImages(cuts, shape.names(), read_rgb)

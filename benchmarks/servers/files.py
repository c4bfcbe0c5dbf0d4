"""Files for the benchmark servers, written from restored images and checked by reading them back.

SIDD: `SubmitSrgb.csv` (header ``ID,BLOCK``; ID = 32 * image + block from 0; BLOCK = base64 of the C-order bytes of the
uint8 256 x 256 x 3 block), and the older `SubmitSrgb.mat`. DND: 50 bundles of 20 crops, float32 in [0, 1].
Source: the organisers' submission kits and the current competition's format.
"""

from __future__ import annotations

import base64
import binascii
import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from senm.support.errors import DataError
from senm.support.files import writable, write_atomically

if TYPE_CHECKING:
    from senm.data.pool import Images

SIDD_GRID = (40, 32)
SIDD_SIDE = 256
DND_GRID = (50, 20)
DND_SIDE = 512
CSV_NAME, MAT_NAME = "SubmitSrgb.csv", "SubmitSrgb.mat"


def encode_block(block: np.ndarray) -> str:
    """Base64 text of one uint8 (H, W, 3) RGB block."""
    return base64.b64encode(np.ascontiguousarray(block).tobytes()).decode("ascii")


def blocks_in_order(images: Images, grid: tuple[int, int], side: int) -> Iterator[np.ndarray]:
    """The images in the order of the server: by their names ``<image>_<block>``, counted from 1.

    Raises:
        DataError: missing or foreign names, or an image that is not uint8 (side, side, 3).
    """
    place = {name: index for index, name in enumerate(images.names)}
    wanted = [f"{i + 1:04d}_{j + 1:02d}" for i in range(grid[0]) for j in range(grid[1])]
    missing = [name for name in wanted if name not in place]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(wanted)} images are missing, the first is {missing[0]}",
            f"images named {wanted[0]} to {wanted[-1]}",
        )
    if len(place) != len(wanted):
        foreign = next(name for name in images.names if name not in set(wanted))
        raise DataError(f"{foreign!r} belongs to no block", f"exactly {len(wanted)} images")
    for name in wanted:
        block = images[place[name]]
        if block.dtype != np.uint8 or block.shape != (side, side, 3):
            raise DataError(f"{name} is {block.dtype} of shape {block.shape}", f"uint8 of shape ({side}, {side}, 3)")
        yield block


def write_csv(path: Path, blocks: Iterable[np.ndarray]) -> None:
    """Write SubmitSrgb.csv, row by row."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="ascii", newline="") as file:
            file.write("ID,BLOCK\n")
            for index, block in enumerate(blocks):
                file.write(f"{index},{encode_block(block)}\n")

    write_atomically(path, write)


def check_csv(path: Path, count: int = SIDD_GRID[0] * SIDD_GRID[1], side: int = SIDD_SIDE) -> None:
    """Read a SubmitSrgb.csv back and refuse anything that the server would.

    Raises:
        DataError: naming the first line that is wrong.
    """
    size = side * side * 3
    csv.field_size_limit(max(csv.field_size_limit(), 2 * size))
    rows = 0
    with path.open(encoding="ascii", newline="") as file:
        reader = csv.reader(file)
        head = next(reader, [])
        if head != ["ID", "BLOCK"]:
            raise DataError(f"{path} begins with {','.join(head)[:40]!r}", "the header ID,BLOCK")
        for rows, row in enumerate(reader, start=1):
            if len(row) != 2 or row[0] != str(rows - 1):
                found_id = row[0] if row else ""
                raise DataError(f"{path}, line {rows + 1}: ID {found_id!r}", f"ID {rows - 1} and one block")
            try:
                found = len(base64.b64decode(row[1], validate=True))
            except binascii.Error as error:
                raise DataError(f"{path}, line {rows + 1}: {error}", "base64") from None
            if found != size:
                raise DataError(f"{path}, line {rows + 1}: {found} bytes", f"{size} bytes, {side} x {side} x 3")
    if rows != count:
        raise DataError(f"{path} has {rows} blocks", f"{count} blocks")


def write_mat(
    path: Path, blocks: Iterable[np.ndarray], seconds: float = 0.0, about: dict[str, str] | None = None
) -> None:
    """Write the older SubmitSrgb.mat: a 40 x 32 cell of single blocks in [0, 1], the time, and optional texts."""
    cell = np.empty(SIDD_GRID, dtype=object)
    for index, block in enumerate(blocks):
        cell[divmod(index, SIDD_GRID[1])] = block.astype(np.float32) / 255
    pixels = SIDD_GRID[0] * SIDD_GRID[1] * SIDD_SIDE**2
    fields = ("MethodName", "Authors", "PaperTitle", "Venue", "MachineSpecs")
    _write_mat(
        path,
        {
            "DenoisedBlocksSrgb": cell,
            "TimeMPSrgb": seconds * 1024 * 1024 / pixels,
            "OptionalData": {name: (about or {}).get(name, "") for name in fields},
        },
        compressed=True,
    )


def _write_mat(path: Path, values: dict[str, Any], compressed: bool = False) -> None:
    """Write a MATLAB v5 file whole or not at all."""
    from scipy.io import savemat

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            savemat(file, values, do_compression=compressed)

    write_atomically(path, write)


def check_mat(path: Path, side: int = SIDD_SIDE) -> None:
    """Read a SubmitSrgb.mat back.

    Raises:
        DataError: wrong variables, shape, type or range.
    """
    from scipy.io import loadmat

    found: dict[str, Any] = loadmat(path)
    cell = found.get("DenoisedBlocksSrgb")
    if cell is None or cell.shape != SIDD_GRID:
        raise DataError(f"{path}: DenoisedBlocksSrgb is {None if cell is None else cell.shape}", f"a cell {SIDD_GRID}")
    for block in cell.ravel():
        if block.dtype != np.float32 or block.shape != (side, side, 3) or block.min() < 0 or block.max() > 1:
            raise DataError(f"{path}: a block is {block.dtype} {block.shape}", f"single {side} x {side} x 3 in [0, 1]")


def write_dnd(folder: Path, crops: Iterable[np.ndarray], grid: tuple[int, int] = DND_GRID) -> list[Path]:
    """Write the bundles 0001.mat to 0050.mat from crops in order of photograph and box.

    Args:
        crops: uint8 or float (512, 512, 3) RGB; uint8 is divided by 255, floats are clamped to [0, 1].
    """
    writable(folder)
    source, paths = iter(crops), []
    for photo in range(grid[0]):
        cell = np.empty((1, grid[1]), dtype=object)
        for box in range(grid[1]):
            crop = next(source)
            scaled = crop.astype(np.float32) / 255 if crop.dtype == np.uint8 else crop.clip(0, 1)
            cell[0, box] = scaled.astype(np.float32)
        path = folder / f"{photo + 1:04d}.mat"
        _write_mat(path, {"Idenoised": cell, "israw": False, "eval_version": "1.0"})
        paths.append(path)
    return paths


def check_dnd(folder: Path, grid: tuple[int, int] = DND_GRID, side: int = DND_SIDE) -> None:
    """Read the bundles back.

    Raises:
        DataError: a bundle is missing or not what the server takes.
    """
    from scipy.io import loadmat

    for photo in range(grid[0]):
        path = folder / f"{photo + 1:04d}.mat"
        if not path.is_file():
            raise DataError(f"{path} is missing", f"{grid[0]} bundles")
        found: dict[str, Any] = loadmat(path)
        cell = found.get("Idenoised")
        if cell is None or cell.shape != (1, grid[1]):
            raise DataError(f"{path}: Idenoised is {None if cell is None else cell.shape}", f"a cell (1, {grid[1]})")
        if found.get("israw") is None or bool(np.ravel(found["israw"])[0]):
            raise DataError(f"{path}: israw is set or missing", "israw = false")
        if str(np.ravel(found.get("eval_version", ""))[0]) != "1.0":
            raise DataError(f"{path}: eval_version is missing", "eval_version = '1.0'")
        for crop in cell.ravel():
            if crop.dtype != np.float32 or crop.shape != (side, side, 3) or crop.min() < 0 or crop.max() > 1:
                raise DataError(f"{path}: a crop is {crop.dtype} {crop.shape}", f"single {side} x {side} x 3 in [0, 1]")


def sidd(images: Images, out: Path, mat: bool = False) -> list[Path]:
    """Write and check the SIDD submission; returns its files."""
    write_csv(out / CSV_NAME, blocks_in_order(images, SIDD_GRID, SIDD_SIDE))
    check_csv(out / CSV_NAME)
    if not mat:
        return [out / CSV_NAME]
    write_mat(out / MAT_NAME, blocks_in_order(images, SIDD_GRID, SIDD_SIDE))
    check_mat(out / MAT_NAME)
    return [out / CSV_NAME, out / MAT_NAME]


def dnd(images: Images, out: Path) -> list[Path]:
    """Write and check the DND submission; returns its files."""
    paths = write_dnd(out, blocks_in_order(images, DND_GRID, DND_SIDE))
    check_dnd(out)
    return paths


def from_folder(folder: Path) -> Images:
    """The images of a folder, by their file names without extension.

    Raises:
        DataError: no such folder, or no images in it.
    """
    from senm.data.images import list_images
    from senm.data.pool import FileImages

    return FileImages(list_images(folder))

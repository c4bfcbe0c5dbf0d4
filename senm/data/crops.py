"""Random square crops from a pool, gathered in one step from its memory map instead of decoding files.

A crop row is one contiguous run of bytes in the pool, so a batch of crops is one indexed copy: no Python loop over
crops, and only the touched pages of the map are read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senm.data.images import encode_png, read_rgb
from senm.data.pool import ArrayImages, Images, RaggedImages
from senm.support.errors import DataError
from senm.support.files import write_bytes


@dataclass(frozen=True)
class Positions:
    """Where crops are cut: image number, top row and left column, integer (n,) each."""

    image: np.ndarray
    row: np.ndarray
    column: np.ndarray

    def __len__(self) -> int:
        return len(self.image)


class CropReader:
    """Crops of `size` x `size` pixels from one pool.

    Args:
        images: the pool; memory-mapped pools are gathered at once, others are read image by image.
        size: side of a crop in pixels.

    Raises:
        DataError: an image of the pool is smaller than a crop.
    """

    def __init__(self, images: Images, size: int) -> None:
        self.images, self.size = images, size
        self._flat: np.ndarray | None = None
        count = len(images)
        if isinstance(images, ArrayImages):
            self._flat = images.storage.reshape(-1).view(np.ndarray)
            height, width = images.storage.shape[1:3]
            rows = np.arange(count) if images.rows is None else images.rows
            self._offsets = rows * (height * width * 3)
            self.heights, self.widths = np.full(count, height), np.full(count, width)
        elif isinstance(images, RaggedImages):
            self._flat, self._offsets = images.flat.view(np.ndarray), images.offsets
            self.heights, self.widths = images.sizes[:, 0], images.sizes[:, 1]
        else:
            sizes = np.array([images.size(i) for i in range(count)], dtype=np.int64).reshape(-1, 2)
            self.heights, self.widths = sizes[:, 0], sizes[:, 1]
        small = np.flatnonzero((self.heights < size) | (self.widths < size))
        if len(small):
            i = int(small[0])
            raise DataError(f"image {images.names[i]} is {self.heights[i]}x{self.widths[i]} pixels",
                            f"at least {size}x{size} for crops of that size", "use a smaller crop or larger images")

    def draw(self, rng: np.random.Generator, count: int) -> Positions:
        """`count` positions: every image equally likely, every place inside it equally likely."""
        image = rng.integers(0, len(self.images), count)
        return Positions(image, rng.integers(0, self.heights[image] - self.size + 1),
                         rng.integers(0, self.widths[image] - self.size + 1))

    def read(self, where: Positions) -> np.ndarray:
        """The crops at these positions: uint8 (n, size, size, 3)."""
        side = self.size
        if self._flat is None:
            crops = [self.images[int(i)][r:r + side, c:c + side]
                     for i, r, c in zip(where.image, where.row, where.column, strict=True)]
            return np.stack(crops) if crops else np.zeros((0, side, side, 3), np.uint8)
        run, stride = side * 3, self.widths[where.image] * 3
        first = self._offsets[where.image] + where.row * stride + where.column * 3
        starts = first[:, None] + np.arange(side) * stride[:, None]
        if not len(starts):
            return np.zeros((0, side, side, 3), np.uint8)
        runs = np.lib.stride_tricks.as_strided(self._flat, (len(self._flat) - run + 1, run), (1, 1), writeable=False)
        return runs[starts].reshape(-1, side, side, 3)


def random_crops(images: Images, count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """`count` random crops of a pool: uint8 (count, size, size, 3)."""
    reader = CropReader(images, size)
    return reader.read(reader.draw(rng, count))


def augment(crops: np.ndarray, operation: np.ndarray) -> np.ndarray:
    """Turn and flip square crops: operation k in 0 .. 7 is k % 4 quarter turns, mirrored first where k >= 4.

    Args:
        crops: (n, c, c, 3).
        operation: integer (n,).
    """
    out = np.empty_like(crops)
    for k in range(8):
        chosen = np.flatnonzero(operation == k)
        if len(chosen):
            part = crops[chosen]
            out[chosen] = np.rot90(part[:, :, ::-1] if k >= 4 else part, k % 4, axes=(1, 2))
    return out


def throughput(images: Images, size: int = 64, batch: int = 256, seconds: float = 1.0) -> float:
    """Random crops a second from a pool on one thread, measured over about `seconds`."""
    reader, rng = CropReader(images, size), np.random.default_rng(0)
    reader.read(reader.draw(rng, batch))
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        reader.read(reader.draw(rng, batch))
        count += batch
    return count / spent


def throughput_from_png(images: Images, folder: Path, size: int = 64, seconds: float = 1.0, files: int = 32) -> float:
    """Random crops a second where every crop decodes a PNG first: what a loop over image files does.

    Args:
        images: the pool of `throughput`; its first `files` images are written to `folder` as PNG.
        folder: an existing scratch folder.
    """
    paths = [folder / f"{i}.png" for i in range(min(files, len(images)))]
    for i, path in enumerate(paths):
        write_bytes(path, encode_png(images[i]))
    rng, count, start = np.random.default_rng(0), 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        image = read_rgb(paths[rng.integers(len(paths))])
        row, column = rng.integers(image.shape[0] - size + 1), rng.integers(image.shape[1] - size + 1)
        np.ascontiguousarray(image[row:row + size, column:column + size])
        count += 1
    return count / spent

"""Noise patches: flat blocks of degraded photographs, and their injection into clean low-resolution images.

Source: Ji et al., CVPR-W 2020, section 3.2; limits, grid and grey values as in the published code (Tencent/Real-SR).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from senm.data.pool import Images
from senm.support.errors import DataError


def grey(image: np.ndarray) -> np.ndarray:
    """Luma of ITU-R 601, uint8 (H, W, 3) -> uint8 (H, W)."""
    return np.asarray(Image.fromarray(image).convert("L"))


def blocks(image: np.ndarray, size: int) -> np.ndarray:
    """Blocks of a photograph on a grid of their own size: float64 (n, 4) of row, column, variance and mean of grey.

    A block that ends exactly at the border is not looked at, as in the published code.
    """
    plane = grey(image)
    found = []
    for row in range(0, plane.shape[0] - size, size):
        for column in range(0, plane.shape[1] - size, size):
            block = plane[row : row + size, column : column + size].astype(np.float64)
            found.append((row, column, block.var(), block.mean()))
    return np.array(found, dtype=np.float64).reshape(-1, 4)


def flat(image: np.ndarray, size: int, variance: float, mean: float) -> np.ndarray:
    """Rows and columns of the blocks with less variance and a higher mean than these: int (n, 2), in order."""
    found = blocks(image, size)
    return found[(found[:, 2] < variance) & (found[:, 3] > mean), :2].astype(np.int64)


def collect(images: Images, size: int, variance: float, mean: float, flattest: float | None, most: int) -> np.ndarray:
    """The pool: uint8 (n, size, size, 3), flat blocks of all photographs in the order of their names.

    Args:
        flattest: share of all blocks, those of least variance, that is kept instead of those below `variance`.
        most: keep at most this many blocks, evenly spread.

    Raises:
        DataError: no block is left.
    """
    order = sorted(range(len(images)), key=lambda i: images.names[i])
    looked = [(i, *row) for i in order for row in blocks(images[i], size)]
    if not looked:
        raise DataError(f"no photograph is larger than a noise patch of {size} pixels", f"sides above {size}",
                        "set a smaller pool.size")
    table = np.array([row for row in looked if row[4] > mean]).reshape(-1, 5)
    limit = variance if flattest is None or not len(table) else np.quantile(table[:, 3], flattest)
    kept = table[table[:, 3] < limit] if flattest is None else table[table[:, 3] <= limit]
    if not len(kept):
        least = min(row[3] for row in looked)
        raise DataError(
            f"none of the {len(looked)} blocks of {size} pixels has a grey variance below {variance:g} and a mean "
            f"above {mean:g} (the least variance is {least:.1f}), so there are no noise patches",
            "at least one flat block", "raise pool.variance, lower pool.mean or pool.size, or set pool.flattest",
        )
    chosen = kept[np.unique(np.linspace(0, len(kept) - 1, min(most, len(kept))).round().astype(int))]
    return np.stack([images[int(i)][int(r) : int(r) + size, int(c) : int(c) + size] for i, r, c, *_ in chosen])


def inject(low: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """Add a patch without its mean: float32 (h, w, 3) in [0, 1] and uint8 of the same size -> float32, clamped."""
    noise = patch.astype(np.float32) / np.float32(255)
    return np.clip(low + (noise - noise.mean(axis=(0, 1), keepdims=True)), 0, 1)


def tiles(height: int, width: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of tiles of at most size x size pixels that cover an image."""
    for row in range(0, height, size):
        for column in range(0, width, size):
            yield slice(row, min(row + size, height)), slice(column, min(column + size, width))

"""Which pixels Noise2Void hides, and what it puts in their place.

Pixels come from a grid of boxes, one a box at a random place. A source of draws is a `numpy.random.Generator`, or
whatever has the same methods; draws are taken image by image in the order of the published code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np

Manipulator = Literal["uniform_withCP", "normal_withoutCP", "mean", "median"]
SPREAD = 4.0
WINDOW = 2


class Draws(Protocol):
    """The methods of `numpy.random.Generator` that are used here."""

    def random(self, size: Any, /) -> Any: ...

    def integers(self, low: Any, high: Any, /) -> Any: ...

    def normal(self, loc: Any, scale: Any, /) -> Any: ...


def box_size(percent: float) -> int:
    """Side of a box that holds one hidden pixel, where `percent` of all pixels are hidden."""
    return round(math.sqrt(100 / percent))


def places(height: int, width: int, box: int, draws: Draws) -> np.ndarray:
    """Hidden pixels of one patch: integer (n, 2), row and column; those that fall outside the patch are dropped."""
    rows, columns = -(-height // box), -(-width // box)
    corner = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1).reshape(-1, 2)
    found = (corner * box + np.asarray(draws.random((len(corner), 2))) * box).astype(np.int64)
    return found[(found[:, 0] < height) & (found[:, 1] < width)]


def uniform_with_own(patch: np.ndarray, at: np.ndarray, radius: int, draws: Draws) -> np.ndarray:
    """The value at a random place of the window of `radius` pixels around, clipped to the patch, own pixel allowed."""
    low = np.maximum(at - radius, 0)
    high = np.minimum(at + radius + 1, patch.shape)
    row, column = (low + np.asarray(draws.integers(0, high - low))).T
    return patch[row, column]


def normal(patch: np.ndarray, at: np.ndarray, radius: int, draws: Draws) -> np.ndarray:
    """The value at a place drawn normally around the pixel, rounded and clipped to the patch; it may be its own."""
    drawn = np.rint(np.asarray(draws.normal(at, SPREAD))).astype(np.int64)
    row, column = np.clip(drawn, 0, np.array(patch.shape) - 1).T
    return patch[row, column]


def of_window(reduce: Callable[[np.ndarray], Any]) -> Callable[..., np.ndarray]:
    """A manipulator that reduces the 5x5 pixels around, clipped to the patch, the centre left out."""

    def replace(patch: np.ndarray, at: np.ndarray, radius: int, draws: Draws) -> np.ndarray:
        values = np.empty(len(at), dtype=patch.dtype)
        for k, (row, column) in enumerate(at):
            top, left = max(row - WINDOW, 0), max(column - WINDOW, 0)
            window = patch[top : row + WINDOW + 1, left : column + WINDOW + 1]
            own = (row - top) * window.shape[1] + column - left
            values[k] = reduce(np.delete(window.ravel(), own))
        return values

    return replace


MANIPULATORS: dict[Manipulator, Callable[[np.ndarray, np.ndarray, int, Draws], np.ndarray]] = {
    "uniform_withCP": uniform_with_own,
    "normal_withoutCP": normal,
    "mean": of_window(np.mean),
    "median": of_window(np.median),
}


def masked(patches: np.ndarray, box: int, draws: Draws, manipulator: Manipulator = "uniform_withCP", radius: int = 5,
           shared: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Patches with hidden pixels, and the mask.

    Args:
        patches: (B, C, H, W), any scale.
        box: side of a box, from `box_size`.
        draws: source of random numbers.
        manipulator: what takes the place of a hidden pixel; its value comes from the patch before any replacement.
        radius: of the window of `uniform_withCP`.
        shared: all channels of an image hide the same pixels (the published code's validation); otherwise each has
            its own.

    Returns:
        network input and boolean mask (True where hidden), both (B, C, H, W).
    """
    replace = MANIPULATORS[manipulator]
    inputs, mask = patches.copy(), np.zeros(patches.shape, dtype=bool)
    count, channels, height, width = patches.shape
    common = [places(height, width, box, draws) for _ in range(count)] if shared else []
    for channel in range(channels):
        for image in range(count):
            at = common[image] if shared else places(height, width, box, draws)
            values = replace(patches[image, channel], at, radius, draws)
            inputs[image, channel, at[:, 0], at[:, 1]] = values
            mask[image, channel, at[:, 0], at[:, 1]] = True
    return inputs, mask

"""Restored images that are not rounded to 8 bit, kept as two bytes a value: the 8-bit level and what is left of it.

The first byte is the ordinary image, so whatever shows or reads 8-bit images needs to know nothing of the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    from senm.data.pool import Images

PEAK, PARTS, MIDDLE = 255, 254, 127  # a level has 254 parts, 127 on either side


def split(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Float (H, W, 3) in [0, 1] -> its level, rounded half to even, and the rest in parts of a level: uint8 both."""
    scaled = image.astype(np.float32) * np.float32(PEAK)
    level = np.rint(scaled)
    return level.astype(np.uint8), np.rint((scaled - level) * PARTS + MIDDLE).astype(np.uint8)


def join(level: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """What `split` was given, to 1/508 of a level: float64 (H, W, 3) in [0, 1]."""
    return np.clip((level + (rest.astype(np.float64) - MIDDLE) / PARTS) / PEAK, 0, 1)


class ExactImages(Sequence[np.ndarray]):
    """Images as float64 (H, W, 3) in [0, 1], from their levels and the rests."""

    def __init__(self, levels: Images, rests: Images) -> None:
        self.levels, self.rests = levels, rests

    def __len__(self) -> int:
        return len(self.levels)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> ExactImages: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return ExactImages(self.levels[index], self.rests[index])
        return join(self.levels[index], self.rests[index])


def read_exact(folder: Path) -> ExactImages | None:
    """The images that a restore step wrote, not rounded; None where it wrote 8-bit images only."""
    from senm.data.prepared import PreparedData

    data = PreparedData.open(folder / "images")
    if "rest" not in data.manifest.pools["generated"].sides:
        return None
    return ExactImages(data.images("generated", "noisy"), data.images("generated", "rest"))

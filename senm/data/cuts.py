"""Pools cut out of large photographs on access: one photograph is kept decoded, so read them in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from senm.data.pool import Images


@dataclass(frozen=True)
class Cut:
    """A rectangle of a photograph: top row and left column counted from 0, height and width in pixels."""

    photo: Path
    row: int
    column: int
    height: int
    width: int

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """This rectangle of the decoded photograph (H, W, 3), as a copy."""
        return pixels[self.row : self.row + self.height, self.column : self.column + self.width].copy()


class CutImages(Images):
    """Rectangles of photographs as a pool.

    Args:
        cuts: the rectangles, best in the order of their photographs.
        names: one unique name a rectangle.
        load: decodes one photograph to uint8 (H, W, 3).
    """

    def __init__(self, cuts: Iterable[Cut], names: Iterable[str], load: Callable[[Path], np.ndarray]) -> None:
        self.cuts, self.names, self.load = tuple(cuts), tuple(names), load
        self._held: tuple[Path, np.ndarray] | None = None

    def read(self, index: int) -> np.ndarray:
        cut = self.cuts[index]
        if self._held is None or self._held[0] != cut.photo:
            self._held = None  # free the photograph before the next one is decoded
            self._held = (cut.photo, self.load(cut.photo))
        return cut.of(self._held[1])

    def size(self, index: int) -> tuple[int, int]:
        return self.cuts[index].height, self.cuts[index].width

    def subset(self, indices: Iterable[int]) -> CutImages:
        chosen = list(indices)
        return CutImages([self.cuts[i] for i in chosen], [self.names[i] for i in chosen], self.load)

"""Crops of the adversarial stage: pairs, and where asked their pixel weights and unrelated real images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from baselines.fitting.pairs import Mixing, PairSampler
from senm.data.crops import CropReader, Positions, augment
from senm.data.domains import to_tensor
from senm.support.errors import DataError
from senm.support.seeding import rng

if TYPE_CHECKING:
    from senm.data.pool import Images, Pairs

Weights = Sequence[Sequence[np.ndarray]]
"""For each set of pairs, a weight map (h, w) an image at the size of its low-resolution side."""


@dataclass(frozen=True)
class Crops:
    """float32 (B, 3, c, c) in [0, 1] of low resolution, four times that of high.

    weight: (B, 1, c, c), belongs to `low`. real: degraded photographs, other: high-resolution images unrelated to all.
    """

    low: Tensor
    high: Tensor
    weight: Tensor | None = None
    real: Tensor | None = None
    other: Tensor | None = None

    def to(self, device: torch.device) -> Crops:
        """The same crops on another device."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        moved = {name: value.to(device, non_blocking=True) for name, value in given.items() if value is not None}
        return Crops(**moved)


class CropSampler(PairSampler):
    """`PairSampler` with weight maps and unrelated images; all of a sample's crops are turned alike.

    Raises:
        DataError: as `PairSampler`; also weight maps that do not fit the images, or no real images.
    """

    def __init__(self, sources: Sequence[Pairs], *, mixing: Mixing, batch: int, crop: int, seed: int, turn: bool,
                 factor: int, weights: Weights | None, real: Images | None) -> None:
        super().__init__(sources, mixing=mixing, batch=batch, crop=crop, seed=seed, turn=turn, factor=factor)
        self.maps = weights
        for pairs, noisy, maps in zip(sources, self.noisy, weights or (), strict=weights is not None):
            if len(maps) != len(pairs):
                raise DataError(f"{len(maps)} weight maps for {len(pairs)} pairs", "one weight map a pair")
            for i, each in enumerate(maps):
                size = (int(noisy.heights[i]), int(noisy.widths[i]))
                if each.shape != size:
                    raise DataError(f"the weight map of {pairs.names[i]} has shape {each.shape}", f"{size}")
        if real is not None and not len(real):
            raise DataError("there are no real low-resolution images", "degraded photographs for the adversarial term")
        self.real = None if real is None else CropReader(real, crop)

    def crops(self, step: int) -> Crops:
        """The crops of this step; `low` and `high` are those of `batch`."""
        draw = rng("pairs", self.seed, step)
        chosen = draw.multinomial(self.size, self.weights)
        low, high, weight = [], [], []
        for which, count in enumerate(chosen):
            if count:
                at = self.noisy[which].draw(draw, int(count))
                low.append(self.noisy[which].read(at))
                high.append(self.clean[which].read(Positions(at.image, at.row * self.factor, at.column * self.factor)))
                if self.maps is not None:
                    weight += [self.maps[which][i][r : r + self.crop, c : c + self.crop]
                               for i, r, c in zip(at.image, at.row, at.column, strict=True)]
        turns = draw.integers(0, 8 if self.turn else 1, self.size)
        maps = augment(np.stack(weight)[..., None], turns) if weight else None
        real, other = self._unrelated(step, turns)
        return Crops(
            to_tensor(augment(np.concatenate(low), turns)), to_tensor(augment(np.concatenate(high), turns)),
            None if maps is None else torch.from_numpy(maps).permute(0, 3, 1, 2).float(), real, other,
        )

    def _unrelated(self, step: int, turns: np.ndarray) -> tuple[Tensor | None, Tensor | None]:
        if self.real is None:
            return None, None
        draw = rng("unrelated", self.seed, step)
        real = self.real.read(self.real.draw(draw, self.size))
        chosen = draw.multinomial(self.size, self.weights)
        other = [reader.read(reader.draw(draw, int(n))) for reader, n in zip(self.clean, chosen, strict=True)]
        return to_tensor(augment(real, turns)), to_tensor(augment(np.concatenate(other), turns))

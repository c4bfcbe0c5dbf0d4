"""Training crops as pure functions of (seed, step): from one or more sets of pairs, or from two unpaired pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from torch import Tensor

from senm.data.crops import CropReader, Positions, augment
from senm.data.domains import to_tensor
from senm.support.errors import DataError, SettingsError
from senm.support.seeding import rng

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images, Pairs

Mixing = Literal["by_size", "equal"] | tuple[float, ...]


class PairSampler:
    """Batches of aligned (noisy, clean) crops from several sets of pairs.

    Args:
        sources: sets of pairs; the clean side is `factor` times larger.
        mixing: how often each set is drawn: by its number of pairs, equally often, or by given weights.
        batch: crops a step.
        crop: side of a noisy crop in pixels; the clean crop is `factor` times that.
        seed: names the random stream together with the step.
        turn: flips and quarter turns, 8 ways.

    Raises:
        DataError: no pairs at all, an image smaller than a crop, sides that do not fit each other.
        SettingsError: one weight a source is needed, none negative, not all 0 over non-empty sources.
    """

    def __init__(
        self,
        sources: Sequence[Pairs],
        *,
        mixing: Mixing,
        batch: int,
        crop: int,
        seed: int,
        turn: bool = True,
        factor: int = 1,
    ) -> None:
        self.weights = source_weights([len(source) for source in sources], mixing)
        self.size, self.crop, self.seed, self.turn, self.factor = batch, crop, seed, turn, factor
        self.noisy = [CropReader(source.noisy, crop) for source in sources]
        self.clean = [CropReader(source.clean, crop * factor) for source in sources]
        for source, noisy, clean in zip(sources, self.noisy, self.clean, strict=True):
            differ = (clean.heights != factor * noisy.heights) | (clean.widths != factor * noisy.widths)
            if differ.any():
                i = int(np.flatnonzero(differ)[0])
                raise DataError(
                    f"pair {source.names[i]}: clean is {clean.heights[i]}x{clean.widths[i]}, degraded "
                    f"{noisy.heights[i]}x{noisy.widths[i]} pixels",
                    f"a clean side of {factor} times the degraded one",
                )

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """(noisy, clean) of this step: float32 (batch, 3, crop, crop) and (batch, 3, f * crop, f * crop) in [0, 1]."""
        draw = rng("pairs", self.seed, step)
        chosen = draw.multinomial(self.size, self.weights)
        noisy, clean = [], []
        for count, low, high in zip(chosen, self.noisy, self.clean, strict=True):
            if count:
                at = low.draw(draw, int(count))
                noisy.append(low.read(at))
                clean.append(high.read(Positions(at.image, at.row * self.factor, at.column * self.factor)))
        turns = draw.integers(0, 8 if self.turn else 1, self.size)
        return (
            to_tensor(augment(np.concatenate(noisy), turns)),
            to_tensor(augment(np.concatenate(clean), turns)),
        )


class UnpairedSampler:
    """Clean and noisy crops drawn separately: clean from the source domain, noisy from the target domain.

    Both sides of any pairs join their pool, without their pairing.

    Raises:
        DataError: no clean or no noisy images, or an image smaller than a crop.
    """

    def __init__(self, domains: Domains, *, batch: int, crop: int, seed: int, turn: bool = True) -> None:
        self.clean = _readers("clean", (domains.source, domains.paired.clean), crop)
        self.noisy = _readers("noisy", (domains.target, domains.paired.noisy), crop)
        self.size, self.seed, self.turn = batch, seed, turn

    def batch(self, stream: str, step: int) -> tuple[Tensor, Tensor]:
        """(clean, noisy) of this step, unrelated: float32 (batch, 3, crop, crop) in [0, 1] each."""
        draw = rng("unpaired", stream, self.seed, step)
        return self._side(self.clean, draw), self._side(self.noisy, draw)

    def _side(self, readers: Sequence[CropReader], draw: np.random.Generator) -> Tensor:
        share = np.array([len(reader.images) for reader in readers], dtype=float)
        chosen = draw.multinomial(self.size, share / share.sum())
        crops = [reader.read(reader.draw(draw, int(n))) for reader, n in zip(readers, chosen, strict=True)]
        return to_tensor(augment(np.concatenate(crops), draw.integers(0, 8 if self.turn else 1, self.size)))


def source_weights(sizes: Sequence[int], mixing: Mixing) -> np.ndarray:
    """Probability of each source, float64 (len(sizes),); empty sources get 0."""
    if not sum(sizes):
        raise DataError("there are no pairs to train on", "at least one pair")
    if mixing == "by_size":
        weights = np.array(sizes, dtype=float)
    elif mixing == "equal":
        weights = np.array([1.0 if size else 0.0 for size in sizes])
    else:
        if len(mixing) != len(sizes) or min(mixing) < 0:
            raise SettingsError(f"mixing is {mixing} for {len(sizes)} sets of pairs", "one weight of 0 or more a set")
        weights = np.array([weight if size else 0.0 for weight, size in zip(mixing, sizes, strict=True)], dtype=float)
    if not weights.sum():
        raise SettingsError(f"mixing {mixing} gives weight 0 to every set that has pairs", "a weight above 0")
    return weights / weights.sum()


def _readers(side: str, pools: Sequence[Images], crop: int) -> list[CropReader]:
    readers = [CropReader(pool, crop) for pool in pools if len(pool)]
    if not readers:
        raise DataError(f"there are no {side} images", "a source and a target domain, or pairs")
    return readers

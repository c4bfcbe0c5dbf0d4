"""Matching the colour statistics of two domains, as LUD-VAE does where they differ by more than noise (AIM19)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from senm.support.errors import DataError

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images


@dataclass(frozen=True)
class Matching:
    """Mean and standard deviation of each channel of both domains, float64 (2, 2, 3) in [0, 1].

    Axes: clean or noisy, mean or deviation, red, green and blue.
    """

    values: Tensor

    @classmethod
    def of_levels(cls, clean: tuple[tuple[float, ...], ...], noisy: tuple[tuple[float, ...], ...]) -> Matching:
        """From (mean, deviation) of each domain on the scale of 8-bit levels."""
        return cls(torch.tensor([clean, noisy], dtype=torch.float64) / 255)

    @classmethod
    def measured(cls, domains: Domains) -> Matching:
        """Statistics of all pixels of a domain pooled; both sides of any pairs join their domain.

        Raises:
            DataError: a domain is empty, or a channel has one value only.
        """
        clean = pooled("clean", (domains.source, domains.paired.clean))
        noisy = pooled("noisy", (domains.target, domains.paired.noisy))
        return cls(torch.from_numpy(np.stack([clean, noisy])))

    def to_clean(self, noisy: Tensor) -> Tensor:
        """Noisy images (N, 3, H, W) with the statistics of clean ones, clamped to [0, 1]."""
        return self._moved(noisy, 1, 0).clamp(0, 1)

    def to_noisy(self, clean: Tensor) -> Tensor:
        """Images (N, 3, H, W) with the statistics of clean ones, given those of noisy ones; not clamped."""
        return self._moved(clean, 0, 1)

    def _moved(self, images: Tensor, origin: int, goal: int) -> Tensor:
        values = self.values.to(images)[..., None, None]
        (mean, deviation), (new_mean, new_deviation) = values[origin], values[goal]
        return (images - mean) / deviation * new_deviation + new_mean


AIM19 = Matching.of_levels(
    clean=((114.69150172, 111.67491841, 103.26490806), (70.6325031, 67.0257846, 72.95698077)),
    noisy=((120.96351636, 115.84200238, 104.9237979), (61.84091623, 59.79885696, 65.42669225)),
)
"""The numbers that the published code holds for AIM 2019, degraded and reduced clean images."""


def pooled(side: str, pools: Iterable[Images]) -> np.ndarray:
    """Mean and standard deviation of each channel over all pixels of all images, (2, 3) in [0, 1].

    Raises:
        DataError: there is no image, or a channel has one value only.
    """
    count, total, squares = 0, np.zeros(3), np.zeros(3)
    for pool in pools:
        for index in range(len(pool)):
            pixels = pool[index].reshape(-1, 3) / 255.0
            count += len(pixels)
            total += pixels.sum(0)
            squares += (pixels**2).sum(0)
    if not count:
        raise DataError(f"there are no {side} images", "a source and a target domain, or pairs")
    mean = total / count
    variance = squares / count - mean**2
    if (variance < 1e-12).any():
        raise DataError(f"a channel of the {side} images has one value only", "images whose colours vary",
                        "set matching=none")
    return np.stack([mean, np.sqrt(variance)])

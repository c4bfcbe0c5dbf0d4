"""Matching of channel statistics: degraded images take the colours of clean ones before the flow sees them.

(Wolf et al., CVPR 2021, section 4.1.) Means and deviations are of values 0..255, R G B; the image and its reduction
have numbers of their own. Generation goes the other way, with the numbers of the image alone.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from senm.data.formats.bicubic import reduce
from senm.data.pool import Images

IMAGES = 64


class Statistics(NamedTuple):
    """Mean and deviation of the three channels, values 0..255."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class Matching(NamedTuple):
    """Statistics of clean and degraded images and of their reductions."""

    clean: Statistics
    clean_low: Statistics
    degraded: Statistics
    degraded_low: Statistics

    def tensor(self) -> Tensor:
        """float32 (4, 2, 3), for a checkpoint."""
        return torch.tensor([[part.mean, part.deviation] for part in self])

    @classmethod
    def from_tensor(cls, table: Tensor) -> Self:
        """The inverse of `tensor`."""
        return cls(*(Statistics(tuple(mean), tuple(deviation)) for mean, deviation in table.tolist()))


AIM19 = Matching(
    clean=Statistics((114.47609804, 111.67182033, 103.29093697), (59.98190873, 57.2422813, 59.9127576)),
    clean_low=Statistics((114.36107384, 111.57875743, 103.19098391), (53.36256634, 50.91536884, 54.04613198)),
    degraded=Statistics((120.71678252, 115.66740282, 104.7566205), (54.14952531, 52.60073718, 55.64991431)),
    degraded_low=Statistics((120.71671803, 115.66735471, 104.75649595), (50.67423609, 49.07204813, 52.3704119)),
)
"""The published numbers of AIM 2019; how they were made is not published."""


def matched(x: Tensor, source: Statistics, target: Statistics) -> Tensor:
    """An image (..., 3, H, W) in [0, 1] with the statistics `source` moved to those of `target`; not clamped."""
    table = torch.tensor([*source, *target], dtype=x.dtype, device=x.device)[:, :, None, None] / 255
    mean, deviation, to_mean, to_deviation = table
    return (x - mean) / deviation * to_deviation + to_mean


def measured(clean: list[Images], degraded: list[Images], scale: int) -> Matching:
    """Statistics of data without published ones: means over images of each image's channel mean and deviation.

    Up to 64 images a pool, evenly spread. Averages of single images' deviations are what the published numbers of
    AIM 2019 look like: deviations of all pixels together would be larger.
    """
    return Matching(*_both(clean, scale), *_both(degraded, scale))


def _both(pools: list[Images], scale: int) -> tuple[Statistics, Statistics]:
    full, low = [], []
    for images in pools:
        for index in range(0, len(images), -(-len(images) // IMAGES) or 1):
            image = images[index]
            full.append(image.reshape(-1, 3))
            low.append(reduce(cut(image, scale), scale).reshape(-1, 3))
    return _average(full), _average(low)


def _average(images: list[np.ndarray]) -> Statistics:
    mean = np.mean([image.mean(0) for image in images], 0)
    deviation = np.mean([image.std(0) for image in images], 0)
    return Statistics(tuple(mean.tolist()), tuple(np.maximum(deviation, 1.0).tolist()))


def cut(image: np.ndarray, multiple: int) -> np.ndarray:
    """The image (H, W, 3) without the rows at the bottom and columns at the right beyond a multiple."""
    height, width = image.shape[:2]
    return image[: height - height % multiple, : width - width % multiple]

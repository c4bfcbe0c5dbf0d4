"""Fixed random convolution features that see the structure of noise: its strength, grain, colour and signal dependence.

Three scales (full, half, quarter size by averaging); at each, random 3x3 filters without a mean answer to local
variation, and a second layer of filters over the magnitudes of the answers sees how variation goes with content.
Magnitudes are averaged over windows of 32x32 pixels, and each window is one sample. Everything is float64 and the
filters come from named seed streams, so that the numbers are the same on every machine to rounding.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.metrics.arrays import Array, ImageSet, uint8

if TYPE_CHECKING:
    import torch

VERSION, STREAM = "fd-random 2", "fd-random 1"  # the filters are those of version 1, the distance is exact since 2
SCALES = 3
FIRST, SECOND = 16, 8
WINDOW = 32


@functools.lru_cache(maxsize=1)
def filters() -> tuple[tuple[Array, Array], ...]:
    """For each scale, filters (16, 3, 3, 3) and (8, 16, 3, 3), each of unit norm, the first also of zero mean."""
    from senm.support import seeding

    result = []
    for scale in range(SCALES):
        first = seeding.rng(STREAM, "first", scale).standard_normal((FIRST, 3, 3, 3))
        first -= first.mean((2, 3), keepdims=True)
        second = seeding.rng(STREAM, "second", scale).standard_normal((SECOND, FIRST, 3, 3))
        result.append(tuple(bank / np.sqrt((bank**2).sum((1, 2, 3), keepdims=True)) for bank in (first, second)))
    return tuple((first, second) for first, second in result)


def random_features(images: ImageSet, *, device: str = "cpu") -> Array:
    """Features (windows, 72) in grey levels: one row a 32x32 window, windows of an image in raster order.

    An image smaller than a window gives one row; pixels beyond the last whole window are left out.
    """
    import torch

    banks = [[torch.from_numpy(bank).to(device) for bank in pair] for pair in filters()]
    rows = [_features(torch.from_numpy(np.array(*uint8(image))).to(device), banks) for image in images]
    return np.concatenate(rows)


def _features(image: torch.Tensor, banks: list[list[torch.Tensor]]) -> Array:
    from torch.nn import functional

    x = image.permute(2, 0, 1)[None].double()
    columns = []
    for scale, (first, second) in enumerate(banks):
        if scale:
            x = functional.avg_pool2d(x, 2, ceil_mode=True)
        answers = functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), first).abs()
        joint = functional.conv2d(functional.pad(answers, (1, 1, 1, 1), mode="replicate"), second).abs()
        for maps in (answers, joint):
            window = [min(WINDOW >> scale, side) for side in maps.shape[2:]]
            columns.append(functional.avg_pool2d(maps, window))
    height, width = (min(c.shape[axis] for c in columns) for axis in (2, 3))
    cells = [c[0, :, :height, :width].flatten(1).T for c in columns]
    features: Array = np.concatenate([c.cpu().numpy() for c in cells], axis=1)
    return features

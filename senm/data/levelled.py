"""Clean images that know how strong the noise on their real partner is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from senm.data.pool import Images, Pairs


class LevelledImages(Images):
    """A pool of images with a degradation level each, which a noise model with the level source `measured` obeys.

    Args:
        images: the pool.
        levels: standard deviations in [0, 1] units by the images' names.
    """

    def __init__(self, images: Images, levels: Mapping[str, float]) -> None:
        self.images, self.levels, self.names = images, levels, images.names

    def read(self, index: int) -> np.ndarray:
        return self.images.read(index)

    def size(self, index: int) -> tuple[int, int]:
        return self.images.size(index)

    def subset(self, indices: Iterable[int]) -> LevelledImages:
        return LevelledImages(self.images.subset(indices), self.levels)


def level_of_pair(pairs: Pairs, index: int) -> float:
    """`level_between` of a pair."""
    return level_between(pairs.noisy[index], pairs.clean[index])


def level_between(noisy: np.ndarray, clean: np.ndarray) -> float:
    """std(noisy - clean) of uint8 images over (H, W, C), in [0, 1] units."""
    return float(((noisy.astype(np.float32) - clean) / 255).std(ddof=1))


def levelled(pairs: Pairs) -> LevelledImages:
    """The clean images of pairs at the levels measured on these."""
    return LevelledImages(pairs.clean, {name: level_of_pair(pairs, i) for i, name in enumerate(pairs.names)})

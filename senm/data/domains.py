"""The three domains of semi-supervised training and the sampler that draws batches from them.

Paired samples are clean and noisy images of the same scene, source samples are clean only, target samples noisy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from senm.data.crops import CropReader, augment
from senm.data.pool import Images, Pairs, empty_images, empty_pairs
from senm.support import seeding
from senm.support.errors import DataError, UsageError


@dataclass(frozen=True)
class Domains:
    """Training data by domain; each may be empty. Source holds clean images, target noisy ones."""

    paired: Pairs = field(default_factory=empty_pairs)
    source: Images = field(default_factory=empty_images)
    target: Images = field(default_factory=empty_images)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Number of images in the paired, source and target domain."""
        return len(self.paired), len(self.source), len(self.target)


@dataclass(frozen=True)
class Batch:
    """Crops by domain, float32 in [0, 1]. Rows 0 .. paired - 1 of `x` and `y` show the same scenes.

    x: clean, (paired + source, 3, c, c), paired rows first. y: noisy, (paired + target, 3, c, c), paired rows first.
    """

    x: torch.Tensor
    y: torch.Tensor
    paired: int
    source: int
    target: int

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(self.x.to(device, non_blocking=True), self.y.to(device, non_blocking=True),
                     self.paired, self.source, self.target)

    def __len__(self) -> int:
        return self.paired + self.source + self.target


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) in [0, 1]."""
    planar = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return planar.to(torch.float32, memory_format=torch.contiguous_format).div_(255)


class DomainSampler:
    """Batches of random crops whose samples come from the three domains at random.

    Each sample's domain is drawn independently; empty domains are left out and the other weights grow accordingly.
    Inside a domain every image and every place is equally likely. `batch(step)` depends on the seed and the step
    alone, so that a resumed training sees the data it would have seen.

    Args:
        domains: the data.
        batch: samples a batch.
        crop: side of the square crops in pixels.
        seed: seed of the stream.
        augment: draw one of the 8 flips and quarter turns for each sample (the same for both sides of a pair).
        weights: relative probability of the paired, source and target domain.

    Raises:
        DataError: no data, an image smaller than a crop, or a pair whose sides differ in size.
        UsageError: a batch, crop or weight out of range.
    """

    def __init__(self, domains: Domains, batch: int, crop: int, seed: int, augment: bool = True,
                 weights: Sequence[float] = (1.0, 1.0, 1.0)) -> None:
        if batch < 1 or crop < 1:
            raise UsageError(f"batch {batch} and crop {crop}", "both at least 1")
        if len(weights) != 3 or min(weights) < 0:
            raise UsageError(f"domain weights {tuple(weights)}", "three numbers, none below 0")
        mass = np.array(weights, dtype=np.float64) * (np.array(domains.counts) > 0)
        if not mass.sum() > 0:
            raise DataError(f"no training data (paired, source, target: {domains.counts}; weights {tuple(weights)})",
                            "at least one image in a domain of positive weight")
        self.domains, self.size, self.seed, self.augment = domains, batch, seed, augment
        self.crop, self.probabilities = crop, mass / mass.sum()
        self._clean = CropReader(domains.paired.clean, crop)
        self._noisy = CropReader(domains.paired.noisy, crop)
        self._source, self._target = CropReader(domains.source, crop), CropReader(domains.target, crop)
        differ = (self._clean.heights != self._noisy.heights) | (self._clean.widths != self._noisy.widths)
        if differ.any():
            i = int(np.flatnonzero(differ)[0])
            clean, noisy = (f"{r.heights[i]}x{r.widths[i]}" for r in (self._clean, self._noisy))
            raise DataError(f"pair {domains.paired.names[i]}: clean is {clean}, noisy {noisy} pixels",
                            "pairs of equal size")

    def batch(self, step: int) -> Batch:
        """The batch of this step."""
        rng = seeding.rng("batch", self.seed, step)
        domain = rng.choice(3, size=self.size, p=self.probabilities)
        p, s, t = (int(n) for n in np.bincount(domain, minlength=3))
        pairs = self._clean.draw(rng, p) if p else None
        source = self._source.draw(rng, s) if s else None
        target = self._target.draw(rng, t) if t else None
        turn = rng.integers(0, 8, self.size) if self.augment else np.zeros(self.size, dtype=np.int64)
        clean = [r.read(at) for r, at in ((self._clean, pairs), (self._source, source)) if at is not None]
        noisy = [r.read(at) for r, at in ((self._noisy, pairs), (self._target, target)) if at is not None]
        return Batch(self._tensor(clean, turn[:p + s]), self._tensor(noisy, np.concatenate([turn[:p], turn[p + s:]])),
                     p, s, t)

    def _tensor(self, parts: list[np.ndarray], turn: np.ndarray) -> torch.Tensor:
        if not parts:
            return torch.zeros((0, 3, self.crop, self.crop))
        crops = np.concatenate(parts)
        return to_tensor(augment(crops, turn) if self.augment else crops)

"""Level, spectrum and denoising of a noise model on pairs: is the noise that it makes the noise of the photographs?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from senm.data.levelled import level_between
from senm.data.pool import ArrayImages, Pairs
from senm.model import SeNMVAE
from senm.sampling.trained import Trained
from senm.support.progress import NullProgress, Progress
from senm.training.health import Health

SIDE, PAIRS, RINGS = 256, 16, 12
"""Side in pixels of the centre crop of a pair, pairs that are measured, and rings of the spectrum."""
SHOWN = 4


@dataclass(frozen=True)
class Quality:
    """What was measured. Levels are standard deviations in [0, 1] units, powers variances by ring of frequency.

    Attributes:
        held_out: whether the pairs were kept back from everything fitted.
        seen: how many of them are in the unpaired training data all the same.
        levels: (asked, made) for each pair.
        real, made: power of the noise by ring, from slow to fast, mean over the pairs.
        noisy, denoised: mean PSNR in dB to the clean images; None of a network that cannot denoise.
        alarms: what the training noted.
    """

    pairs: int
    held_out: bool
    seen: int
    levels: tuple[tuple[float, float], ...]
    real: tuple[float, ...]
    made: tuple[float, ...]
    noisy: float
    denoised: float | None
    alarms: tuple[str, ...] = ()
    pictures: tuple[np.ndarray, ...] = field(default=(), compare=False)

    @property
    def errors(self) -> list[float]:
        """made / asked - 1 of each pair."""
        return [made / asked - 1 for asked, made in self.levels if asked > 0]

    @property
    def decibels(self) -> list[float]:
        """Power of the generated noise against the real one by ring."""
        return [10 * math.log10(max(m, 1e-12) / max(r, 1e-12)) for r, m in zip(self.real, self.made, strict=True)]

    def lines(self) -> list[str]:
        """At most ten lines for a terminal."""
        where = (f"measured on {self.pairs} held-out pair{'s' * (self.pairs > 1)}, on which nothing was fitted"
                 if self.held_out else
                 f"measured on {self.pairs} pairs of the training itself, which flatters: none was kept back")
        found = [where]
        if self.seen:
            found.append(f"warning: {self.seen} of them are among the training images too, which flatters")
        shown = sorted(self.levels)[:: max(1, -(-len(self.levels) // SHOWN))]
        off = sorted(abs(error) for error in self.errors) or [math.nan]
        found.append("level asked > made: " + ", ".join(f"{asked:.4f} > {made:.4f}" for asked, made in shown)
                     + f" (off by {off[len(off) // 2]:.0%}, at worst {off[-1]:.0%})")
        rms = math.sqrt(sum(d * d for d in self.decibels) / len(self.decibels))
        found.append("spectrum, made against real, slow to fast: "
                     + " ".join(f"{value:+.1f}" for value in self.decibels[::2]) + f" dB (rms {rms:.1f})")
        if self.denoised is None:
            return [*found, *self.alarms][:9]
        found.append(f"denoising: {self.denoised:.2f} dB, the noisy images {self.noisy:.2f} dB "
                     f"({self.denoised - self.noisy:+.2f})")
        if self.denoised < self.noisy:
            found.append("warning: denoising with this model is worse than doing nothing; train a denoiser on its "
                         "synthetic pairs instead")
        return [*found, *self.alarms][:9]

    def record(self) -> dict[str, Any]:
        """For JSON: everything but the pictures."""
        return {name: value for name, value in asdict(self).items() if name != "pictures"}


def centre(image: np.ndarray) -> np.ndarray:
    """The centre of an image, at most `SIDE` pixels a side."""
    top, left = (max(0, (side - SIDE) // 2) for side in image.shape[:2])
    return image[top : top + SIDE, left : left + SIDE]


def measure(trained: Trained, pairs: Pairs, *, held_out: bool, seen: int = 0, seed: int = 0,
            progress: Progress | None = None) -> Quality:
    """What a model is worth on pairs; nothing is fitted and nothing chosen.

    Args:
        held_out: whether the pairs were kept back.
        seen: see `Quality`.
    """
    at = range(0, len(pairs), max(1, -(-len(pairs) // PAIRS)))
    levels, rings, psnr, pictures = [], [], [], []
    with (progress or NullProgress()).task("measuring", len(at)) as task:
        for i in at:
            clean, noisy = centre(pairs.clean[i]), centre(pairs.noisy[i])
            asked = level_between(noisy, clean)
            (made,) = trained.sample(pool(clean, pairs.names[i]), seed=seed, level=asked)
            levels.append((asked, level_between(made, clean)))
            rings.append([spectrum(image.astype(np.float64) - clean) for image in (noisy, made)])
            restored = next(denoised(trained, noisy, pairs.names[i]), None)
            psnr.append([decibel(noisy, clean), math.nan if restored is None else decibel(restored, clean)])
            pictures.append((clean, noisy, made, *([] if restored is None else [restored])))
            task.advance()
    strongest = max(range(len(levels)), key=lambda i: levels[i][0])
    real, generated = (tuple(float(v) for v in mean) for mean in np.mean(rings, axis=0))
    before, after = (float(v) for v in np.mean(psnr, axis=0))
    return Quality(len(levels), held_out, seen, tuple(levels), real, generated, before,
                   None if math.isnan(after) else after, tuple(alarms(trained.health)), pictures[strongest])


def alarms(health: dict[str, Any]) -> list[str]:
    """The sentences of a training's health."""
    return Health(**{name: value for name, value in health.items() if name in Health.__dataclass_fields__}).alarms()


def pool(image: np.ndarray, name: str) -> ArrayImages:
    """One image as a pool."""
    return ArrayImages(image[None], [name])


def denoised(trained: Trained, noisy: np.ndarray, name: str) -> Iterator[np.ndarray]:
    """The denoised image, or nothing of a network that cannot."""
    return trained.denoise(pool(noisy, name)) if isinstance(trained.network, SeNMVAE) else iter(())


def decibel(image: np.ndarray, clean: np.ndarray) -> float:
    """PSNR of uint8 images in dB."""
    error = float(np.square((image.astype(np.float64) - clean) / 255).mean())
    return -10 * math.log10(max(error, 1e-10))


def spectrum(noise: np.ndarray) -> np.ndarray:
    """Power of noise (H, W, C), in levels of 255, by ring of frequency: (RINGS,), in [0, 1] units squared.

    White noise has its variance in every ring.
    """
    height, width = noise.shape[:2]
    centred = noise / 255 - (noise / 255).mean((0, 1))
    power = (np.abs(np.fft.fft2(centred, axes=(0, 1))) ** 2).mean(2) / (height * width)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    ring = np.minimum((radius * 2 * RINGS).astype(int), RINGS - 1)
    inside = (radius <= 0.5) & (radius > 0)
    return by_ring(ring[inside], power[inside])


def by_ring(ring: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Mean of the power in each ring; a ring without frequencies has the mean of all."""
    count = np.bincount(ring, minlength=RINGS)
    total = np.bincount(ring, weights=power, minlength=RINGS)
    return np.where(count > 0, total / np.maximum(count, 1), power.mean())

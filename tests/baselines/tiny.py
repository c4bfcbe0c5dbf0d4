"""Small data and settings that the tests of the baselines share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from senm.data.domains import Domains
from senm.data.pool import ArrayImages, Images, Pairs
from senm.support.progress import NullProgress

QUIET = NullProgress()


def pool(count: int = 4, side: int = 24, seed: int = 0, prefix: str = "image") -> ArrayImages:
    """Random smooth images."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side] / side
    phase = rng.uniform(0, 6, (count, 3))
    waves = np.sin(5 * rows[None, ..., None] + 4 * columns[None, ..., None] + phase[:, None, None])
    return ArrayImages((128 + 90 * waves).astype(np.uint8), [f"{prefix}{i}" for i in range(count)])


def with_noise(clean: ArrayImages, sigma: float = 12.0, seed: int = 1) -> ArrayImages:
    """The same images with white noise."""
    noise = np.random.default_rng(seed).normal(0, sigma, clean.array.shape)
    return ArrayImages(np.clip(np.rint(clean.array + noise), 0, 255).astype(np.uint8), clean.names)


def pairs(count: int = 4, side: int = 24, seed: int = 0, prefix: str = "image") -> Pairs:
    """Clean images and noisy ones."""
    clean = pool(count, side, seed, prefix)
    return Pairs(clean, with_noise(clean))


def noisy() -> ArrayImages:
    """Noisy images alone."""
    return with_noise(pool())


def draw(model: Any, clean: Images, seed: int = 0) -> list[np.ndarray]:
    """What a noise model makes of clean images."""
    return list(model.sample(clean, seed=seed, device="cpu", progress=QUIET))


def restored(model: Any, images: Images) -> list[np.ndarray]:
    """What a restorer makes of images."""
    return list(model.restore(images, device="cpu", progress=QUIET))


def enlarged(low: ArrayImages) -> Pairs:
    """Low-resolution images and each pixel repeated 4 x 4 times."""
    return Pairs(ArrayImages(low.array.repeat(4, 1).repeat(4, 2), low.names), low)


def unpaired() -> Domains:
    """A source and a target domain, no pairs."""
    return Domains(source=pool(prefix="s"), target=with_noise(pool(seed=5, prefix="t")))


def fitting(workdir: Path, **changes: Any) -> dict[str, Any]:
    """Keyword arguments of `fit`."""
    return {"seed": 3, "device": "cpu", "workdir": workdir, "progress": QUIET, **changes}


class Interrupt:
    """A progress display that interrupts the work after some steps, as Ctrl-C would."""

    def __init__(self, after: int) -> None:
        self.after = after

    def task(self, label: str, total: int | None = None) -> Interrupt:
        return self

    def __enter__(self) -> Interrupt:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def advance(self, n: int = 1, **fields: Any) -> None:
        self.after -= n
        if self.after <= 0:
            raise KeyboardInterrupt

"""Impressionism (Ji et al., CVPR-W 2020) as a degradation model of tables 4 and 5: injected noise patches.

Nothing is trained: the model is the pool of patches. The published loop draws a new 32 x 32 patch for every crop of
the training; here every tile of that size of a clean low-resolution image gets one patch, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from pydantic import Field

from baselines.base import Capabilities, Scale, load_checkpoint, save_checkpoint
from baselines.super_resolution.frequency import truncated
from baselines.super_resolution.fssr.model import degraded
from baselines.super_resolution.impressionism.pool import collect, inject, tiles
from senm.config import Settings
from senm.support import seeding
from senm.support.device import torch_device
from senm.support.errors import CheckpointError, SettingsError

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images
    from senm.support.progress import Progress


class PoolSettings(Settings):
    """How noise patches are chosen."""

    size: int = Field(256, ge=2, description="side of a patch in pixels")
    variance: float = Field(20.0, gt=0, description="grey variance of a patch lies below this")
    mean: float = Field(0.0, ge=0, description="its mean above this (50 on the smartphone images of NTIRE20)")
    flattest: float | None = Field(
        None, gt=0, le=1, description="keep this share of the blocks, the flattest, whatever their variance",
        json_schema_extra={"guess": "ours: off as published; on smaller and noisier photographs no block passes"},
    )
    most: int = Field(100_000, ge=1, description="largest number of patches",
                      json_schema_extra={"guess": "ours: the published pool has no limit"})


class ImpressionismSettings(Settings):
    """Everything that defines the model. `tile` is the side of an area with one patch."""

    pool: PoolSettings = PoolSettings()
    tile: int = Field(32, ge=2)
    truncate: bool = Field(False, description="cut to 8 bit instead of rounding",
                           json_schema_extra={"guess": "ours: the published noise is never written to a file"})

    def model_post_init(self, context: object) -> None:
        if self.tile > self.pool.size:
            raise SettingsError(f"tiles of {self.tile} pixels", f"at most pool.size, {self.pool.size}")


class Impressionism:
    """A pool of noise patches, uint8 (n, size, size, 3)."""

    name = "impressionism"
    capabilities = Capabilities(kind="noise", uses_unpaired=True)

    def __init__(self, pool: np.ndarray, settings: ImpressionismSettings) -> None:
        self.pool, self.settings = pool, settings

    @classmethod
    def default_settings(cls, scale: Scale) -> ImpressionismSettings:
        """`paper` has the published limits; the others take the flattest blocks of whatever photographs there are."""
        settings = ImpressionismSettings()
        if scale == "paper":
            return settings
        short = settings.but(pool={"size": 24, "flattest": 0.1, "most": 256}, tile=16)
        return short if scale == "short" else short.but(pool={"size": 8, "most": 32}, tile=8)

    @classmethod
    def fit(
        cls, domains: Domains, settings: ImpressionismSettings, *, seed: int, device: str, workdir: Path,
        progress: Progress,
    ) -> Self:
        """Cut the pool from the degraded photographs of the target domain, or of the pairs where there is no other.

        Raises:
            DataError: no degraded photographs, or no flat block in them.
        """
        torch_device(device)
        limits = settings.pool
        pool = collect(degraded(domains), limits.size, limits.variance, limits.mean, limits.flattest, limits.most)
        progress.say(f"{cls.name}: {len(pool)} noise patches of {limits.size} pixels")
        return cls(pool, settings)

    def degrade(self, clean: np.ndarray, name: str, seed: int) -> np.ndarray:
        """One image: uint8 (H, W, 3) -> float32 (H, W, 3) in [0, 1]."""
        draw = seeding.rng("sample", seed, name, self.name)
        out = clean.astype(np.float32) / np.float32(255)
        room = self.pool.shape[1]
        for rows, columns in tiles(clean.shape[0], clean.shape[1], self.settings.tile):
            height, width = rows.stop - rows.start, columns.stop - columns.start
            patch = self.pool[draw.integers(len(self.pool))]
            top, left = draw.integers(0, room - height + 1), draw.integers(0, room - width + 1)
            out[rows, columns] = inject(out[rows, columns], patch[top : top + height, left : left + width])
        return out

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Noisy versions in order; an image's noise depends on the seed and its name only."""
        torch_device(device)
        with progress.task(f"sample with {self.name}", len(clean)) as task:
            for index, name in enumerate(clean.names):
                noisy = self.degrade(clean[index], name, seed)
                yield truncated(noisy) if self.settings.truncate else np.rint(noisy * 255).astype(np.uint8)
                task.advance()

    def save(self, folder: Path) -> None:
        """Write the pool; see `baselines.base.save_checkpoint`."""
        save_checkpoint(folder, self.name, self.settings, {"pool": torch.from_numpy(self.pool)})

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read a checkpoint written by `save`.

        Raises:
            CheckpointError: missing, broken or of another layout.
        """
        torch_device(device)
        settings, state = load_checkpoint(folder, cls.name, ImpressionismSettings)
        size, file = settings.pool.size, folder / "model.safetensors"
        pool = state.get("pool")
        if pool is None or pool.ndim != 4 or pool.shape[1:] != (size, size, 3) or not len(pool):
            raise CheckpointError(f"{file} holds no pool of these settings", f"'pool' of shape (n, {size}, {size}, 3)")
        return cls(pool.numpy(), settings)

"""CVF-SID as a restorer; only its clean network is applied to an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.base import Scale
from baselines.fitting.noisy_only import NoisyRestorer, NoisyTraining, Objective, Procedure, at_least
from baselines.fitting.restorer import RestorerSettings
from baselines.restorers.cvf_sid.losses import PAD, cropped, noise_level, padded, terms, total
from baselines.restorers.cvf_sid.networks import CVFSIDNetwork
from senm.config import Settings

if TYPE_CHECKING:
    from senm.data.pool import Images


class CVFSIDSize(Settings):
    """Size of the networks."""

    clean_layers: int = Field(16, ge=1)
    noise_layers: int = Field(10, ge=1)
    clean_width: int = Field(64, ge=1)
    noise_width: int = Field(64, ge=1)


class CVFSIDTraining(NoisyTraining):
    """5,000 epochs of the 1,280 blocks in batches of 64: AMSGrad, rate times 0.99 every 10 epochs of 20 steps."""

    steps: int = Field(100_000, ge=1)
    batch: int = Field(64, ge=1)
    crop: int = Field(40, ge=PAD + 1, description="side of a crop, which is padded by 20 pixels of reflection")
    weight_decay: float = Field(1e-9, ge=0)
    amsgrad: bool = True
    decay: float = Field(0.99, gt=0)
    decay_every: int = Field(200, ge=1)

    def rate(self, step: int) -> float:
        return self.lr * self.decay ** (step // self.decay_every)


class CVFSIDSettings(RestorerSettings):
    """Everything that defines a trained CVF-SID."""

    network: CVFSIDSize = CVFSIDSize()
    training: CVFSIDTraining = CVFSIDTraining()  # type: ignore[assignment]


class Levels:
    """Noise level of the whole image that a crop is from, measured when it is first needed."""

    def __init__(self, sources: Sequence[Images]) -> None:
        self.sources = sources
        self.known: dict[tuple[int, int], np.ndarray] = {}

    def of(self, origins: np.ndarray) -> np.ndarray:
        """float64 (N, 3) for numbers of pool and image, integer (N, 2)."""
        for pool, image in map(tuple, origins.tolist()):
            if (pool, image) not in self.known:
                self.known[pool, image] = noise_level(self.sources[pool][image])
        return np.stack([self.known[pool, image] for pool, image in map(tuple, origins.tolist())])


def denoised(network: nn.Module, noisy: Tensor) -> Tensor:
    """The clean network on an image padded by reflection, cropped back and not clamped; (N, 3, H, W)."""
    return cropped(cast(CVFSIDNetwork, network).genclean(padded(noisy)))


class CVFSID(NoisyRestorer):
    """The variant (S), trained on the noisy images to be restored, is the one whose recipe was published."""

    name = "cvf_sid"
    settings_type = CVFSIDSettings

    @classmethod
    def build(cls, settings: CVFSIDSettings) -> nn.Module:
        return CVFSIDNetwork(**settings.network.model_dump())

    @classmethod
    def default_settings(cls, scale: Scale) -> CVFSIDSettings:
        """`paper` is the published configuration; the others are smaller and shorter."""
        settings = CVFSIDSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"clean_layers": 6, "noise_layers": 4, "clean_width": 16, "noise_width": 8},
            training={"steps": 600, "batch": 1, "crop": 64, "lr": 1e-3, "decay": 0.7, "decay_every": 60,
                      "log_every": 50, "checkpoint_every": 250},
        )
        if scale == "short":
            return short
        return short.but(
            network={"clean_layers": 3, "noise_layers": 2, "clean_width": 8, "noise_width": 8},
            training={"steps": 24, "batch": 2, "crop": 24, "decay_every": 8, "log_every": 4, "checkpoint_every": 8},
        )

    @classmethod
    def objective(cls, settings: CVFSIDSettings, sources: Sequence[Images], seed: int) -> Objective:
        levels = Levels(sources)

        def loss(network: nn.Module, crops: Tensor, origins: np.ndarray, step: int) -> dict[str, Tensor]:
            sigma = torch.from_numpy(levels.of(origins)).to(crops)
            values = terms(cast(CVFSIDNetwork, network), crops, sigma)
            return {"loss": total(values), "reconstruction": values[0], "level": values[9]}

        return loss

    def _restore(self, network: nn.Module, image: Tensor) -> Tensor:
        at_least(PAD + 1, image, "as it is padded by 20 pixels of reflection")
        return super()._restore(Procedure(lambda x: denoised(network, x)), image)

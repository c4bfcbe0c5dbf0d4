"""AP-BSN + R3 as a restorer: trained on noisy images alone through a stride of 5, applied through a stride of 2."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from baselines.base import Scale
from baselines.fitting.noisy_only import NoisyRestorer, NoisyTraining, Objective, Procedure, at_least
from baselines.fitting.restorer import RestorerSettings
from baselines.restorers.apbsn.networks import APBSNNetwork
from baselines.restorers.apbsn.procedure import filled, masks, refined, reflected, self_ensemble
from senm.config import Settings
from senm.support import seeding
from senm.support.errors import SettingsError

if TYPE_CHECKING:
    from senm.data.pool import Images

PEAK = 255.0


class APBSNSize(Settings):
    """Size of the blind-spot network."""

    width: int = Field(128, ge=2)
    blocks: int = Field(9, ge=0, description="dilated blocks a branch")


class APBSNTraining(NoisyTraining):
    """20 epochs of 24,542 crops of SIDD-Medium in batches of 8; the rate falls by 10 after epochs 8 and 16.

    The published crops are cut from tiles of 512 pixels laid every 384; here any place of an image is equally likely.
    """

    steps: int = Field(61_360, ge=1)
    batch: int = Field(8, ge=1)
    crop: int = Field(120, ge=10)
    milestones: tuple[int, ...] = Field((24_544, 49_088), description="steps at which the rate is multiplied by gamma")
    gamma: float = Field(0.1, gt=0)
    stride: int = Field(5, ge=1, description="stride of the down-sampling, which breaks the correlation of the noise")

    def rate(self, step: int) -> float:
        return self.lr * self.gamma ** sum(step >= milestone for milestone in self.milestones)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.crop % self.stride:
            raise SettingsError(f"training.crop is {self.crop}", f"a multiple of training.stride, {self.stride}")
        return self


class APBSNInference(Settings):
    """How an image is restored."""

    stride: int = Field(2, ge=1, description="stride of the down-sampling, smaller than in training to keep detail")
    r3: bool = Field(True, description="random-replacing refinement")
    repeats: int = Field(8, ge=1, description="masks of R3")
    share: float = Field(0.16, ge=0, le=1, description="share of values that R3 puts back")
    ensemble: bool = Field(False, description="mean over 8 flips and turns; off in every printed row")
    seed: int = Field(0, description="seed of R3's masks")


class APBSNSettings(RestorerSettings):
    """Everything that defines a trained AP-BSN. `pad` surrounds each phase, in training and after."""

    network: APBSNSize = APBSNSize()
    training: APBSNTraining = APBSNTraining()  # type: ignore[assignment]
    inference: APBSNInference = APBSNInference()
    pad: int = Field(2, ge=0)


def reconstruction(network: nn.Module, noisy: Tensor, stride: int, pad: int) -> Tensor:
    """Mean absolute difference between the output and its own noisy input (equation 8), on the scale 0 .. 255."""
    return F.l1_loss(network(noisy, stride, pad), noisy)


class APBSN(NoisyRestorer):
    """The blind-spot network on the scale 0 .. 255.

    R3's masks come from the stream of the image's own pixels, so that nothing but the image decides its result.
    An odd side is filled with zeros as published, and cut off again (the published program leaves it there with R3).
    """

    name = "apbsn"
    settings_type = APBSNSettings
    settings: APBSNSettings
    overlap = 64

    @classmethod
    def build(cls, settings: APBSNSettings) -> nn.Module:
        return APBSNNetwork(settings.network.width, settings.network.blocks)

    @classmethod
    def default_settings(cls, scale: Scale) -> APBSNSettings:
        """`paper` is the published configuration; the others are smaller, shorter and keep averaged weights."""
        settings = APBSNSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 24, "blocks": 2},
            training={"steps": 2_500, "batch": 1, "crop": 80, "lr": 1e-3, "milestones": (1_500, 2_200), "gamma": 0.3,
                      "ema": 0.99, "log_every": 50, "checkpoint_every": 250},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 8, "blocks": 1},
            training={"steps": 24, "batch": 2, "crop": 30, "milestones": (16,), "log_every": 4, "checkpoint_every": 8},
        )

    @classmethod
    def objective(cls, settings: APBSNSettings, sources: Sequence[Images], seed: int) -> Objective:
        stride, pad = settings.training.stride, settings.pad

        def loss(network: nn.Module, crops: Tensor, origins: np.ndarray, step: int) -> dict[str, Tensor]:
            return {"loss": reconstruction(network, crops * PEAK, stride, pad)}

        return loss

    def _restore(self, network: nn.Module, image: Tensor) -> Tensor:
        how = self.settings.inference
        at_least(self.settings.pad + 1, image, "as refinement pads by reflection")
        pixels = (image * PEAK).round().to(torch.uint8).cpu().numpy()
        stream = seeding.generator("r3", how.seed, hashlib.sha256(pixels.tobytes()).hexdigest())
        denoise = partial(self._denoised, network, generator=stream)
        noisy = image * PEAK
        return (self_ensemble(denoise, noisy) if how.ensemble else denoise(noisy)) / PEAK

    def _denoised(self, network: nn.Module, noisy: Tensor, generator: torch.Generator) -> Tensor:
        """(1, 3, H, W) of 0 .. 255, in tiles wide enough that they change nothing, the masks drawn for all at once."""
        how, pad = self.settings.inference, self.settings.pad
        height, width = noisy.shape[-2:]
        noisy = filled(noisy, how.stride)

        def tiled(function: Procedure, x: Tensor) -> Tensor:
            return NoisyRestorer._restore(self, function, x)

        out = tiled(Procedure(lambda x: network(x, how.stride, pad)), noisy)
        if how.r3:
            plain = Procedure(lambda x: reflected(network.bsn, x, pad))  # type: ignore[arg-type]
            where = masks(noisy.shape, how.share, how.repeats, generator)
            out = refined(lambda x: tiled(plain, x), out, noisy, where)
        return out[..., :height, :width]

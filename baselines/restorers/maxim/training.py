"""MAXIM's training (paper section 3.5): every stage and resolution is compared, in pixels and in frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from baselines.fitting.mixup import mixup
from baselines.fitting.training import LOSSES, LossName, Supervised, TrainingSettings, precision
from baselines.restorers.maxim.networks import LEVELS, MaximNetwork
from senm.support import seeding

OURS = "ours: the authors published no training code, no log and no seed"


class MaximTraining(TrainingSettings):
    """Adam 2e-4 to 1e-7 by a cosine, batch 64 of 256x256, flips and turns, crops mixed in half of the steps.

    Neither training code nor logs are published. Every value here is a choice.
    """

    steps: int = Field(300_000, ge=1, json_schema_extra={"guess": OURS})
    batch: int = Field(64, ge=1, json_schema_extra={"guess": OURS})
    crop: int = Field(256, ge=8, json_schema_extra={"guess": OURS})
    loss: LossName = Field("charbonnier", json_schema_extra={"guess": OURS}, description="of pixels; with eps 1e-3")
    lr: float = Field(2e-4, gt=0, json_schema_extra={"guess": OURS})
    schedule: Literal["constant", "steps", "cosine"] = Field("cosine", json_schema_extra={"guess": OURS})
    final_lr: float = Field(1e-7, ge=0, json_schema_extra={"guess": OURS})
    frequency: float = Field(0.1, ge=0, json_schema_extra={"guess": OURS},
                             description="weight of the L1 distance of Fourier transforms")
    mixup: float = Field(0.5, ge=0, le=1, json_schema_extra={"guess": OURS},
                         description="probability that a step's crops are mixed")
    mixup_alpha: float = Field(1.2, gt=0, json_schema_extra={"guess": OURS},
                               description="both parameters of the Beta distribution of the share")


def targets(clean: Tensor) -> list[Tensor]:
    """The clean image at every level, reduced bilinearly with smoothing."""
    height, width = clean.shape[-2:]
    return [clean] + [
        F.interpolate(clean, (height >> level, width >> level), mode="bilinear", antialias=True, align_corners=False)
        for level in range(1, LEVELS)
    ]


def spectral_distance(output: Tensor, target: Tensor) -> Tensor:
    """Mean modulus of the difference of two Fourier transforms (not normalised)."""
    return torch.fft.rfft2((output - target).float()).abs().mean()


def supervision(
    stages: Sequence[Sequence[Tensor]], clean: Tensor, pixels: str = "charbonnier", frequency: float = 0.1
) -> dict[str, Tensor]:
    """``loss``: the sum over stages and levels; by stage, ``stage 1`` and so on, the part of its own.

    Args:
        stages: restored images by stage and level.
        clean: (n, 3, h, w) in [0, 1].
        pixels: name of the loss of pixels.
        frequency: weight of `spectral_distance`.
    """
    measure = LOSSES[pixels]
    parts = {}
    for number, images in enumerate(stages, 1):
        terms = [
            measure(image.to(clean.dtype), target) + frequency * spectral_distance(image, target)
            for image, target in zip(images, targets(clean), strict=True)
        ]
        parts[f"stage {number}"] = torch.stack(terms).sum()
    return {"loss": torch.stack(list(parts.values())).sum(), **parts}


class DeepSupervision(Supervised):
    """State and step of a MAXIM training."""

    settings: MaximTraining
    network: MaximNetwork

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        noisy, clean = super().batch(number)
        draw = seeding.rng("maxim", "mixup", self.sampler.seed, number)
        return mixup(noisy, clean, draw, self.settings.mixup, self.settings.mixup_alpha)

    def objective(self, noisy: Tensor, clean: Tensor) -> dict[str, Tensor]:
        with precision(self.settings.precision, self.device):
            stages = self.network.all_images(noisy)
        return supervision(stages, clean, self.settings.loss, self.settings.frequency)

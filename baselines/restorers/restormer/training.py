"""Restormer's training (paper section 3.3 and the published settings): patches grow while batches shrink."""

from __future__ import annotations

import math
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from baselines.fitting.mixup import mixup
from baselines.fitting.training import Supervised, TrainingSettings, learning_rate
from senm.support import seeding
from senm.support.errors import SettingsError

Phase = tuple[int, int, int]


class RestormerTraining(TrainingSettings):
    """The published recipe for real noise: L1, AdamW, six phases of growing patches, mixup, gradients clipped at 0.01.

    Each of 8 GPUs reads 8 crops of 384 pixels at every step; a phase keeps some of them, cut at one common position.
    Here crops are drawn from whole photographs, there from pieces of 512 pixels that overlap by 128.
    The published code mixes crops for real noise; the paper does not say so. A clipping norm of 0.01 clips almost
    every step, so that AdamW sees gradients of one length.
    """

    steps: int = Field(300_000, ge=1)
    batch: int = Field(64, ge=1, description="crops read a step, over all GPUs")
    crop: int = Field(384, ge=8, description="side of a crop as it is read")
    gpus: int = Field(8, ge=1, description="shares of a batch: each is cut at one position and mixed by one number")
    phases: tuple[Phase, ...] = Field(
        ((92_000, 128, 8), (156_000, 160, 5), (204_000, 192, 4), (240_000, 256, 2), (276_000, 320, 1),
         (300_000, 384, 1)),
        description="last step (counted from 1), side of a patch, crops a GPU; the last phase lasts to the end",
    )
    optimiser: Literal["adam", "adamw"] = "adamw"
    lr: float = Field(3e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    schedule: Literal["constant", "steps", "cosine"] = "cosine"
    hold: int = Field(92_000, ge=0, description="steps at the first rate before the cosine begins")
    final_lr: float = Field(1e-6, ge=0)
    clip_norm: float | None = Field(0.01, description="gradient norm is clipped here")
    mixup: float = Field(0.5, ge=0, le=1, description="probability that a GPU's crops are mixed")
    mixup_alpha: float = Field(1.2, gt=0, description="both parameters of the Beta distribution of the share")

    @model_validator(mode="after")
    def _phases_fit(self) -> Self:
        ends = [end for end, _, _ in self.phases]
        if not ends or sorted(set(ends)) != ends:
            raise SettingsError(f"training.phases end at {ends}", "one phase or more, each ending after the last")
        if self.batch % self.gpus:
            raise SettingsError(f"training.batch is {self.batch}", f"a multiple of training.gpus, {self.gpus}")
        for _, patch, count in self.phases:
            if not 8 <= patch <= self.crop or patch % 8:
                raise SettingsError(f"training.phases has patches of {patch} pixels",
                                    f"a multiple of 8, at most training.crop, {self.crop}")
            if not 1 <= count <= self.batch // self.gpus:
                raise SettingsError(f"training.phases takes {count} crops a GPU",
                                    f"1 to {self.batch // self.gpus}, as training.batch and training.gpus read")
        return self


def phase(settings: RestormerTraining, number: int) -> tuple[int, int]:
    """Side of a patch and crops a GPU at this step (0-based)."""
    found = next((each for each in settings.phases if number < each[0]), settings.phases[-1])
    return found[1], found[2]


def rate(settings: RestormerTraining, number: int) -> float:
    """The learning rate at this step (0-based): held, then half a cosine down to the last rate."""
    if settings.schedule != "cosine" or number < settings.warmup:
        return learning_rate(settings, number)
    share = max(number - settings.hold, 0) / max(settings.steps - settings.hold, 1)
    return settings.final_lr + (settings.lr - settings.final_lr) * (1 + math.cos(math.pi * share)) / 2


class Progressive(Supervised):
    """State and step of a Restormer training."""

    settings: RestormerTraining

    def rate(self, number: int) -> float:
        return rate(self.settings, number)

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Crops of this step as its phase takes them, mixed in each share of the batch."""
        train = self.settings
        noisy, clean = super().batch(number)
        draw = seeding.rng("restormer", "phase", self.sampler.seed, number)
        shares = [self._share(*both, number, draw)
                  for both in zip(noisy.chunk(train.gpus), clean.chunk(train.gpus), strict=True)]
        noisy, clean = (torch.cat(side) for side in zip(*shares, strict=True))
        return noisy, clean

    def _share(self, noisy: Tensor, clean: Tensor, number: int, draw: np.random.Generator) -> tuple[Tensor, Tensor]:
        """One GPU's crops: a random part of those read, one common cut, perhaps mixed."""
        patch, count = phase(self.settings, number)
        kept = torch.from_numpy(draw.permutation(len(noisy))[:count]).to(self.device)
        top, left = (int((self.settings.crop - patch) * draw.random()) for _ in range(2))
        cut = (kept, slice(None), slice(top, top + patch), slice(left, left + patch))
        return mixup(noisy[cut], clean[cut], draw, self.settings.mixup, self.settings.mixup_alpha)

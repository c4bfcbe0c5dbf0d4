"""One step of Uformer's training: crops mixed in pairs, branches left out at random, a rate that changes by epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from baselines.fitting.training import LossName, Supervised, TrainingSettings, learning_rate
from baselines.restorers.uformer.networks import stochastic
from senm.support import seeding
from senm.support.errors import SettingsError

if TYPE_CHECKING:
    from baselines.fitting.pairs import PairSampler

EPOCH = 3_000


class UformerTraining(TrainingSettings):
    """The published recipe: Charbonnier loss, AdamW 2e-4 to 1e-6 by a cosine over 250 epochs, batch 32 of 128x128.

    Crops are drawn from whole photographs, where the authors cut 300 pieces of 256x256 of each once. The last weights
    are kept; the authors keep the best on the validation blocks, which are also the test blocks.
    """

    steps: int = Field(250 * EPOCH, ge=1)
    batch: int = Field(32, ge=1)
    crop: int = Field(128, ge=8)
    loss: LossName = "charbonnier"
    optimiser: Literal["adam", "adamw"] = "adamw"
    lr: float = Field(2e-4, gt=0)
    weight_decay: float = Field(0.02, ge=0, description="on every parameter, biases and norms too")
    schedule: Literal["constant", "steps", "cosine"] = Field("cosine", description="the rate changes by epoch")
    final_lr: float = Field(1e-6, ge=0)
    warmup: int = Field(3 * EPOCH, ge=0)
    precision: Literal["float32", "tf32", "bf16", "fp16"] = Field(
        "fp16", description="fp16: with scaled gradients on a GPU, float32 on a CPU"
    )
    epoch: int = Field(EPOCH, ge=1, description="steps of an epoch")
    recent_torch: bool = Field(
        False,
        description="rates after the warm-up as the published scheduler gives them under torch 2.15, 4e-5 higher in "
        "proportion than under the torch 1.8 it asks for",
    )
    mixup_from: int = Field(6, ge=1, description="first epoch, counted from 1, whose crops are mixed in pairs")
    mixup: float = Field(1.2, ge=0, description="both parameters of the Beta distribution of the shares; 0: no mixing")

    @model_validator(mode="after")
    def _warmup_is_whole_epochs(self) -> UformerTraining:
        if self.warmup % self.epoch:
            raise SettingsError(f"training.warmup is {self.warmup}", f"a multiple of training.epoch, {self.epoch}")
        if self.warmup >= self.steps:
            raise SettingsError(f"training.warmup is {self.warmup}", f"less than training.steps, {self.steps}")
        return self


def epoch_rate(settings: UformerTraining, epoch: int) -> float:
    """The learning rate of an epoch, counted from 1."""
    epochs, warm = math.ceil(settings.steps / settings.epoch), settings.warmup // settings.epoch
    rate = learning_rate(settings.but(steps=epochs, warmup=warm, epoch=1), epoch - 1)
    if settings.recent_torch and settings.schedule == "cosine" and epoch > warm:
        # torch steps a cosine from rate to rate; the nested scheduler starts it one step late.
        rate = settings.final_lr + (rate - settings.final_lr) * 2 / (1 + math.cos(math.pi / (epochs - warm)))
    return rate


def mixed(images: Tensor, share: np.ndarray, partner: np.ndarray) -> Tensor:
    """Each image of a batch mixed with its partner, of which it keeps its share."""
    own = torch.from_numpy(share).to(images)[:, None, None, None]
    return own * images + (1 - own) * images[torch.from_numpy(partner).to(images.device)]


class Mixing(Supervised):
    """State and step of a Uformer training."""

    settings: UformerTraining

    def __init__(self, network: nn.Module, sampler: PairSampler, settings: UformerTraining, device: str) -> None:
        super().__init__(network, sampler, settings, device)
        epochs = math.ceil(settings.steps / settings.epoch)
        self.rates = [epoch_rate(settings, epoch) for epoch in range(1, epochs + 1)]

    def rate(self, number: int) -> float:
        return self.rates[number // self.settings.epoch]

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Crops of this step, mixed in pairs from epoch `mixup_from` on."""
        noisy, clean = super().batch(number)
        train = self.settings
        if not train.mixup or number // train.epoch + 1 < train.mixup_from:
            return noisy, clean
        draw = seeding.rng("uformer", "mixup", self.sampler.seed, number)
        share, partner = draw.beta(train.mixup, train.mixup, len(noisy)), draw.permutation(len(noisy))
        return mixed(noisy, share, partner), mixed(clean, share, partner)

    def step(self, number: int) -> dict[str, float]:
        """One optimiser step, whose left-out branches are a function of its number."""
        generator = seeding.generator("uformer", "drop path", self.sampler.seed, number)
        for place in stochastic(self.network):
            place.generator = generator
        return super().step(number)

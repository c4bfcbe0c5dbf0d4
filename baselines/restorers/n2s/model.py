"""Noise2Self (Batson and Royer, ICML 2019): learning to denoise from noisy photographs alone (table 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from baselines.base import Scale
from baselines.fitting.loop import Guard, Stateful
from baselines.fitting.noisy_only import SelfSupervised
from baselines.restorers.n2s.networks import DnCNN, Masker, Mode, Restoring, SmallUNet, UNet, masked_loss
from baselines.restorers.self_supervised import Best, LoopSettings, StreamSampler
from senm.config import Settings
from senm.support.device import torch_device
from senm.support.errors import SettingsError

if TYPE_CHECKING:
    from senm.data.pool import Images

OURS = "ours: neither the paper nor its code has a recipe for photographs; the settings behind the numbers printed " \
       "for N2S on SIDD were never published"
STRIDE = 16


class N2SNetwork(Settings):
    """One of the three networks of the published code."""

    kind: Literal["unet", "small-unet", "dncnn"] = Field("unet", json_schema_extra={"guess": OURS})
    width: int = Field(32, ge=1, description="channels of the first block", json_schema_extra={"guess": OURS})
    depth: int = Field(17, ge=3, description="layers of dncnn", json_schema_extra={"guess": OURS})


class N2STraining(LoopSettings):
    """Mean squared error at hidden pixels, Adam 1e-3, all phases in turn.

    `selection` is that of the notebook on a single image: the last phase is never trained on, and the weights with
    the lowest error there are kept.
    """

    steps: int = Field(100_000, ge=1, json_schema_extra={"guess": OURS})
    batch: int = Field(32, ge=1)
    crop: int = Field(64, ge=16, json_schema_extra={"guess": OURS})
    lr: float = Field(1e-3, gt=0)
    schedule: Literal["constant", "cosine"] = Field("constant", description="the rate stays, or falls to 0")
    width: int = Field(4, ge=2, description="side of the grid's cell")
    mode: Mode = "interpolate"
    selection: Literal["none", "last_phase"] = "none"
    select_every: int = Field(10, ge=1, description="steps between two looks at the last phase")
    validation: int = Field(16, ge=1, description="crops of the last phase's error", json_schema_extra={"guess": OURS})


class N2SInference(Settings):
    """`single`: one pass over the image as it is. `all_phases`: each pixel hidden in turn, slightly pixelated."""

    passes: Literal["single", "all_phases"] = "single"


class N2SSettings(Settings):
    """Everything that defines a trained Noise2Self."""

    network: N2SNetwork = N2SNetwork()
    training: N2STraining = N2STraining()
    inference: N2SInference = N2SInference()

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        crop = self.training.crop
        if crop % STRIDE:
            raise SettingsError(f"training.crop is {crop}", f"a multiple of {STRIDE}",
                                f"set it to {-(-crop // STRIDE) * STRIDE}")
        return self


class N2S(SelfSupervised):
    """Predicts each pixel from the others; 3,327,159 parameters at paper scale."""

    name = "n2s"
    settings_type = N2SSettings
    multiple = STRIDE

    @classmethod
    def build(cls, settings: N2SSettings) -> nn.Module:
        size, train = settings.network, settings.training
        network: nn.Module
        if size.kind == "unet":
            network = UNet(3, size.width)
        elif size.kind == "small-unet":
            network = SmallUNet(3, size.width)
        else:
            network = DnCNN(3, size.depth, size.width)
        return Restoring(network, Masker(train.width, train.mode), settings.inference.passes == "single")

    @classmethod
    def default_settings(cls, scale: Scale) -> Any:
        """`paper` has the published masks, loss and rate with our network and length; the others are smaller."""
        settings = N2SSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"kind": "small-unet", "width": 24},
            training={"steps": 2_000, "batch": 4, "lr": 4e-3, "schedule": "cosine", "log_every": 50,
                      "checkpoint_every": 500},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 8},
            training={"steps": 30, "crop": 32, "log_every": 10, "checkpoint_every": 15},
        )

    @classmethod
    def trainer(cls, network: nn.Module, sources: Sequence[Images], settings: N2SSettings, seed: int,
                device: str) -> N2STrainer:
        if not isinstance(network, Restoring):
            raise TypeError(f"the network is {type(network).__name__}")
        return N2STrainer(network, StreamSampler.of(sources, settings.training, seed), settings.training, device)


class N2STrainer:
    """State and step of one training."""

    def __init__(self, network: Restoring, sampler: StreamSampler, settings: N2STraining, device: str) -> None:
        self.device, self.sampler, self.settings = torch_device(device), sampler, settings
        self.network = network.to(self.device).train()
        self.masker, self.guard, self.best = network.masker, Guard(settings.skip_limit), Best(self.network)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=settings.lr)
        self.held = sampler.named(0, "validation", settings.validation) if self.selects else None
        self.parts: dict[str, Stateful] = {"network": self.network, "optimiser": self.optimiser,
                                           "guard": self.guard, "best": self.best}

    @property
    def selects(self) -> bool:
        return self.settings.selection == "last_phase"

    def step(self, number: int) -> dict[str, float]:
        """One optimiser step on one phase; returns what is logged."""
        train = self.settings
        share = number / train.steps if train.schedule == "cosine" else 0
        rate = train.lr * (1 + math.cos(math.pi * share)) / 2
        self.optimiser.param_groups[0]["lr"] = rate
        if self.held is not None and number % train.select_every == 0:
            self.best.saw(self._error(self.held.to(self.device)))
        noisy = self.sampler.named(number).to(self.device)
        self.optimiser.zero_grad(set_to_none=True)
        loss = masked_loss(self.network.network, self.masker, noisy, number % (self.masker.phases - self.selects))
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), math.inf))
        if self.guard.allows(number, {"loss": float(loss.detach()), "gradient norm": norm}):
            self.optimiser.step()
        return {"loss": float(loss.detach()), "lr": rate, "skipped": self.guard.skipped}

    @torch.no_grad()
    def _error(self, held: Tensor) -> float:
        self.network.eval()
        parts = [masked_loss(self.network.network, self.masker, part, self.masker.phases - 1) * len(part)
                 for part in held.split(self.settings.batch)]
        self.network.train()
        return float(torch.stack(parts).sum()) / len(held)

    def result(self) -> nn.Module:
        """The network of the last step, or the one with the lowest error on the phase that was left out."""
        if self.held is None:
            return self.network
        self.best.saw(self._error(self.held.to(self.device)))
        return self.best.take()

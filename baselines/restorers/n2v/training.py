"""Loss, optimiser and training of Noise2Void: masked crops, Keras' Adam, a rate that halves, the best weights kept."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.fitting.loop import Guard, Stateful
from baselines.restorers.n2v.masking import Manipulator, box_size, masked
from baselines.restorers.n2v.networks import Normalised
from baselines.restorers.self_supervised import Best, LoopSettings, StreamSampler
from senm.support.device import torch_device
from senm.support.seeding import rng


class N2VTraining(LoopSettings):
    """The defaults of the published code: 100 epochs of 400 steps, MAE, Adam 4e-4 halved where validation stands still.

    The settings behind the numbers that denoising papers print for N2V on SIDD were never published.
    """

    steps: int = Field(40_000, ge=1, description="100 epochs of 400")
    epoch: int = Field(400, ge=1, description="steps between two validations")
    loss: Literal["mae", "mse"] = "mae"
    lr: float = Field(4e-4, gt=0)
    percent: float = Field(1.5, gt=0, le=50, description="hidden pixels of a crop in percent")
    manipulator: Manipulator = "uniform_withCP"
    radius: int = Field(5, ge=1, description="of the window that replacements come from")
    patience: int = Field(10, ge=1, description="epochs without a better validation loss before the rate is halved")
    validation: int = Field(
        64, ge=1, description="crops of the validation loss",
        json_schema_extra={"guess": "ours: the published code leaves the validation images to the user; these are "
                                    "crops of the training images, masked once"},
    )


class KerasAdam(torch.optim.Optimizer):
    """Adam as Keras computes it: epsilon is added to the root of the uncorrected second moment."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.999),
                 epsilon: float = 1e-7) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "epsilon": epsilon})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            first, second = group["betas"]
            # Keras corrects the bias with the decays in float32.
            single = float(np.float32(first)), float(np.float32(second))
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state.update(step=0, m=torch.zeros_like(parameter), v=torch.zeros_like(parameter))
                state["step"] += 1
                rate = group["lr"] * math.sqrt(1 - single[1] ** state["step"]) / (1 - single[0] ** state["step"])
                state["m"].lerp_(parameter.grad, 1 - first)
                state["v"].lerp_(parameter.grad**2, 1 - second)
                parameter.sub_(rate * state["m"] / (state["v"].sqrt() + group["epsilon"]))


def masked_loss(output: Tensor, target: Tensor, mask: Tensor, kind: Literal["mae", "mse"] = "mae") -> Tensor:
    """Mean absolute or squared error over the hidden pixels; `mask` is True there, (B, C, H, W) like the others."""
    error = (output - target)[mask]
    return error.abs().mean() if kind == "mae" else error.square().mean()


class Plateau(Best):
    """Halves a rate after `patience` epochs without a better validation loss, and keeps the best weights."""

    def __init__(self, network: nn.Module, patience: int) -> None:
        super().__init__(network)
        self.patience, self.waited, self.factor = patience, 0, 1.0

    def saw(self, loss: float) -> bool:
        better = super().saw(loss)
        self.waited = 0 if better else self.waited + 1
        if self.waited >= self.patience:
            self.factor, self.waited = self.factor / 2, 0
        return better

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "waited": self.waited, "factor": self.factor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.waited, self.factor = int(state["waited"]), float(state["factor"])


class N2VTrainer:
    """State and step of one training."""

    def __init__(self, network: Normalised, sampler: StreamSampler, settings: N2VTraining, seed: int,
                 device: str) -> None:
        self.device, self.seed, self.settings, self.sampler = torch_device(device), seed, settings, sampler
        network.mean, network.deviation = sampler.moments()
        self.network = network.to(self.device).train()
        self.optimiser = KerasAdam(self.network.parameters(), settings.lr)
        self.guard, self.plateau = Guard(settings.skip_limit), Plateau(self.network, settings.patience)
        self.box = box_size(settings.percent)
        self.held = self._masked(sampler.named(0, "validation", settings.validation), "validation", 0)
        self.parts: dict[str, Stateful] = {"network": self.network, "optimiser": self.optimiser,
                                           "guard": self.guard, "plateau": self.plateau}

    def _masked(self, crops: Tensor, stream: str, number: int) -> tuple[Tensor, Tensor, Tensor]:
        target = self.network.normalise(crops.to(self.device))
        train = self.settings
        inputs, mask = masked(target.cpu().numpy(), self.box, rng("n2v", stream, self.seed, number), train.manipulator,
                              train.radius, shared=stream == "validation")
        return torch.from_numpy(inputs).to(self.device), target, torch.from_numpy(mask).to(self.device)

    def step(self, number: int) -> dict[str, float]:
        """One optimiser step, and the validation where an epoch ends; returns what is logged."""
        train = self.settings
        inputs, target, mask = self._masked(self.sampler.named(number), "train", number)
        self.optimiser.param_groups[0]["lr"] = train.lr * self.plateau.factor
        self.optimiser.zero_grad(set_to_none=True)
        loss = masked_loss(self.network.network(inputs), target, mask, train.loss)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), math.inf))
        if self.guard.allows(number, {"loss": float(loss.detach()), "gradient norm": norm}):
            self.optimiser.step()
        if (number + 1) % train.epoch == 0 or number + 1 == train.steps:
            self.plateau.saw(self._validate())
        return {"loss": float(loss.detach()), "lr": train.lr * self.plateau.factor, "skipped": self.guard.skipped}

    @torch.no_grad()
    def _validate(self) -> float:
        self.network.eval()
        total = count = 0.0
        pieces = (part.split(self.settings.batch) for part in self.held)
        for inputs, target, mask in zip(*pieces, strict=True):
            hidden = float(mask.sum())
            total += float(masked_loss(self.network.network(inputs), target, mask, self.settings.loss)) * hidden
            count += hidden
        self.network.train()
        return total / count

    def result(self) -> nn.Module:
        """The network with the weights of the best validation."""
        return self.plateau.take()

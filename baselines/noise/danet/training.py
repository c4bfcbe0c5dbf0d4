"""Settings and training step of DANet (Yue et al., ECCV 2020, section 4.1, and the published code)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.fitting.loop import Guard
from baselines.fitting.pairs import PairSampler
from baselines.noise.danet.losses import Terms, critic_loss, denoiser_loss, generator_loss
from baselines.noise.danet.networks import MULTIPLE, Critic, Denoiser, Generator
from senm.config import Settings
from senm.support import seeding
from senm.support.device import torch_device
from senm.support.errors import SettingsError

if TYPE_CHECKING:
    from senm.data.pool import Pairs

EPOCH = 15_000
BETAS = {"generator": (0.5, 0.9), "denoiser": (0.9, 0.999), "critic": (0.5, 0.9)}


class DANetSize(Settings):
    """Widths at full resolution; the two U-Nets are 16 times wider at their lowest level."""

    width: int = Field(32, ge=1, description="channels of generator and denoiser")
    critic_width: int = Field(64, ge=1)


class DANetTraining(Settings):
    """70 epochs of 15,000 batches of 16 crops of 128x128; all rates halved after 20, 30, 40, 50, 60 and 65 epochs.

    The critic takes a step on every batch, denoiser and generator on every third.
    """

    steps: int = Field(70 * EPOCH, ge=1, description="steps of the critic")
    batch: int = Field(16, ge=1)
    crop: int = Field(128, description="side of a crop: 16, 32, 64, 128 or 256; the critic is built for it")
    critic_steps: int = Field(3, ge=1, description="steps of the critic for one of the others")
    lr: float = Field(1e-4, gt=0, description="rate of the denoiser")
    generator_lr: float = Field(1e-4, gt=0)
    critic_lr: float = Field(2e-4, gt=0)
    milestones: tuple[int, ...] = Field(
        tuple(epoch * EPOCH for epoch in (20, 30, 40, 50, 60, 65, 70)), description="steps at which rates are halved"
    )
    alpha: float = Field(0.5, ge=0, le=1, description="share of the generator's pairs in what the critic judges")
    denoiser_weight: float = Field(1000.0, ge=0, description="weight of the denoiser's mean absolute error")
    generator_weight: float = Field(10.0, ge=0, description="weight of the generator's blurred absolute error")
    penalty: float = Field(10.0, ge=0, description="gradient penalty")
    skip_limit: int = Field(10, ge=0)
    log_every: int = Field(300, ge=1)
    checkpoint_every: int = Field(EPOCH, ge=1)


class DANetSettings(Settings):
    """Everything that defines a trained DANet."""

    network: DANetSize = DANetSize()
    training: DANetTraining = DANetTraining()


class Training:
    """State and step of one training; every draw is a function of (seed, step)."""

    def __init__(self, sources: Sequence[Pairs], settings: DANetSettings, seed: int, device: str) -> None:
        size, train = settings.network, settings.training
        if train.crop % MULTIPLE:
            raise SettingsError(f"training.crop is {train.crop}", "16, 32, 64, 128 or 256")
        self.device, self.seed, self.settings = torch_device(device), seed, train
        self.sampler = PairSampler(sources, mixing="by_size", batch=train.batch, crop=train.crop, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("initialise", "danet", seed))
            self.generator = Generator(size.width).to(self.device)
            self.denoiser = Denoiser(size.width).to(self.device)
            self.critic = Critic(size.critic_width, train.crop).to(self.device)
            self.critic.initialise()
        self.networks: dict[str, nn.Module] = {
            "generator": self.generator, "denoiser": self.denoiser, "critic": self.critic,
        }
        self.optimisers = {
            name: torch.optim.Adam(network.parameters(), betas=BETAS[name]) for name, network in self.networks.items()
        }
        self.guard = Guard(train.skip_limit)
        self.parts: dict[str, Any] = {
            **self.networks, **{f"{name} optimiser": each for name, each in self.optimisers.items()},
            "guard": self.guard,
        }

    def step(self, number: int) -> dict[str, float]:
        """A step of the critic; after every `critic_steps` of them one of denoiser and generator on the same batch."""
        train = self.settings
        noisy, clean = (t.to(self.device) for t in self.sampler.batch(number))
        half = 0.5 ** sum(number >= m for m in train.milestones)
        draw = seeding.generator("danet", "critic", self.seed, number)
        with torch.no_grad():
            fake, estimate = self.generator(clean, self._map(clean, draw)), self.denoiser(noisy)
        one, two = (torch.rand(len(clean), 1, 1, 1, generator=draw).to(self.device) for _ in range(2))
        judged = critic_loss(self.critic, clean, noisy, fake, estimate, (one, two), train.alpha, train.penalty)
        self._update("critic", judged, train.critic_lr * half, number)
        logged = {"critic": judged.loss.item(), "lr": train.lr * half, "skipped": float(self.guard.skipped)}
        if (number + 1) % train.critic_steps:
            return logged
        restored = denoiser_loss(
            self.critic, clean, noisy, self.denoiser(noisy), train.alpha, train.denoiser_weight)
        self._update("denoiser", restored, train.lr * half, number)
        fake = self.generator(clean, self._map(clean, seeding.generator("danet", "generator", self.seed, number)))
        made = generator_loss(self.critic, clean, noisy, fake, train.alpha, train.generator_weight)
        self._update("generator", made, train.generator_lr * half, number)
        return {**logged, "loss": made.loss.item(), "denoiser": restored.loss.item(),
                "error of blurred noise": made.parts[1].item()}

    def _map(self, clean: Tensor, draw: torch.Generator) -> Tensor:
        return torch.randn(len(clean), 1, *clean.shape[-2:], generator=draw).to(self.device)

    def _update(self, name: str, terms: Terms, rate: float, number: int) -> None:
        """One step of Adam on one network: the critic takes no gradient from the steps of the others."""
        parameters = list(self.networks[name].parameters())
        gradients = torch.autograd.grad(terms.loss, parameters, allow_unused=True)
        norm = torch.stack([g.norm() for g in gradients if g is not None]).norm()
        if not self.guard.allows(number, {f"{name} loss": terms.loss.item(), f"{name} gradient norm": norm.item()}):
            return
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimisers[name].param_groups[0]["lr"] = rate
        self.optimisers[name].step()

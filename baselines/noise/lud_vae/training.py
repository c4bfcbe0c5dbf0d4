"""Settings, loss and training step of LUD-VAE (Zheng et al., TPAMI 2022, and the published code)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from baselines.fitting.loop import Guard
from baselines.fitting.pairs import UnpairedSampler
from baselines.noise.lud_vae.matching import AIM19, Matching
from baselines.noise.lud_vae.networks import LUDVAENetwork
from senm.config import Settings
from senm.support import seeding
from senm.support.device import torch_device

if TYPE_CHECKING:
    from senm.data.domains import Domains

LENGTH = "ours: the published training runs until it is stopped; 300k as the other systems of the table"


class LUDVAESize(Settings):
    """Size of the network."""

    width: int = Field(128, ge=1, description="feature channels, which are the channels of each latent too")


class LUDVAEHiding(Settings):
    """Gaussian noise that hides the image in the copy from which content is read, in 8-bit levels; the SIDD values."""

    clean: float = Field(40.0, ge=0, description="on clean images in training")
    noisy: float = Field(20.0, ge=0, description="on noisy images in training")
    generation: tuple[float, float] = Field((30.0, 70.0), description="on clean images when noise is made: an image's "
                                            "value is drawn between these two")
    temperature: float = Field(1.0, ge=0, description="factor on the latents when noise is made")


class LUDVAETraining(Settings):
    """Adam 1e-4, halved at 100k; batch 16 of 64x64; weight of the divergence up to 1e-4 over the first 10k steps."""

    steps: int = Field(300_000, ge=1, json_schema_extra={"guess": LENGTH})
    batch: int = Field(16, ge=1)
    crop: int = Field(64, ge=8)
    lr: float = Field(1e-4, gt=0)
    milestones: tuple[int, ...] = Field((100_000,), description="steps at which the rate is halved")
    kl_weight: float = Field(1e-4, ge=0, description="final weight of the divergence")
    kl_rise: int = Field(10_000, ge=1, description="steps over which its weight rises from 0")
    skip_limit: int = Field(10, ge=0)
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(5_000, ge=1)


class LUDVAESettings(Settings):
    """Everything that defines a trained LUD-VAE."""

    network: LUDVAESize = LUDVAESize()
    hiding: LUDVAEHiding = LUDVAEHiding()
    matching: Literal["none", "measured", "aim19"] = Field(
        "none", description="noisy images get the colour statistics of clean ones, and generated ones those of noisy "
        "ones: measured on the training data, or the published ones of AIM 2019",
    )
    training: LUDVAETraining = LUDVAETraining()


def matching(settings: LUDVAESettings, domains: Domains) -> Matching | None:
    """The matching that these settings ask for."""
    if settings.matching == "none":
        return None
    return AIM19 if settings.matching == "aim19" else Matching.measured(domains)


def divergence(levels: Tensor, label: Tensor, images: Tensor) -> Tensor:
    """Divergence a pixel and colour of the noisy images of a batch; 0 where there are none.

    Args:
        levels: (3, N) from the network.
        label: (N, 1, 1, 1).
        images: the batch, whose size counts, not that of the latents.
    """
    return levels.sum() / (label.sum().clamp_min(1) * images[0].numel())


def kl_weight(settings: LUDVAETraining, step: int) -> float:
    """Weight of the divergence at this step, counted from 1."""
    return settings.kl_weight * min(step / settings.kl_rise, 1.0)


class Training:
    """State and step of one training; every draw is a function of (seed, step)."""

    def __init__(self, domains: Domains, settings: LUDVAESettings, seed: int, device: str, name: str) -> None:
        self.device, self.seed, self.settings, self.name = torch_device(device), seed, settings, name
        train = settings.training
        self.sampler = UnpairedSampler(domains, batch=train.batch, crop=train.crop, seed=seed)
        self.matching = matching(settings, domains)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("initialise", name, seed))
            self.network = LUDVAENetwork(settings.network.width).to(self.device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=train.lr)
        self.guard = Guard(train.skip_limit)
        self.parts: dict[str, Any] = {"network": self.network, "optimiser": self.optimiser, "guard": self.guard}

    def step(self, number: int) -> dict[str, float]:
        """One step of Adam; returns what is logged."""
        train = self.settings.training
        rate = train.lr * 0.5 ** sum(number >= m for m in train.milestones)
        self.optimiser.param_groups[0]["lr"] = rate
        draw = seeding.generator(self.name, self.seed, number)
        x, content, label = (t.to(self.device) for t in self._batch(number, draw))
        output, levels = self.network(x, content, label, self.network.draws(x, draw))
        squared, kl = ((output - x) ** 2).mean(), divergence(levels, label, x)
        loss = squared + kl_weight(train, number + 1) * kl
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.stack([p.grad.norm() for p in self.network.parameters() if p.grad is not None]).norm()
        terms = {"squared error": squared.item(), "divergence": kl.item(), "gradient norm": norm.item()}
        if self.guard.allows(number, terms):
            self.optimiser.step()
        return {"loss": loss.item(), **terms, "lr": rate, "skipped": self.guard.skipped}

    def _batch(self, number: int, draw: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Images, their hidden copies and labels: each sample is clean or noisy with equal chance."""
        clean, noisy = self.sampler.batch(self.name, number)
        label = torch.randint(0, 2, (len(clean), 1, 1, 1), generator=draw).float()
        x = torch.where(label > 0, noisy, clean)
        hiding = self.settings.hiding
        strength = (label * hiding.noisy + (1 - label) * hiding.clean) / 255
        content = x + strength * torch.randn(x.shape, generator=draw)
        if self.matching is not None:
            x, content = (torch.where(label > 0, self.matching.to_clean(t), t) for t in (x, content))
        return x, content, label

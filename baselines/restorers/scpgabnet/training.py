"""The training of SCPGabNet: a first stage, then rounds of self-collaboration against a frozen copy of the denoiser."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.fitting.loop import Guard, Stateful
from baselines.fitting.pairs import UnpairedSampler
from baselines.restorers.scpgabnet.losses import (
    Networks,
    denoiser_terms,
    discriminator_terms,
    generator_terms,
    images,
)
from senm.config import Settings
from senm.support.device import torch_device
from senm.support.seeding import rng

if TYPE_CHECKING:
    from senm.data.domains import Domains

ROUNDS = "ours: the authors say in a discussion that the second stage is repeated several times, each to its best " \
         "score on validation pairs; the number is not given, and without pairs each ends at its last step"


class SCPGabNetTraining(Settings):
    """Adam 1e-4 without decay, batch 12 of 128x128, up to 400 epochs of 2,000 steps a stage.

    The published code's decay function is never called, so the rate is constant; optimisers start afresh with each
    stage, as its stages are runs of their own.
    """

    first_stage: int = Field(800_000, ge=1, description="steps without self-collaboration")
    second_stage: int = Field(800_000, ge=0, description="steps of a round of self-collaboration")
    plain: int = Field(0, ge=0, description="first steps in which D learns from L1 alone: SSIM takes a colour whose "
                       "sign is turned for the right one", json_schema_extra={"source": "published code: none"})
    rounds: int = Field(2, ge=0, description="rounds of the second stage", json_schema_extra={"guess": ROUNDS})
    batch: int = Field(12, ge=1)
    crop: int = Field(128, ge=32, multiple_of=16, description="side of a crop in pixels")
    lr: float = Field(1e-4, gt=0)
    turned: float = Field(0.5, ge=0, le=1, description="share of crops that are flipped or rotated, 7 ways")
    coupled: bool = Field(
        True, description="the generator's loss trains the denoiser too, and the denoiser's loss the generator, as in "
        "the published code; the paper describes each loss for its own network",
    )
    skip_limit: int = Field(10, ge=0, description="consecutive non-finite steps that are skipped before stopping")
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(2_000, ge=1)

    @property
    def steps(self) -> int:
        """Steps of all stages together."""
        return self.first_stage + self.rounds * self.second_stage


class Collaboration:
    """State and step of one training; every draw is a function of (seed, step)."""

    def __init__(self, networks: Networks, domains: Domains, settings: SCPGabNetTraining, seed: int,
                 device: str) -> None:
        self.device, self.seed, self.settings = torch_device(device), seed, settings
        self.sampler = UnpairedSampler(domains, batch=settings.batch, crop=settings.crop, seed=seed, turn=False)
        self.networks = networks
        assert networks.frozen is not None
        self.frozen = networks.frozen.to(self.device).requires_grad_(False)
        self.trained: dict[str, nn.Module] = {
            name: net.to(self.device).train() for name, net in
            (("D", networks.denoiser), ("G", networks.generator), ("P", networks.discriminator))
        }
        self.judges = [p for p in networks.discriminator.parameters() if p.requires_grad]
        self.optimisers = {
            name: torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=settings.lr)
            for name, net in self.trained.items()
        }
        self.guard = Guard(settings.skip_limit)
        self.parts: Mapping[str, Stateful] = {
            **self.trained, "E": self.frozen, "guard": self.guard,
            **{f"optimiser {name}": optimiser for name, optimiser in self.optimisers.items()},
        }

    def round(self, number: int) -> int:
        """0 in the first stage, then the number of the round."""
        later = number - self.settings.first_stage
        return 0 if later < 0 else 1 + later // self.settings.second_stage

    def step(self, number: int) -> dict[str, float]:
        """One step of D and G together, then one of P; returns what is logged."""
        now = self.round(number)
        if now and now != self.round(number - 1):
            self.frozen.load_state_dict(self.networks.denoiser.state_dict())
            for optimiser in self.optimisers.values():
                optimiser.state.clear()
        clean, noisy = (
            self._turned(side, name, number).to(self.device)
            for name, side in zip(("clean", "noisy"), self.sampler.batch("scpgabnet", number), strict=True)
        )
        networks = self.networks if now else Networks(*self.trained.values())
        self._judge(False)
        made = images(networks, clean, noisy, self.settings.coupled)
        terms = generator_terms(networks, made, clean) | denoiser_terms(made, clean)
        if number < self.settings.plain:
            terms["loss_D"] = terms["loss_recon"]
        self._update("DG", terms["loss_G"] + terms["loss_D"], number)
        self._judge(True)
        terms |= discriminator_terms(networks, made, noisy)
        self._update("P", terms["loss_P"], number)
        return {"loss": float(terms["loss_D"].detach()), "generator": float(terms["loss_G"].detach()),
                "discriminator": float(terms["loss_P"].detach()), "round": now, "skipped": self.guard.skipped}

    def _turned(self, crops: Tensor, side: str, number: int) -> Tensor:
        """A share of the crops under one of the 7 flips and quarter turns that are not the identity."""
        draw = rng("scpgabnet", "turn", side, self.seed, number)
        return torch.stack([
            turn(crop, int(draw.integers(1, 8))) if draw.random() < self.settings.turned else crop for crop in crops
        ])

    def _judge(self, learns: bool) -> None:
        for parameter in self.judges:
            parameter.requires_grad_(learns)

    def _update(self, names: Iterable[str], loss: Tensor, number: int) -> None:
        names = list(names)
        for name in names:
            self.optimisers[name].zero_grad(set_to_none=True)
        loss.backward()
        trained = [p for name in names for p in self.trained[name].parameters()]
        norm = float(nn.utils.clip_grad_norm_(trained, math.inf))
        what = "and".join(names)
        if self.guard.allows(number, {f"loss of {what}": float(loss.detach()), f"gradient norm of {what}": norm}):
            for name in names:
                self.optimisers[name].step()


def turn(crop: Tensor, way: int) -> Tensor:
    """`crop` (3, c, c) under `way` in 0 .. 7: way % 4 quarter turns, mirrored first where way >= 4."""
    return torch.rot90(crop.flip(2) if way >= 4 else crop, way % 4, (1, 2))

"""One training of NeCA-W on the pairs of one camera; every draw is a function of (seed, step)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.fitting.loop import Guard
from baselines.fitting.pairs import PairSampler
from baselines.noise.neca_w.losses import SUB, Critics, critic_terms, generator_terms, total
from baselines.noise.neca_w.networks import (
    CORRELATED_STAGES,
    STRIDE,
    UNCORRELATED_STAGES,
    Critic,
    Generator,
    denoiser,
    initialise,
)
from senm.config import Settings
from senm.data.crops import Positions
from senm.data.domains import to_tensor
from senm.support import seeding
from senm.support.errors import SettingsError

if TYPE_CHECKING:
    from senm.data.pool import Pairs

UNCUT, OVERLAP = 800, 128


class NeCANetwork(Settings):
    """Widths of the networks; the critics and the denoiser are not kept after training."""

    width: int = Field(96, ge=1, description="of the gain and level networks")
    correlation_width: int = Field(64, ge=1)
    critic_width: int = Field(64, ge=1)
    denoiser_width: int = Field(64, ge=1)
    denoiser_depth: int = Field(20, ge=3)
    deviation: float = Field(0.02, gt=0, description="of the initial weights; narrow networks need more")


class NeCATraining(Settings):
    """The published command: batch 16 of 96x96, rate 1e-4, up to 5,000 epochs of one crop of every 512x512 tile."""

    epochs: int = Field(
        5_000, ge=1, json_schema_extra={"guess": "the published limit; which epoch was released is not known"}
    )
    epoch_steps: int | None = Field(None, ge=1, description="steps an epoch; None: one crop of every tile")
    tile: int = Field(512, ge=1, description="side of the tiles; pictures of up to 800 pixels a side are one tile")
    batch: int = Field(16, ge=1)
    crop: int = Field(96, ge=24, description="side in pixels, a multiple of 24")
    lr: float = Field(1e-4, gt=0)
    betas: tuple[float, float] = (0.5, 0.9)
    adversarial_every: int = Field(5, ge=1, description="generator steps between those with adversarial terms")
    penalty: float = Field(10.0, ge=0, description="weight of the gradient penalties")
    denoise_from: int | None = Field(50, ge=1, description="first epoch in which the denoiser is trained; None: never")
    denoiser_lr: float = Field(1e-3, gt=0)
    denoiser_drop: int = Field(80, ge=1, description="last epoch before the denoiser's rate falls to a tenth")
    separate: bool = Field(True, description="keep the denoiser's gradient from the generator, as the command does")
    skip_limit: int = Field(10, ge=0)
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(1_000, ge=1)


class TileCrops:
    """Aligned crops, one of every tile in a new random order each round, at a random place in the tile.

    Raises:
        DataError: no pairs, an image smaller than a crop, or sides of a pair that differ in size.
        SettingsError: a crop that is no multiple of 24.
    """

    def __init__(self, pairs: Pairs, settings: NeCATraining, seed: int) -> None:
        if settings.crop % (STRIDE * SUB):
            raise SettingsError(f"crop is {settings.crop}", f"a multiple of {STRIDE * SUB}")
        checked = PairSampler([pairs], mixing="by_size", batch=settings.batch, crop=settings.crop, seed=seed)
        self.noisy, self.clean = checked.noisy[0], checked.clean[0]
        self.settings, self.seed = settings, seed
        sizes = zip(self.noisy.heights.tolist(), self.noisy.widths.tolist(), strict=True)
        side = max(settings.tile, settings.crop)
        self.tiles = np.array([(image, *tile) for image, size in enumerate(sizes) for tile in tiles_of(*size, side)])

    def epoch_steps(self) -> int:
        """Steps an epoch."""
        return self.settings.epoch_steps or max(1, len(self.tiles) // self.settings.batch)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """(clean, noisy), float32 (batch, 3, crop, crop) in [0, 1]."""
        size, count = self.settings.batch, len(self.tiles)
        at = np.arange(step * size, (step + 1) * size)
        rounds = range(int(at[0]) // count, int(at[-1]) // count + 1)
        order = np.concatenate([seeding.rng("neca tiles", self.seed, number).permutation(count) for number in rounds])
        chosen = self.tiles[order[at - rounds[0] * count]]
        draw = seeding.rng("neca crops", self.seed, step)
        image, row, column, height, width = chosen.T
        where = Positions(image, row + draw.integers(0, height - self.settings.crop + 1),
                          column + draw.integers(0, width - self.settings.crop + 1))
        return to_tensor(self.clean.read(where)), to_tensor(self.noisy.read(where))


def tiles_of(height: int, width: int, side: int) -> list[tuple[int, int, int, int]]:
    """(row, column, height, width) of overlapping tiles; a picture no side of which is over 800 is one tile."""
    if min(height, width) <= max(UNCUT, side):
        return [(0, 0, height, width)]
    rows, columns = ([*range(0, length - side, side - min(OVERLAP, side // 2)), length - side]
                     for length in (height, width))
    return [(row, column, side, side) for row in rows for column in columns]


class Adversarial:
    """State and step: generator and denoiser together, then both critics on the same noise."""

    def __init__(
        self, crops: TileCrops, network: NeCANetwork, settings: NeCATraining, seed: int, device: torch.device
    ) -> None:
        self.crops, self.settings, self.seed, self.device = crops, settings, seed, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("initialise", "neca-w", seed))
            self.generator = Generator(network.width, network.correlation_width)
            self.critics = Critics(Critic(settings.crop, CORRELATED_STAGES, network.critic_width),
                                   Critic(settings.crop // SUB, UNCORRELATED_STAGES, network.critic_width))
            self.denoiser = denoiser(network.denoiser_width, network.denoiser_depth)
            parts: dict[str, nn.Module] = {
                "generator": self.generator, "denoiser": self.denoiser,
                "D1": self.critics.correlated, "D2": self.critics.independent,
            }
            for part in parts.values():
                initialise(part, network.deviation)
                part.to(device).train()
        self.optimisers = {
            name: torch.optim.Adam(part.parameters(), settings.denoiser_lr if name == "denoiser" else settings.lr,
                                   settings.betas)
            for name, part in parts.items()
        }
        self.guard, self.networks, self.epoch_steps = Guard(settings.skip_limit), parts, crops.epoch_steps()
        optimisers = {f"{name} optimiser": optimiser for name, optimiser in self.optimisers.items()}
        self.parts: dict[str, Any] = {**parts, **optimisers, "guard": self.guard}

    @property
    def steps(self) -> int:
        return self.settings.epochs * self.epoch_steps

    def step(self, number: int) -> dict[str, float]:
        """Step `number` (from 0; the published steps and epochs count from 1); returns what is logged."""
        train, epoch = self.settings, number // self.epoch_steps + 1
        clean, noisy = (part.to(self.device) for part in self.crops.batch(number))
        draw = seeding.generator("neca", self.seed, number)
        normal = torch.randn(clean.shape, generator=draw).to(self.device)
        offset = int(torch.randint(SUB * SUB, (), generator=draw))
        shares = tuple(torch.rand(len(clean), generator=draw).to(self.device) for _ in range(2))
        adversarial = (number + 1) % train.adversarial_every == 0
        denoising = train.denoise_from is not None and epoch >= train.denoise_from
        rate = train.denoiser_lr * (0.1 if epoch > train.denoiser_drop else 1.0)
        self.optimisers["denoiser"].param_groups[0]["lr"] = rate

        noise, terms = generator_terms(
            self.generator, self.critics if adversarial else None, self.denoiser if denoising else None, clean, noisy,
            normal, offset, train.separate,
        )
        loss = total(terms)
        self._update(number, loss, "generator", *(("denoiser",) if denoising else ()))
        judged = critic_terms(self.critics, noisy - clean, noise, offset, (shares[0], shares[1]))
        critic = judged["real"] + judged["fake"] + train.penalty * (judged["gp1"] + judged["gp2"])
        self._update(number, critic, "D1", "D2")
        logged = {name: float(value.detach()) for name, value in terms.items()}
        return {"loss": float(loss.detach()), "critic": float(critic.detach()), **logged,
                "skipped": self.guard.skipped}

    def _update(self, number: int, loss: Tensor, *names: str) -> None:
        """Step these networks on the loss, unless it or a gradient is not finite; no other network gets a gradient.

        Parameters that the loss does not reach stay: the correlation network, in steps without adversarial terms.
        """
        parameters = [parameter for name in names for parameter in self.networks[name].parameters()]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        norm = torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm()
        if self.guard.allows(number, {f"{names[0]} loss": loss.item(), f"{names[0]} gradient norm": norm.item()}):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            for name in names:
                self.optimisers[name].step()

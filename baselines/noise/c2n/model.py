"""C2N: a noise generator learnt from unpaired clean and noisy photographs with a Wasserstein GAN (table 1).

Networks and losses follow Jang et al., ICCV 2021, and the configuration files of the published code; the training
script was never released, so optimiser, penalty and the exact stabiliser are marked as ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.base import (
    Capabilities,
    Scale,
    load_checkpoint,
    load_state,
    save_checkpoint,
    to_image,
    to_tensor,
)
from baselines.fitting.loop import Guard, identity, run_loop
from baselines.fitting.pairs import UnpairedSampler
from baselines.noise.c2n.networks import Critic, Generator
from senm.checkpoint import read_state_dict
from senm.config import Settings
from senm.data.digest import content
from senm.support import seeding
from senm.support.device import torch_device

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images
    from senm.support.progress import Progress

WGAN_GP = "ours: the training script was never released; the default of WGAN-GP (Gulrajani et al., 2017)"


START = 0.1  # ours: the published configuration does not give the initialisation
# On few photographs the two domains differ in colour, and the cheapest way to please the critic is to shift it. No
# critic of Lipschitz constant 1 can pay for a shift where the stabiliser weighs more than 1 / sqrt(3).
NO_SHIFT = 1.0


class C2NNetwork(Settings):
    """Sizes of generator and critic."""

    width: int = Field(64, ge=1)
    code: int = Field(32, ge=1, description="length of the random code of an image")
    blocks: tuple[int, int, int] = Field((5, 2, 3), description="feature body, dependent pipes, independent pipes")
    critic_blocks: int = Field(6, ge=1)


class C2NTraining(Settings):
    """36 epochs of 1,000 generator steps, batch 36 of 96x96, rate 1e-4 times 0.8 every 3 epochs."""

    steps: int = Field(36_000, ge=1, description="generator steps")
    batch: int = Field(36, ge=1)
    crop: int = Field(96, ge=8)
    lr: float = Field(1e-4, gt=0)
    decay: float = Field(0.8, gt=0)
    decay_every: int = Field(3_000, ge=1)
    betas: tuple[float, float] = Field((0.5, 0.9), json_schema_extra={"guess": "ours: Adam's betas were not released"})
    critic_steps: int = Field(5, ge=1, json_schema_extra={"guess": WGAN_GP})
    penalty: float = Field(10.0, ge=0, description="gradient penalty", json_schema_extra={"guess": WGAN_GP})
    zero_mean: float = Field(
        1e-2, ge=0,
        description="weight of the sum over channels of |mean of the generated noise over the batch| * sqrt(H * W), "
        "the L2 norm of a constant shift, which is the unit of the critic",
        json_schema_extra={"guess": "ours: the weight is published, the exact form of the term is not"},
    )
    skip_limit: int = Field(10, ge=0)
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(1_000, ge=1)


class C2NSettings(Settings):
    """Everything that defines a trained C2N."""

    network: C2NNetwork = C2NNetwork()
    training: C2NTraining = C2NTraining()


def build(settings: C2NSettings) -> Generator:
    """A new generator of these settings; its last layer starts small, so that training starts near no noise."""
    size = settings.network
    generator = Generator(size.width, size.code, size.blocks)
    with torch.no_grad():
        for parameter in generator.T_tail.parameters():
            parameter.mul_(START)
    return generator


class C2N:
    """The generator as a noise model."""

    name = "c2n"
    capabilities = Capabilities(kind="noise", uses_unpaired=True)

    def __init__(self, generator: Generator, settings: C2NSettings) -> None:
        self.generator, self.settings = generator.eval(), settings

    @classmethod
    def default_settings(cls, scale: Scale) -> C2NSettings:
        """`paper` is the published configuration; the others are smaller and shorter."""
        settings = C2NSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 16, "code": 8, "blocks": (3, 2, 2), "critic_blocks": 4},
            training={"steps": 1_000, "batch": 6, "crop": 32, "lr": 2e-4, "decay_every": 125, "critic_steps": 4,
                      "zero_mean": NO_SHIFT, "log_every": 50, "checkpoint_every": 250},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 8, "code": 4, "blocks": (1, 1, 1), "critic_blocks": 2},
            training={"steps": 30, "batch": 4, "crop": 32, "critic_steps": 2, "log_every": 5, "checkpoint_every": 15},
        )

    @classmethod
    def fit(
        cls, domains: Domains, settings: C2NSettings, *, seed: int, device: str, workdir: Path, progress: Progress
    ) -> Self:
        """Train on clean images of the source and noisy images of the target domain (sides of pairs join unpaired).

        Raises:
            DataError: one side is empty, or an image is smaller than the crop.
            TrainingError: a loss stays non-finite.
        """
        run = Adversarial(domains, settings, seed, device)
        train = settings.training
        run_loop(
            run.step, run.parts, steps=train.steps, workdir=workdir,
            identity=identity(settings, seed, content(domains.source, domains.target, domains.paired)),
            progress=progress, label="train c2n", log_every=train.log_every, checkpoint_every=train.checkpoint_every,
        )
        return cls(run.generator, settings)

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Noisy versions in order; an image's noise depends on the seed and its name only."""
        place = torch_device(device)
        generator = self.generator.to(place).eval()
        with progress.task(f"sample with {self.name}", len(clean)) as task:
            for index, name in enumerate(clean.names):
                with torch.inference_mode():
                    x = to_tensor(clean[index], place)
                    noisy = generator(x, *generator.draws(x, seeding.generator("sample", seed, name, self.name)))
                yield to_image(noisy)
                task.advance()

    def save(self, folder: Path) -> None:
        """Write the generator; see `baselines.base.save_checkpoint`."""
        save_checkpoint(folder, self.name, self.settings, self.generator.state_dict())

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read a checkpoint written by `save`.

        Raises:
            CheckpointError: missing, broken or of another layout.
        """
        settings, state = load_checkpoint(folder, cls.name, C2NSettings)
        generator = build(settings)
        load_state(generator, state, folder / "model.safetensors")
        return cls(generator.to(torch_device(device)), settings)

    @classmethod
    def from_published(cls, file: Path) -> Self:
        """The published generator; it works on BGR images, so its first and last layer are turned to RGB here.

        Raises:
            CheckpointError: the file is missing, broken or of another layout.
        """
        settings = C2NSettings()
        generator = build(settings)
        load_state(generator, swap_red_and_blue(read_state_dict(file)), file)
        return cls(generator, settings)


def swap_red_and_blue(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A generator's state dict for images with the other channel order."""
    axes = {"ext_head.0.weight": 1, "T_tail.weight": 0, "T_tail.bias": 0}
    return {key: value.flip(axes[key]) if key in axes else value for key, value in state.items()}


def mean_shift(fake: Tensor, clean: Tensor) -> Tensor:
    """How far the noise of a batch, not of an image, is from mean zero: absolute values summed over channels."""
    return (fake - clean).mean(dim=(0, 2, 3)).abs().sum()


class Adversarial:
    """State and step of one WGAN-GP training; every draw is a function of (seed, step)."""

    def __init__(self, domains: Domains, settings: C2NSettings, seed: int, device: str) -> None:
        size, train = settings.network, settings.training
        self.device, self.seed, self.settings = torch_device(device), seed, train
        self.sampler = UnpairedSampler(domains, batch=train.batch, crop=train.crop, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("initialise", "c2n", seed))
            self.generator = build(settings).to(self.device)
            self.critic = Critic(size.width, size.critic_blocks).to(self.device)
        self.optimisers = [
            torch.optim.Adam(net.parameters(), lr=train.lr, betas=train.betas) for net in (self.generator, self.critic)
        ]
        self.guard = Guard(train.skip_limit)
        self.parts: dict[str, Any] = {
            "generator": self.generator, "critic": self.critic, "generator optimiser": self.optimisers[0],
            "critic optimiser": self.optimisers[1], "guard": self.guard,
        }

    def step(self, number: int) -> dict[str, float]:
        """`critic_steps` steps of the critic, then one of the generator; returns what is logged."""
        train = self.settings
        rate = train.lr * train.decay ** (number // train.decay_every)
        for optimiser in self.optimisers:
            optimiser.param_groups[0]["lr"] = rate
        critic_loss = distance = 0.0
        for repeat in range(train.critic_steps):
            at = number * train.critic_steps + repeat
            clean, noisy = (t.to(self.device) for t in self.sampler.batch("critic", at))
            draw = seeding.generator("c2n", "critic", self.seed, at)
            with torch.no_grad():
                fake = self.generator(clean, *self.generator.draws(clean, draw))
            distance_now = self._score(noisy) - self._score(fake)
            loss = train.penalty * gradient_penalty(self.critic, noisy, fake, draw) - distance_now
            self._update(1, loss, number, "critic")
            critic_loss, distance = float(loss.detach()), float(distance_now.detach())
        clean, _ = self.sampler.batch("generator", number)
        clean = clean.to(self.device)
        draw = seeding.generator("c2n", "generator", self.seed, number)
        fake = self.generator(clean, *self.generator.draws(clean, draw))
        shift = mean_shift(fake, clean) * train.crop
        loss = -self._score(fake) + train.zero_mean * shift
        self._update(0, loss, number, "generator")
        return {
            "loss": float(loss.detach()), "critic": critic_loss, "distance": distance,
            "zero mean": float(shift.detach()), "lr": rate, "skipped": self.guard.skipped,
        }

    def _score(self, images: Tensor) -> Tensor:
        return scores(self.critic, images).mean()

    def _update(self, which: int, loss: Tensor, number: int, term: str) -> None:
        network: nn.Module = (self.generator, self.critic)[which]
        self.optimisers[which].zero_grad(set_to_none=True)
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        norm = torch.stack([g.norm() for g in gradients]).norm()
        if self.guard.allows(number, {f"{term} loss": float(loss.detach()), f"{term} gradient norm": float(norm)}):
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter.grad = gradient
            self.optimisers[which].step()


def scores(critic: nn.Module, images: Tensor) -> Tensor:
    """One score an image, (B,): the score map's sum over sqrt(H * W), whose gradient is of order 1 from the start."""
    score_map: Tensor = critic(images)
    return score_map.flatten(1).sum(1) / (score_map.shape[-2] * score_map.shape[-1]) ** 0.5


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
    """Mean over images of (||gradient of the image's score|| - 1)^2 at random points between real and fake."""
    share = torch.rand(len(real), 1, 1, 1, generator=generator).to(real.device)
    between = (share * real + (1 - share) * fake).requires_grad_(True)
    (gradient,) = torch.autograd.grad(scores(critic, between).sum(), between, create_graph=True)
    return ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean()

"""One step of DSGAN and of DASR's down-sampling network: colour, texture and perceptual terms, in three readings.

The published step scores the fake image once, updates the discriminator, and sends the generator's gradient through
the scores of before. In the torch of 2019 that used the new weights with the old activations without notice; today it
is an error. "recompute" scores again after the update, "before" takes the gradient with the old weights,
"in-place" does what 2019's torch did.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.fitting.loop import Guard
from baselines.super_resolution.fssr.networks import Critic, low_frequencies
from senm.config import Settings

Reading = Literal["recompute", "before", "in-place"]
TINY = 1e-8


class DegradationTraining(Settings):
    """FSSR's training on AIM19: 300 epochs of 166 steps, constant for 150 epochs, then linearly to 0."""

    steps: int = Field(49_800, ge=1)
    constant: int = Field(24_900, ge=0, description="steps before the rate falls")
    epoch: int = Field(166, ge=1, description="steps between two changes of the rate")
    batch: int = Field(16, ge=1)
    crop: int = Field(512, ge=8, description="side of a crop of a photograph; the training crops have a quarter of it")
    fit_crop: bool = Field(
        False, description="where a photograph is smaller than the crop, use smaller crops instead of stopping",
        json_schema_extra={"guess": "ours: the published code stops"},
    )
    turn: bool = Field(False, description="flips and quarter turns")
    lr: float = Field(2e-4, gt=0)
    betas: tuple[float, float] = (0.5, 0.999)
    colour_weight: float = Field(1.0, ge=0)
    texture_weight: float = Field(0.005, ge=0)
    perceptual_weight: float = Field(0.01, ge=0)
    perceptual: Literal["lpips", "random-features"] = Field(
        "lpips", description="LPIPS of AlexNet v0.1, or a fixed random network where its weights are absent"
    )
    reading: Reading = Field(
        "recompute", description="which discriminator the generator's gradient sees",
        json_schema_extra={"guess": "ours: the published step is an error since torch 1.5; 'in-place' is what it did"},
    )
    skip_limit: int = Field(10, ge=0)
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(1_000, ge=1)


def learning_rate(settings: DegradationTraining, step: int) -> float:
    """The rate of this step (0-based): constant, then linear to 0, changed after each epoch."""
    over = step // settings.epoch * settings.epoch - settings.constant
    return settings.lr * (1 - max(0, over) / max(settings.steps - settings.constant, 1))


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Cross entropy of two probability maps."""
    return -torch.log(real + TINY).mean() - torch.log(1 - fake + TINY).mean()


def texture_loss(fake: Tensor) -> Tensor:
    """How little the generated image passes as real."""
    return -torch.log(fake + TINY).mean()


class Step:
    """Networks, optimisers and the update of both.

    Args:
        perceptual: distance of two batches in [0, 1], (B,).
    """

    def __init__(
        self, generator: nn.Module, critic: Critic, perceptual: nn.Module, settings: DegradationTraining
    ) -> None:
        self.generator, self.critic, self.perceptual = generator.train(), critic.train(), perceptual
        self.settings, self.guard = settings, Guard(settings.skip_limit)
        self.judged = list(critic.parameters())
        if settings.reading == "in-place":  # the same memory without torch's watch over changes in it
            self.judged = [nn.Parameter(p.data) for p in self.judged]
        self.optimisers = [torch.optim.Adam(parameters, lr=settings.lr, betas=settings.betas)
                           for parameters in (generator.parameters(), self.judged)]

    def learn(self, number: int, x: Tensor, base: Tensor, real: Tensor) -> dict[str, float]:
        """One update of the discriminator and one of the generator; returns what is logged.

        Args:
            x: input of the generator.
            base: the clean low-resolution image that colour and perceptual term compare with.
            real: degraded low-resolution images, unrelated or not.
        """
        for optimiser in self.optimisers:
            optimiser.param_groups[0]["lr"] = learning_rate(self.settings, number)
        fake = self.generator(x)
        real_score, score = self.critic(real), self.critic(fake)
        judged = critic_loss(real_score, score)
        toward_critic = torch.autograd.grad(judged, list(self.critic.parameters()), retain_graph=True)
        generator = list(self.generator.parameters())
        if self.settings.reading == "before":
            loss, terms = self.terms(fake, base, score)
            toward = torch.autograd.grad(loss, generator)
            self._update(1, toward_critic, number, {"discriminator": judged})
        else:
            self._update(1, toward_critic, number, {"discriminator": judged})
            if self.settings.reading == "recompute":
                score = self.critic(fake)
            loss, terms = self.terms(fake, base, score)
            toward = torch.autograd.grad(loss, generator)
        self._update(0, toward, number, terms)
        named = {"loss": loss, "discriminator": judged, **terms}
        return {**{name: float(value.detach()) for name, value in named.items()},
                "lr": learning_rate(self.settings, number), "skipped": self.guard.skipped}

    def terms(self, fake: Tensor, base: Tensor, score: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator's loss and its unweighted terms."""
        settings = self.settings
        terms = {"colour": colour_loss(fake, base, self.critic), "texture": texture_loss(score)}
        loss = settings.colour_weight * terms["colour"] + settings.texture_weight * terms["texture"]
        if settings.perceptual_weight:
            terms["perceptual"] = self.perceptual(fake, base).mean()
            loss = loss + settings.perceptual_weight * terms["perceptual"]
        return loss, terms

    def _update(self, which: int, gradients: tuple[Tensor, ...], number: int, terms: dict[str, Tensor]) -> None:
        optimiser = self.optimisers[which]
        norm = torch.stack([g.norm() for g in gradients]).norm()
        values = {name: float(value.detach()) for name, value in terms.items()}
        if self.guard.allows(number, {**values, "gradient norm": float(norm)}):
            for parameter, gradient in zip(optimiser.param_groups[0]["params"], gradients, strict=True):
                parameter.grad = gradient
            optimiser.step()


def colour_loss(fake: Tensor, base: Tensor, critic: Critic) -> Tensor:
    """L1 of the low frequencies that the discriminator does not see."""
    return nn.functional.l1_loss(low_frequencies(fake, critic.kind), low_frequencies(base, critic.kind))

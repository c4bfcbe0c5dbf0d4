"""One step of the adversarial stage: the generator, then the discriminator on the images of before.

The discriminator runs four times a step in training mode (generator: fake, real; its own: real, fake), so its batch
norm moves four times. With real low-resolution images it judges their enlargements instead, without comparison.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from baselines.fitting.loop import Guard
from baselines.fitting.training import LOSSES, TrainingSettings, learning_rate, make_optimiser, precision
from baselines.super_resolution.esrgan.crops import Crops
from baselines.super_resolution.esrgan.parts import cross_entropies, relativistic_terms, single
from baselines.super_resolution.frequency import Split, split

OTHERS = "ours: the paper says 60k steps of Adam; the value that DeFlow, LUD-VAE and RealSR share"


class GANTraining(TrainingSettings):
    """The adversarial stage. `crop` is the side of a low-resolution crop; `micro_batch` and `ema` are not used."""

    steps: int = Field(60_000, ge=1)
    batch: int = Field(16, ge=1, json_schema_extra={"guess": OTHERS})
    crop: int = Field(32, ge=8, json_schema_extra={"guess": OTHERS})
    schedule: Literal["constant", "steps", "cosine"] = Field("steps", json_schema_extra={"guess": OTHERS})
    milestones: tuple[int, ...] = Field((5_000, 10_000, 20_000, 30_000), json_schema_extra={"guess": OTHERS})
    pixel_weight: float = Field(1e-2, ge=0, description="L1", json_schema_extra={"guess": OTHERS})
    low_weight: float = Field(0.0, ge=0, description="L1 of the low frequencies of `split`")
    feature_weight: float = Field(1.0, ge=0, description="L1 of features", json_schema_extra={"guess": OTHERS})
    gan_weight: float = Field(5e-3, ge=0, json_schema_extra={"guess": OTHERS})
    split: Split = Field("none", description="the discriminator sees high frequencies only: FSSR, DASR")
    on_real: bool = Field(False, description="the adversarial term judges enlarged real images: DASR")
    features: Literal["vgg19", "lpips", "random-features"] = Field(
        "vgg19", description="VGG19 conv5_4 before activation, LPIPS, or a fixed random network where its weights are "
        "absent", json_schema_extra={"guess": OTHERS},
    )
    critic: Literal["vgg", "patch"] = "vgg"
    critic_width: int = Field(64, ge=1, json_schema_extra={"guess": OTHERS})
    stop_at: int | None = Field(
        None, ge=1, description="use the weights of this step; the schedule stays that of the full length",
        json_schema_extra={"guess": "ours: the last step. DeFlow and LUD-VAE report steps 10k to 50k of the same 60k"},
    )


class Step:
    """Networks, optimisers and the update of both.

    Args:
        distance: of two batches in [0, 1], a scalar or one value an image.
    """

    def __init__(self, network: nn.Module, critic: nn.Module, distance: nn.Module, settings: GANTraining,
                 device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.network, self.critic = network.to(device).train(), critic.to(device).train()
        self.distance = distance.to(device)
        self.optimisers = [make_optimiser(net, settings) for net in (self.network, self.critic)]
        self.guard = Guard(settings.skip_limit)

    def learn(self, number: int, crops: Crops) -> dict[str, float]:
        """One update of the generator and one of the discriminator; returns what is logged, terms unweighted."""
        settings = self.settings
        rate = learning_rate(settings, number + 1)  # the published schedule moves before the update
        for optimiser in self.optimisers:
            optimiser.param_groups[0]["lr"] = rate
        with precision(settings.precision, self.device):
            low = crops.low if crops.real is None else torch.cat([crops.low, crops.real])
            fake, *unpaired = single(self.network(low)).split(len(crops.low))
            judged = split(unpaired[0] if unpaired else fake, settings.split)[1]
            real = split(crops.high if crops.other is None else crops.other, settings.split)[1]
            terms = self._terms(fake, crops)
            score = single(self.critic(judged))
            if unpaired:
                terms["gan"] = cross_entropies(score, score)[0]
            else:
                terms["gan"] = halves(*relativistic_terms(score, single(self.critic(real).detach())))
        weights = {"pixel": settings.pixel_weight, "low": settings.low_weight, "features": settings.feature_weight,
                   "gan": settings.gan_weight}
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        values = {name: float(term.detach()) for name, term in terms.items()}
        self._update(0, self.network, loss, number, values)
        with precision(settings.precision, self.device):
            real_score, score = single(self.critic(real)), single(self.critic(judged.detach()))
        parts = (cross_entropies if unpaired else relativistic_terms)(real_score, score)
        verdict = halves(*parts)
        self._update(1, self.critic, verdict, number, {"discriminator": float(verdict.detach())})
        seen = {"discriminator": verdict, "real": parts[0], "fake": parts[1], "real logit": real_score.mean(),
                "fake logit": score.mean()}
        return {
            "loss": float(loss.detach()), **values, **{name: float(value.detach()) for name, value in seen.items()},
            "lr": rate, "skipped": self.guard.skipped,
        }

    def _terms(self, fake: Tensor, crops: Crops) -> dict[str, Tensor]:
        settings, high = self.settings, crops.high
        if crops.weight is None:
            terms = {"pixel": LOSSES[settings.loss](fake, high)}
        else:
            terms = {"pixel": (enlarge(crops.weight) * (fake - high).abs()).mean()}
        if settings.low_weight:
            terms["low"] = F.l1_loss(split(fake, settings.split)[0], split(high, settings.split)[0])
        return {**terms, "features": single(self.distance(fake, high)).mean()}

    def _update(self, which: int, network: nn.Module, loss: Tensor, number: int, terms: dict[str, float]) -> None:
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        norm = torch.stack([g.norm() for g in gradients]).norm()
        if self.guard.allows(number, {**terms, "gradient norm": float(norm)}):
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter.grad = gradient
            self.optimisers[which].step()


def halves(first: Tensor, second: Tensor) -> Tensor:
    """The mean of two terms."""
    return (first + second) / 2


def enlarge(weight: Tensor) -> Tensor:
    """Weights (B, 1, h, w) on the grid of the enlarged image, bilinear between pixel centres."""
    return F.interpolate(weight, scale_factor=4, mode="bilinear", align_corners=False)

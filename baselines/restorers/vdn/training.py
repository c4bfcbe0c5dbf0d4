"""One step of VDN: the bound as objective, and gradients clipped for each network at a limit that only falls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.fitting.training import Supervised, TrainingSettings, precision
from baselines.restorers.vdn.losses import negative_bound, variance_map
from senm.support import seeding

if TYPE_CHECKING:
    from baselines.fitting.pairs import PairSampler

EPOCH = 5_000


class VDNTraining(TrainingSettings):
    """The published recipe for real noise: Adam 2e-4, halved eight times, batch 64 of 128x128.

    Crops are drawn from whole photographs, where the authors cut these into overlapping pieces of 512x512 first. The
    paper adds the pairs of RENOIR to SIDD-Medium; the published weights are from SIDD-Medium alone.
    """

    steps: int = Field(
        50 * EPOCH, ge=1,
        description="50 epochs: the code asks for 60 and stops at a rate below 1e-6, which the eighth halving gives",
        json_schema_extra={"source": "code: train_benchmark.py"},
    )
    batch: int = Field(64, ge=1)
    crop: int = Field(128, ge=8, description="a multiple of 8 pixels")
    loss: Literal["bound"] = "bound"  # type: ignore[assignment]
    lr: float = Field(2e-4, gt=0)
    schedule: Literal["constant", "steps", "cosine"] = "steps"
    milestones: tuple[int, ...] = tuple(EPOCH * epoch for epoch in (10, 20, 25, 30, 35, 40, 45, 50))
    augment: bool = Field(True, description="flips and rotations, for the share `turned` of the crops")
    turned: float = Field(0.5, ge=0, le=1, description="share of the crops that are flipped or rotated, 7 ways")
    eps2: float = Field(1e-6, gt=0, description="prior variance of the latent image; 5e-5 on synthetic noise")
    radius: int = Field(3, ge=1, description="of the window of the variance map, in pixels")
    limits: tuple[float, float] = Field((1e4, 1e3), description="gradient norm of D-Net and S-Net at the start")
    epoch: int = Field(EPOCH, ge=1, description="steps after which a limit falls to the mean norm since the last time")


class Limit:
    """A gradient norm that falls to the mean of an epoch's norms before clipping, where that is lower."""

    def __init__(self, value: float) -> None:
        self.value, self.total, self.count = value, 0.0, 0

    def clip(self, network: nn.Module) -> float:
        """Clip the gradients of `network` and return their norm before that."""
        return float(nn.utils.clip_grad_norm_(network.parameters(), self.value))

    def seen(self, norm: float) -> None:
        """Count a norm into the mean of this epoch."""
        self.total, self.count = self.total + norm, self.count + 1

    def fall(self) -> None:
        """End an epoch."""
        if self.count:
            self.value = min(self.value, self.total / self.count)
            self.total, self.count = 0.0, 0


class Variational(Supervised):
    """State and step of a VDN training."""

    settings: VDNTraining

    def __init__(self, network: nn.Module, sampler: PairSampler, settings: VDNTraining, device: str) -> None:
        super().__init__(network, sampler, settings, device)
        self.limits = {"norm D": Limit(settings.limits[0]), "norm S": Limit(settings.limits[1])}
        sampler.turn = False

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Crops of this step, of which a share is turned."""
        noisy, clean = super().batch(number)
        if not self.settings.augment:
            return noisy, clean
        draw = seeding.rng("vdn", "turn", self.sampler.seed, number)
        ways = draw.integers(1, 8, len(noisy)) * (draw.random(len(noisy)) < self.settings.turned)
        return turned(noisy, ways.tolist()), turned(clean, ways.tolist())

    def objective(self, noisy: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """The bound, its terms and the mean squared error of the clipped estimate."""
        train = self.settings
        xi = self.variance(noisy, clean)
        with precision(train.precision, self.device):
            phi_z, phi_sigma = (output.to(clean.dtype) for output in self.network.posteriors(noisy))  # type: ignore[operator]
        terms = negative_bound(phi_z, phi_sigma, noisy, clean, xi, eps2=train.eps2, radius=train.radius)
        with torch.no_grad():
            terms["mse"] = (((noisy - phi_z[:, :3]).clamp(0, 1) - clean) ** 2).mean()
        return terms

    def variance(self, noisy: Tensor, clean: Tensor) -> Tensor:
        """Where the prior of the noise variance has its mode, (B, 3, H, W)."""
        return variance_map(noisy, clean, self.settings.radius)

    def clipped(self) -> dict[str, float]:
        """Clip both networks' gradients at their limits."""
        parts = (self.network.get_submodule("DNet"), self.network.get_submodule("SNet"))
        return {name: limit.clip(part) for (name, limit), part in zip(self.limits.items(), parts, strict=True)}

    def step(self, number: int) -> dict[str, float]:
        """One optimiser step; at the end of an epoch the limits fall."""
        values = super().step(number)
        for name, limit in self.limits.items():
            if self.guard.in_a_row == 0:
                limit.seen(values[name])
            if (number + 1) % self.settings.epoch == 0:
                limit.fall()
        return values

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {
            "limits": [[limit.value, limit.total, limit.count] for limit in self.limits.values()]
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for limit, (value, total, count) in zip(self.limits.values(), state["limits"], strict=True):
            limit.value, limit.total, limit.count = float(value), float(total), int(count)


def turned(images: Tensor, ways: list[int]) -> Tensor:
    """Each image flipped or rotated: way k is k % 4 quarter turns, after an up-down flip where k >= 4; 0 is none."""
    done = [torch.rot90(image.flip(1) if way >= 4 else image, way % 4, (1, 2))
            for image, way in zip(images, ways, strict=True)]
    return torch.stack(done)

"""Maximum likelihood on patches, in the order of the published code or at random (Kousha et al., CVPR 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from baselines.fitting.loop import Guard
from baselines.fitting.pairs import PairSampler
from baselines.noise.flow_srgb.conditions import Conditions
from baselines.noise.flow_srgb.networks import NoiseFlow
from senm.config import Settings
from senm.data.crops import Positions
from senm.support import seeding

if TYPE_CHECKING:
    from senm.data.pool import Pairs

WORKERS = 5


class FlowTraining(Settings):
    """Adam 1e-4 on batches of 138 patches of one image; 2,000 epochs of 2,352 steps asked for, the log stops at 958."""

    steps: int = Field(4_704_000, ge=1)
    batch: int = Field(138, ge=2)
    patch: int = Field(32, ge=4, description="side in pixels")
    order: Literal["raster", "random"] = Field(
        "raster", description="raster: non-overlapping patches from the top left, one image a batch, no shuffle; "
        "random: any place of any image",
    )
    patches_per_image: int = Field(2_898, ge=1, description="raster order takes only the first of an image")
    lr: float = Field(1e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    half: bool = Field(True, description="float16 autocast with gradient scaling; on a GPU only")
    skip_limit: int = Field(10, ge=0)
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(2_352, ge=1)


class Patches:
    """Batches of aligned patches as functions of the step.

    Raises:
        DataError: no pairs, an image smaller than a patch, or sides of a pair that differ in size.
    """

    def __init__(self, pairs: Pairs, conditions: Conditions, settings: FlowTraining, seed: int) -> None:
        checked = PairSampler([pairs], mixing="by_size", batch=settings.batch, crop=settings.patch, seed=seed)
        self.noisy, self.clean = checked.noisy[0], checked.clean[0]
        self.conditions, self.settings, self.seed = conditions, settings, seed
        self.order = raster_order(self._patches(), settings.batch) if settings.order == "raster" else []

    def _patches(self) -> list[int]:
        """Patches of each image that raster order uses."""
        side = self.settings.patch
        counts = (self.noisy.heights // side) * (self.noisy.widths // side)
        return [min(int(count), self.settings.patches_per_image) for count in counts]

    def positions(self, step: int) -> Positions:
        """Where the patches of a step lie."""
        if self.settings.order == "random":
            return self.noisy.draw(seeding.rng("flow patches", self.seed, step), self.settings.batch)
        image, first, count = self.order[step % len(self.order)]
        side, number = self.settings.patch, np.arange(first, first + count)
        columns = int(self.noisy.widths[image]) // side
        return Positions(np.full(count, image), number // columns * side, number % columns * side)

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(noisy, clean, condition): levels 0 .. 255 in float32 (B, 3, s, s), blue first, and integer (B, 2)."""
        at = self.positions(step)
        noisy, clean = (to_network(reader.read(at)) for reader in (self.noisy, self.clean))
        return noisy, clean, torch.from_numpy(self.conditions.table[at.image])


def raster_order(patches: list[int], batch: int) -> list[tuple[int, int, int]]:
    """(image, first patch, patches) of each batch of an epoch.

    Five loader processes take turns, so that consecutive batches come from five images. A last batch that is not full
    is dropped, unless it is an image's only one; an image of a single patch is left out unless all are.
    """
    queues = [[(image, first, min(batch, count - first)) for first in range(0, max(count - batch, 0) + 1, batch)]
              for image, count in enumerate(patches)]
    order = []
    for start in range(0, len(queues), WORKERS):
        group = queues[start : start + WORKERS]
        order += [queue[turn] for turn in range(max(map(len, group))) for queue in group if turn < len(queue)]
    return [entry for entry in order if entry[2] > 1] or order


def to_network(images: np.ndarray) -> Tensor:
    """uint8 RGB (B, H, W, 3) -> float32 levels (B, 3, H, W) in the published order: blue, green, red."""
    return torch.from_numpy(np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2))).float()


class Likelihood:
    """State and step of one training; every draw is a function of (seed, step)."""

    def __init__(self, network: NoiseFlow, patches: Patches, settings: FlowTraining, device: torch.device) -> None:
        self.network, self.patches, self.settings, self.device = network.to(device).train(), patches, settings, device
        self.optimiser = torch.optim.Adam(network.parameters(), lr=settings.lr, betas=settings.betas)
        self.half = settings.half and device.type == "cuda"
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half)
        self.guard = Guard(settings.skip_limit)
        self.parts: dict[str, Any] = {"network": self.network, "optimiser": self.optimiser, "guard": self.guard,
                                      "scaler": self.scaler}

    def step(self, number: int) -> dict[str, float]:
        """One step on the mean negative log-likelihood in nats an image; logs it a value, as the paper prints it."""
        noisy, clean, condition = (part.to(self.device) for part in self.patches.batch(number))
        draw = seeding.generator("flow", self.patches.seed, number)
        uniforms = [torch.rand(clean.shape, generator=draw).to(self.device) for _ in range(2)]
        with torch.autocast(self.device.type, torch.float16, enabled=self.half):
            latent = self.network(noisy, clean, condition, uniforms[1], uniforms[0])
            loss = latent.nll.mean()
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        terms = {"likelihood": loss.item()}
        if not self.half:  # the scaler looks at the gradients itself
            norms = [parameter.grad.norm() for parameter in self.network.parameters() if parameter.grad is not None]
            terms["gradient norm"] = float(torch.stack(norms).norm())
        if self.guard.allows(number, terms):
            self.scaler.step(self.optimiser)
            self.scaler.update()
        return {"loss": terms["likelihood"] / clean[0].numel(),
                "sd z": float(latent.z.detach().flatten(1).std(1).mean()), "skipped": self.guard.skipped}

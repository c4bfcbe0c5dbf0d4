"""SDAP as a restorer; (S) trains on the images to be restored as well, (E) applies the network a second time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from baselines.base import Scale
from baselines.fitting.noisy_only import NoisyRestorer, NoisySampler, NoisyTraining, Objective, Procedure, Sampler
from baselines.fitting.restorer import RestorerSettings
from baselines.restorers.apbsn.networks import BlindSpotNetwork
from baselines.restorers.sdap.losses import cyclic_terms, permutations, sub_samples
from senm.config import Settings
from senm.support.errors import SettingsError
from senm.support.seeding import rng

if TYPE_CHECKING:
    from senm.data.pool import Images

PAPER_SECOND = {"steps": 32_000, "crop": 250, "batch": 8, "lr": 1e-5}
"""The second stage of the paper: 10 epochs of 25,600 crops, after 15 epochs (24,000 steps) of the first."""


class SDAPNetwork(Settings):
    """Size of the blind-spot network."""

    width: int = Field(128, ge=2)
    blocks: int = Field(9, ge=0, description="dilated blocks a branch")


class SecondStage(Settings):
    """A second training at a smaller rate on larger crops; no steps, as in the code's defaults, leaves it out."""

    steps: int = Field(0, ge=0, json_schema_extra={"source": "code: none; authors' issue 2 on the paper: 10 epochs"})
    batch: int = Field(8, ge=1)
    crop: int = Field(250, ge=5)
    lr: float = Field(1e-5, gt=0)


class SDAPTraining(NoisyTraining):
    """51 epochs of 80 crops from each of the 320 images of SIDD-Medium in batches of 16, at a constant rate.

    The published program keeps the weights that do best on pairs with a clean side, and by default goes on from
    weights that come with it. Here no clean image is seen: the last weights are kept, or averaged ones where `ema` is
    set, and other weights to start from are given as `start`.
    """

    steps: int = Field(81_600, ge=1, json_schema_extra={"source": "code: 51 epochs; authors' issue 2: 15 epochs"})
    batch: int = Field(16, ge=1)
    crop: int = Field(160, ge=5)
    stride: int = Field(5, ge=2, description="side of the cells from which sub-samples are drawn")
    second: SecondStage = SecondStage()

    def rate(self, step: int) -> float:
        return self.lr if step < self.steps else self.second.lr

    @model_validator(mode="after")
    def _fits(self) -> SDAPTraining:
        for name, crop, used in (("crop", self.crop, True), ("second.crop", self.second.crop, self.second.steps > 0)):
            if used and crop % self.stride:
                raise SettingsError(f"training.{name} is {crop}", f"a multiple of training.stride, {self.stride}")
        return self


class SDAPInference(Settings):
    """How an image is restored."""

    stride: int = Field(2, ge=1, description="stride of the sub-images that are restored")
    enhance: bool = Field(True, description="(E): the network once more on the whole restored image")


class SDAPSettings(RestorerSettings):
    """Everything that defines a trained SDAP."""

    network: SDAPNetwork = SDAPNetwork()
    training: SDAPTraining = SDAPTraining()  # type: ignore[assignment]
    inference: SDAPInference = SDAPInference()


class TwoStages:
    """Crops of the first stage, then those of the second."""

    def __init__(self, sources: Sequence[Images], training: SDAPTraining, seed: int) -> None:
        second = training.second
        self.first = NoisySampler.of(sources, training, seed)
        self.second = self.first if not second.steps else NoisySampler(
            sources, batch=second.batch, crop=second.crop, seed=seed, turn=training.augment)
        self.steps = training.steps

    def batch(self, step: int) -> tuple[Tensor, np.ndarray]:
        return (self.first if step < self.steps else self.second).batch(step)


def by_stride(network: nn.Module, noisy: Tensor, stride: int) -> Tensor:
    """The network on the stride ** 2 sub-images one by one, put together again; (N, 3, H, W), multiples of stride."""
    n, c, height, width = noisy.shape
    parts = F.pixel_unshuffle(noisy, stride).reshape(n, c, stride**2, height // stride, width // stride)
    restored = network(parts.transpose(1, 2).flatten(0, 1)).unflatten(0, (n, stride**2)).transpose(1, 2)
    return F.pixel_shuffle(restored.flatten(1, 2), stride)


def denoised(network: nn.Module, noisy: Tensor, stride: int = 2, enhance: bool = True) -> Tensor:
    """Restored images, not clamped (section 3.4)."""
    restored = by_stride(network, noisy, stride)
    return network(restored) if enhance else restored


class SDAP(NoisyRestorer):
    """The blind-spot network on the scale 0 .. 1; which noisy images it is trained on decides about (S)."""

    name = "sdap"
    settings_type = SDAPSettings
    settings: SDAPSettings
    overlap = 88

    @classmethod
    def build(cls, settings: SDAPSettings) -> nn.Module:
        return BlindSpotNetwork(settings.network.width, settings.network.blocks)

    @classmethod
    def default_settings(cls, scale: Scale) -> SDAPSettings:
        """`paper` is the published program's defaults; the others are smaller, shorter, and keep averaged weights.

        At `short` the second application (E) is off: it lowers the PSNR of networks as small as that.
        """
        settings = SDAPSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 32, "blocks": 2},
            training={"steps": 1_800, "batch": 1, "crop": 80, "lr": 1e-3, "ema": 0.99, "log_every": 50,
                      "checkpoint_every": 250, "second": {"steps": 700, "batch": 1, "crop": 80, "lr": 2e-4}},
            inference={"enhance": False},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 8, "blocks": 1},
            training={"steps": 24, "batch": 2, "crop": 30, "log_every": 4, "checkpoint_every": 8,
                      "second": {"steps": 0}},
        )

    @classmethod
    def objective(cls, settings: SDAPSettings, sources: Sequence[Images], seed: int) -> Objective:
        stride = settings.training.stride

        def loss(network: nn.Module, crops: Tensor, origins: np.ndarray, step: int) -> dict[str, Tensor]:
            cells = crops.numel() // (crops.shape[1] * stride**2)
            order = permutations(cells, stride, rng("sub-samples", seed, step))
            return {"loss": cyclic_terms(network, sub_samples(crops, order, stride)).sum()}

        return loss

    @classmethod
    def sampler(cls, settings: SDAPSettings, sources: Sequence[Images], seed: int) -> Sampler:
        return TwoStages(sources, settings.training, seed)

    @classmethod
    def length(cls, settings: SDAPSettings) -> int:
        return settings.training.steps + settings.training.second.steps

    def __init__(self, network: nn.Module, settings: SDAPSettings) -> None:
        super().__init__(network, settings)
        self.multiple = settings.inference.stride  # type: ignore[misc]

    def _padded(self, network: nn.Module, image: Tensor) -> Tensor:
        how = self.settings.inference
        return super()._padded(Procedure(lambda x: denoised(network, x, how.stride, how.enhance)), image)

"""Noise2Void (Krull et al., CVPR 2019): learning to denoise from noisy photographs alone (table 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator
from torch import nn

from baselines.base import Scale
from baselines.fitting.noisy_only import SelfSupervised
from baselines.restorers.n2v.networks import Channels, Normalised
from baselines.restorers.n2v.training import N2VTrainer, N2VTraining
from baselines.restorers.self_supervised import StreamSampler
from senm.config import Settings
from senm.support.errors import SettingsError

if TYPE_CHECKING:
    from senm.data.pool import Images


class N2VNetwork(Settings):
    """The defaults of the published code: one U-Net of depth 2 and width 32 for each colour."""

    depth: int = Field(2, ge=1, le=6)
    width: int = Field(32, ge=1, description="filters of the first level")
    kernel: Literal[1, 3, 5, 7] = 5
    joint: bool = Field(False, description="one U-Net for the three colours")
    read_last: bool = Field(
        False, description="all U-Nets read blue, as the published code does under Keras 2.15; False is what it means"
    )


class N2VInference(Settings):
    """How an image is restored."""

    ways: Literal[1, 8] = Field(1, description="flips and rotations whose results are averaged")


class N2VSettings(Settings):
    """Everything that defines a trained Noise2Void."""

    network: N2VNetwork = N2VNetwork()
    training: N2VTraining = N2VTraining()
    inference: N2VInference = N2VInference()

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        step, crop = 1 << self.network.depth, self.training.crop
        if crop % step:
            raise SettingsError(f"training.crop is {crop}", f"a multiple of {step}, as the network halves it "
                                f"{self.network.depth} times", f"set it to {-(-crop // step) * step}")
        return self


class N2V(SelfSupervised):
    """Predicts hidden pixels from their surroundings; 2,387,907 parameters at paper scale.

    Real noise is correlated between neighbours and can be predicted from them, so little is to be expected there.
    """

    name = "n2v"
    settings_type = N2VSettings
    overlap = 32

    @classmethod
    def build(cls, settings: N2VSettings) -> nn.Module:
        size = settings.network
        network = Channels(3, depth=size.depth, width=size.width, kernel=size.kernel, joint=size.joint,
                           read_last=size.read_last)
        return Normalised(network, 3, size.depth, settings.inference.ways)

    @classmethod
    def default_settings(cls, scale: Scale) -> Any:
        """`paper` is the published code's defaults; the others are smaller and shorter, with one joint network."""
        settings = N2VSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 24, "kernel": 3, "joint": True},
            training={"steps": 2_000, "epoch": 100, "batch": 8, "crop": 48, "lr": 1e-3, "patience": 3, "log_every": 50,
                      "checkpoint_every": 500},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 8},
            training={"steps": 30, "epoch": 10, "batch": 4, "crop": 24, "validation": 8, "log_every": 10,
                      "checkpoint_every": 15},
        )

    @classmethod
    def trainer(cls, network: nn.Module, sources: Sequence[Images], settings: N2VSettings, seed: int,
                device: str) -> N2VTrainer:
        if not isinstance(network, Normalised):
            raise TypeError(f"the network is {type(network).__name__}")
        sampler = StreamSampler.of(sources, settings.training, seed)
        return N2VTrainer(network, sampler, settings.training, seed, device)

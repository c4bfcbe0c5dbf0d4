"""DRUNet (Zhang et al., 2021) without noise map: the downstream denoiser of table 2, three channels in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from baselines.base import Capabilities, Scale
from baselines.fitting.restorer import NetworkRestorer, RestorerSettings, orthogonal_
from baselines.fitting.training import LossName, TrainingSettings
from senm.config import Settings

KAIR = "ours: the paper does not say; the value of KAIR's DRUNet recipe"


class DRUNetNetwork(Settings):
    """Size of the network: channels at its four resolutions and residual blocks at each."""

    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    blocks: int = Field(4, ge=1)


class DRUNetTraining(TrainingSettings):
    """300k steps of Adam, 1e-4 halved every 100k (paper 4.4); the rest is KAIR's."""

    steps: int = Field(300_000, ge=1)
    batch: int = Field(64, ge=1, json_schema_extra={"guess": KAIR})
    crop: int = Field(128, ge=8, json_schema_extra={"guess": KAIR})
    loss: LossName = Field("l1", json_schema_extra={"guess": KAIR})
    schedule: Literal["constant", "steps", "cosine"] = "steps"
    milestones: tuple[int, ...] = (100_000, 200_000)


class DRUNetSettings(RestorerSettings):
    """Everything that defines a trained DRUNet."""

    network: DRUNetNetwork = DRUNetNetwork()
    training: DRUNetTraining = DRUNetTraining()


class DRUNet(NetworkRestorer):
    """A U-Net of residual blocks with additive skips, no bias, no norm; 32,640,384 parameters at paper scale."""

    name = "drunet"
    settings_type = DRUNetSettings
    capabilities = Capabilities(kind="restorer", needs_pairs=True)
    multiple = 8

    @classmethod
    def build(cls, settings: DRUNetSettings) -> nn.Module:
        from spandrel.architectures.DRUNet import DRUNet as Network

        size = settings.network
        network = Network(
            in_nc=3, out_nc=3, nc=list(size.widths), nb=size.blocks, act_mode="R", downsample_mode="strideconv",
            upsample_mode="convtranspose",
        )
        orthogonal_(network)
        return network

    @classmethod
    def default_settings(cls, scale: Scale) -> DRUNetSettings:
        settings = DRUNetSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"widths": (16, 32, 64, 128), "blocks": 2},
            training={"steps": 2_000, "batch": 8, "crop": 48, "lr": 1e-3, "milestones": (1_000, 1_500, 1_800),
                      "log_every": 50, "checkpoint_every": 500},
        )
        if scale == "short":
            return short
        return short.but(
            network={"widths": (8, 16, 16, 32), "blocks": 1},
            training={"steps": 120, "batch": 8, "crop": 40, "lr": 2e-3, "milestones": (80, 100), "log_every": 10,
                      "checkpoint_every": 60},
        )

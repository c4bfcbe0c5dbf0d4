"""DnCNN (Zhang et al., 2017): the downstream denoiser of table 1, with the SIDD recipe of the LUD-VAE repository."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import nn

from baselines.base import Capabilities, Scale
from baselines.fitting.restorer import NetworkRestorer, RestorerSettings, orthogonal_
from baselines.fitting.training import LossName, TrainingSettings
from senm.config import Settings

RECIPE = "ours: the paper gives no recipe; this is the SIDD DnCNN recipe of the same first author's LUD-VAE repository"
LENGTH = "ours: no length is given anywhere; 300k as the paper's other denoisers"


class DnCNNNetwork(Settings):
    """Size of the network: `depth` convolutions of `width` channels, batch norm on all but the first and the last."""

    depth: int = Field(17, ge=3, json_schema_extra={"guess": RECIPE})
    width: int = Field(64, ge=1, json_schema_extra={"guess": RECIPE})
    norm: bool = Field(True, description="batch norm", json_schema_extra={"guess": RECIPE})


class DnCNNTraining(TrainingSettings):
    """L1, Adam 1e-4 halved at 50k, batch 64 of 40x40."""

    steps: int = Field(300_000, ge=1, json_schema_extra={"guess": LENGTH})
    batch: int = Field(64, ge=1, json_schema_extra={"guess": RECIPE})
    crop: int = Field(40, ge=4, json_schema_extra={"guess": RECIPE})
    loss: LossName = Field("l1", json_schema_extra={"guess": RECIPE})
    schedule: Literal["constant", "steps", "cosine"] = Field("steps", json_schema_extra={"guess": RECIPE})
    milestones: tuple[int, ...] = Field((50_000,), json_schema_extra={"guess": RECIPE})


class DnCNNSettings(RestorerSettings):
    """Everything that defines a trained DnCNN."""

    network: DnCNNNetwork = DnCNNNetwork()
    training: DnCNNTraining = DnCNNTraining()


class DnCNN(NetworkRestorer):
    """Predicts the noise and subtracts it; 559,363 parameters at paper scale."""

    name = "dncnn"
    settings_type = DnCNNSettings
    capabilities = Capabilities(kind="restorer", needs_pairs=True)

    @classmethod
    def build(cls, settings: DnCNNSettings) -> nn.Module:
        from spandrel.architectures.DnCNN import DnCNN as Network

        size = settings.network
        network = Network(
            in_nc=3, out_nc=3, nc=size.width, nb=size.depth, act_mode="BR" if size.norm else "R", mode="DnCNN"
        )
        orthogonal_(network)
        return network

    @classmethod
    def default_settings(cls, scale: Scale) -> DnCNNSettings:
        settings = DnCNNSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"depth": 12, "width": 32},
            training={"steps": 1_500, "batch": 16, "lr": 1e-3, "milestones": (750, 1_100, 1_350),
                      "log_every": 50, "checkpoint_every": 500},
        )
        if scale == "short":
            return short
        return short.but(
            network={"depth": 5, "width": 16},
            training={"steps": 80, "batch": 8, "milestones": (50, 70), "log_every": 10, "checkpoint_every": 40},
        )

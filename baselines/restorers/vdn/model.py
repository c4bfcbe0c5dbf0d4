"""VDN as a restorer: settings, scales, published weights (table 2)."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import Field, model_validator
from torch import nn

from baselines.base import Capabilities, Scale
from baselines.fitting.restorer import NetworkRestorer, RestorerSettings
from baselines.restorers.vdn.networks import VARIANCE_WIDTH, VDNNetwork
from baselines.restorers.vdn.training import Variational, VDNTraining
from senm.config import Settings
from senm.support.errors import SettingsError

STRIDE = 8


class VDNSize(Settings):
    """Channels of the denoising network at full resolution (doubled at each lower one) and of the variance network."""

    width: int = Field(64, ge=1)
    variance_width: int = Field(VARIANCE_WIDTH, ge=1)


class VDNSettings(RestorerSettings):
    """Everything that defines a trained VDN."""

    network: VDNSize = VDNSize()
    training: VDNTraining = VDNTraining()

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        train = self.training
        if train.crop % STRIDE:
            raise SettingsError(f"training.crop is {train.crop}", f"a multiple of {STRIDE} pixels")
        if train.radius >= train.crop:
            raise SettingsError(f"training.radius is {train.radius}", "a window that fits into the crop",
                                f"a radius below {train.crop}")
        return self


class VDN(NetworkRestorer):
    """Infers the noise and its variance together and subtracts the noise; 7,816,780 parameters at paper scale."""

    name = "vdn"
    settings_type: ClassVar[type[RestorerSettings]] = VDNSettings
    capabilities = Capabilities(kind="restorer", needs_pairs=True)
    multiple = STRIDE
    engine = Variational

    @classmethod
    def build(cls, settings: Any) -> nn.Module:
        return VDNNetwork(settings.network.width, settings.network.variance_width)

    @classmethod
    def default_settings(cls, scale: Scale) -> VDNSettings:
        """`paper` is the published recipe; `short` takes narrow networks and a higher rate."""
        settings = VDNSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 8, "variance_width": 32},
            training={"steps": 2_500, "batch": 4, "crop": 48, "lr": 1e-3, "milestones": (1_250, 1_800, 2_150, 2_350),
                      "turned": 0.875, "epoch": 250, "log_every": 50, "checkpoint_every": 500},
        )
        if scale == "short":
            return short
        return short.but(
            network={"variance_width": 8},
            training={"steps": 30, "batch": 4, "crop": 32, "milestones": (20, 26), "epoch": 10, "log_every": 5,
                      "checkpoint_every": 15},
        )

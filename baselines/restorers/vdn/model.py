"""VDN as a restorer: settings, scales, published weights (table 2)."""

from __future__ import annotations

from pathlib import Path
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
        """`paper` is the published recipe; `short` takes a narrow network, a higher rate and a prior less narrow."""
        settings = VDNSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 8},
            training={"steps": 3_000, "batch": 4, "crop": 48, "lr": 1e-3, "milestones": (1_500, 2_200, 2_600, 2_850),
                      "turned": 0.875, "epoch": 250, "log_every": 50, "checkpoint_every": 500},
        )
        if scale == "short":
            return short
        return short.but(
            network={"variance_width": 8},
            training={"steps": 30, "batch": 4, "crop": 32, "milestones": (20, 26), "epoch": 10, "log_every": 5,
                      "checkpoint_every": 15},
        )

    @classmethod
    def from_published(cls, file: Path) -> Self:
        """The network of the published state dict (names with or without ``module.``).

        Raises:
            CheckpointError: the file is missing, broken or of another layout.
        """
        settings = cls.default_settings("paper")
        return cls(cls.initialised(settings, 0, file), settings)

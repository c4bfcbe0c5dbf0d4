"""Restormer as a restorer that can be trained: settings, scales, published weights (table 3)."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field
from torch import nn

from baselines.base import Capabilities, Scale
from baselines.fitting.restorer import NetworkRestorer, RestorerSettings
from baselines.restorers.restormer.networks import RestormerNetwork
from baselines.restorers.restormer.training import Progressive, RestormerTraining
from senm.config import Settings

Four = tuple[int, int, int, int]


class RestormerSize(Settings):
    """Size of the network; the defaults are the published ones for denoising without bias."""

    width: int = Field(48, ge=2, description="channels at full resolution")
    blocks: Four = Field((4, 6, 6, 8), description="transformer blocks at the four resolutions")
    refinement: int = Field(4, ge=1, description="blocks after the decoder")
    heads: Four = Field((1, 2, 4, 8), description="attention heads at the four resolutions")
    expansion: float = Field(2.66, gt=0, description="hidden channels of a feed-forward over its width")


class RestormerSettings(RestorerSettings):
    """Everything that defines a trained Restormer."""

    network: RestormerSize = RestormerSize()
    training: RestormerTraining = RestormerTraining()


class Restormer(NetworkRestorer):
    """A U-Net of attention over channels; 26,111,668 parameters at paper scale."""

    name = "restormer"
    settings_type: ClassVar[type[RestorerSettings]] = RestormerSettings
    capabilities = Capabilities(kind="restorer", needs_pairs=True)
    multiple = 8
    engine = Progressive

    @classmethod
    def build(cls, settings: Any) -> nn.Module:
        """A network of `settings.network`, initialised as PyTorch does; temperatures and norm weights are 1.

        Raises:
            SettingsError: heads that do not divide their channels.
        """
        return RestormerNetwork(**settings.network.model_dump())

    @classmethod
    def default_settings(cls, scale: Scale) -> RestormerSettings:
        """`paper` is the published recipe; the others take few channels and blocks and phases of smaller patches."""
        settings = RestormerSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 12, "blocks": (1, 1, 1, 1), "refinement": 1},
            training={"steps": 1_600, "batch": 8, "crop": 64, "gpus": 1, "hold": 500, "lr": 1e-3,
                      "phases": ((900, 32, 8), (1_250, 48, 4), (1_600, 64, 2)), "log_every": 50,
                      "checkpoint_every": 400},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 8, "heads": (1, 1, 2, 2)},
            training={"steps": 24, "batch": 4, "crop": 32, "hold": 8, "phases": ((12, 16, 4), (18, 24, 2), (24, 32, 1)),
                      "log_every": 4, "checkpoint_every": 12},
        )

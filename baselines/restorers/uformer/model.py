"""Uformer as a restorer that can be trained: settings, scales, published weights (table 3)."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from baselines.base import Capabilities, Scale
from baselines.fitting.restorer import NetworkRestorer, RestorerSettings
from baselines.restorers.uformer.networks import HEADS, UFORMER_B, uformer
from baselines.restorers.uformer.training import Mixing, UformerTraining
from senm.config import Settings
from senm.support.errors import SettingsError

PLACES = (1, 2, 4, 8, 16, 16, 8, 4, 2)
Nine = tuple[int, int, int, int, int, int, int, int, int]


class UformerSize(Settings):
    """Size of the network; the defaults are Uformer-B."""

    width: int = Field(32, ge=1, description="channels at full resolution")
    depths: Nine = Field(UFORMER_B, description="blocks of encoder, bottleneck and decoder levels")
    heads: Nine = Field(HEADS, description="attention heads at these places")
    window: int = Field(8, ge=2, description="side of an attention window")
    side: int = Field(128, ge=16, description="side of the inputs for which the shifts of windows are laid out")
    drop_path: float = Field(0.1, ge=0, lt=1, description="largest probability that training leaves a branch out")

    @model_validator(mode="after")
    def _makes_a_network(self) -> Self:
        if min(self.depths) < 1:
            raise SettingsError(f"network.depths is {list(self.depths)}", "at least one block at each place")
        for times, heads in zip(PLACES, self.heads, strict=True):
            if heads < 1 or self.width * times % heads:
                raise SettingsError(f"network.heads has {heads} for {self.width * times} channels", "a divisor")
        if self.window % 2:
            raise SettingsError(f"network.window is {self.window}", "an even number, as windows shift by half")
        if self.side != 8 * self.window and self.side % (16 * self.window):
            raise SettingsError(f"network.side is {self.side}", "8 windows, or a multiple of 16 windows",
                                f"set network.side to {8 * self.window} or {16 * self.window}")
        return self

    @property
    def stride(self) -> int:
        """What the side of a square input must be divisible by."""
        return min(self.side, 16 * self.window)


class UformerSettings(RestorerSettings):
    """Everything that defines a trained Uformer."""

    network: UformerSize = UformerSize()
    training: UformerTraining = UformerTraining()

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.training.crop % self.network.stride:
            raise SettingsError(f"training.crop is {self.training.crop}",
                                f"a multiple of {self.network.stride} pixels, as the windows of this network need")
        return self


class Uformer(NetworkRestorer):
    """A U-Net of attention in windows; 50,880,946 parameters at paper scale (Uformer-B).

    Images are restored in the middle of a square of zeros whose side is a multiple of 128. What a pixel becomes depends
    on its place among the windows, so the tiles of large photographs do not give exactly the whole one's result.
    """

    name = "uformer"
    settings_type: ClassVar[type[RestorerSettings]] = UformerSettings
    capabilities = Capabilities(kind="restorer", needs_pairs=True)
    overlap = 64
    engine = Mixing

    @classmethod
    def build(cls, settings: Any) -> nn.Module:
        size = settings.network
        return uformer(size.width, size.depths, size.heads, size.window, size.side, size.drop_path)

    @classmethod
    def default_settings(cls, scale: Scale) -> UformerSettings:
        """`paper` is the published recipe; the others take few channels, one block a place and small windows."""
        settings = UformerSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 6, "depths": (1, 1, 1, 1, 1, 1, 1, 1, 1), "side": 64},
            training={"steps": 1_000, "batch": 4, "crop": 64, "lr": 1e-3, "warmup": 100, "epoch": 25,
                      "log_every": 50, "checkpoint_every": 500},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 4, "heads": (1, 1, 2, 2, 4, 4, 2, 2, 1), "window": 4, "side": 32},
            training={"steps": 24, "batch": 2, "crop": 32, "warmup": 3, "epoch": 1, "mixup_from": 6, "log_every": 4,
                      "checkpoint_every": 12},
        )

    def _padded(self, network: nn.Module, image: Tensor) -> Tensor:
        """The published inference: in the middle of a square of zeros, then cut out again."""
        height, width = image.shape[-2:]
        stride = self.settings.network.stride  # type: ignore[attr-defined]
        side = -(-max(height, width) // stride) * stride
        top, left = (side - height) // 2, (side - width) // 2
        square = torch.zeros(*image.shape[:-2], side, side, dtype=image.dtype, device=image.device)
        square[..., top : top + height, left : left + width] = image
        result: Tensor = network(square)
        return result[..., top : top + height, left : left + width]

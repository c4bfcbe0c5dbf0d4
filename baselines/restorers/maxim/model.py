"""MAXIM as a restorer that can be trained: settings, scales, published weights (table 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from baselines.base import Capabilities, Scale
from baselines.fitting.restorer import NetworkRestorer, RestorerSettings
from baselines.restorers.maxim.networks import MaximNetwork
from baselines.restorers.maxim.published import from_tree, read_tree
from baselines.restorers.maxim.training import DeepSupervision, MaximTraining
from senm.config import Settings
from senm.support.errors import SettingsError


class MaximSize(Settings):
    """Size of the network; the defaults are MAXIM-3S."""

    width: int = Field(32, ge=4, multiple_of=4, description="channels at full resolution")
    stages: int = Field(3, ge=1)
    blocks: int = Field(2, ge=1, description="multi-axis blocks in a row at each place")
    bottlenecks: int = Field(2, ge=1, description="rows of them at the lowest resolution")
    sizes: tuple[int, int, int, int] = Field(
        (16, 16, 8, 8), description="side of grid and block at the three levels and in the bottleneck")

    @model_validator(mode="after")
    def _sizes_are_positive(self) -> Self:
        if min(self.sizes) < 1:
            raise SettingsError(f"network.sizes is {list(self.sizes)}", "sides of 1 or more")
        return self

    @property
    def multiple(self) -> int:
        """What the sides of an input must be divisible by."""
        return MaximNetwork.divisor(self.sizes)


class MaximSettings(RestorerSettings):
    """Everything that defines a trained MAXIM."""

    network: MaximSize = MaximSize()
    training: MaximTraining = MaximTraining()

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.training.crop % self.network.multiple:
            raise SettingsError(f"training.crop is {self.training.crop}",
                                f"a multiple of {self.network.multiple} pixels, as network.sizes needs")
        return self


class Maxim(NetworkRestorer):
    """Three U-Nets of gated layers that mix positions near and far; 22,212,795 parameters at paper scale (MAXIM-3S).

    Images are padded by reflection on all sides to a multiple of 64 pixels, an odd side first by one at its end.
    """

    name = "maxim"
    settings_type: ClassVar[type[RestorerSettings]] = MaximSettings
    capabilities = Capabilities(kind="restorer", needs_pairs=True)
    engine = DeepSupervision

    @classmethod
    def build(cls, settings: Any) -> nn.Module:
        return MaximNetwork(**settings.network.model_dump())

    @classmethod
    def default_settings(cls, scale: Scale) -> MaximSettings:
        """`paper` is MAXIM-3S; the others have few channels, one block a place, small grids and two stages."""
        settings = MaximSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 8, "stages": 2, "blocks": 1, "bottlenecks": 1, "sizes": (4, 4, 4, 4)},
            training={"steps": 420, "batch": 2, "crop": 64, "lr": 1e-3, "log_every": 50, "checkpoint_every": 140},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 4, "sizes": (4, 4, 2, 2)},
            training={"steps": 10, "batch": 2, "crop": 32, "log_every": 5, "checkpoint_every": 5},
        )

    @classmethod
    def published_state(cls, file: Path) -> dict[str, Tensor]:
        """MAXIM-3S as published (.npz of the parameter tree), or a file of ours."""
        return from_tree(read_tree(file)) if file.suffix == ".npz" else super().published_state(file)

    def _padded(self, network: nn.Module, image: Tensor) -> Tensor:
        """The published inference: sides made even at their ends, then padded half on each side, then cut out."""
        height, width = image.shape[-2:]
        image = _extended(image, (0, width % 2, 0, height % 2))
        multiple = self.settings.network.multiple  # type: ignore[attr-defined]
        below, beside = -image.shape[-2] % multiple, -image.shape[-1] % multiple
        top, left = below // 2, beside // 2
        result: Tensor = network(_extended(image, (left, beside - left, top, below - top)))
        return result[..., top : top + height, left : left + width]


def _extended(image: Tensor, sides: tuple[int, int, int, int]) -> Tensor:
    """Padded by reflection, or by repeating the edge where the image is smaller than what is added."""
    if not any(sides):
        return image
    fits = max(sides[:2]) < image.shape[-1] and max(sides[2:]) < image.shape[-2]
    return F.pad(image, sides, mode="reflect" if fits else "replicate")

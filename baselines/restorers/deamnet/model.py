"""DeamNet as a restorer: settings, recipe, scales, published weights (table 2)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from baselines.base import Capabilities, Scale
from baselines.fitting.restorer import NetworkRestorer, RestorerSettings
from baselines.fitting.training import LossName, Supervised, TrainingSettings
from baselines.restorers.deamnet.networks import DeamNetwork
from senm.config import Settings
from senm.support.errors import SettingsError

STRIDE = 16
SYNTHETIC = "ours: the published script trains on synthetic noise only; this is its value"
LENGTH = "ours: 2,000 epochs of an unknown number of pieces in the script; 300k as the paper's other denoisers"
HALF = "ours: the script divides the rate by 10 after half of its epochs"


class DeamNetSize(Settings):
    """Channels of every layer, and of the middle of a gate."""

    width: int = Field(64, ge=1)
    squeezed: int = Field(4, ge=1)


class DeamNetTraining(TrainingSettings):
    """Squared error, Adam 1e-4 divided by 10 at half time, batch 8 of 128x128, 8 ways of turning.

    Crops are drawn from whole photographs, where the authors cut these into overlapping pieces of 300x300 first.
    """

    steps: int = Field(300_000, ge=1, json_schema_extra={"guess": LENGTH})
    batch: int = Field(8, ge=1)
    crop: int = Field(128, ge=16, description="a multiple of 16 pixels")
    loss: LossName = Field("mse", description="divided by twice the batch", json_schema_extra={"guess": SYNTHETIC})
    schedule: Literal["constant", "steps", "cosine"] = Field("steps", json_schema_extra={"guess": HALF})
    milestones: tuple[int, ...] = Field((150_000,), json_schema_extra={"guess": HALF})
    gamma: float = Field(0.1, gt=0)


class Halved(Supervised):
    """State and step of a DeamNet training: the loss over twice the batch, which only Adam's epsilon notices."""

    def objective(self, noisy: Tensor, clean: Tensor) -> dict[str, Tensor]:
        return {name: value / (2 * self.settings.batch) for name, value in super().objective(noisy, clean).items()}


class DeamNetSettings(RestorerSettings):
    """Everything that defines a trained DeamNet."""

    network: DeamNetSize = DeamNetSize()
    training: DeamNetTraining = DeamNetTraining()

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.training.crop % STRIDE:
            raise SettingsError(f"training.crop is {self.training.crop}", f"a multiple of {STRIDE} pixels")
        return self


class DeamNet(NetworkRestorer):
    """Alternates a learnt prior with the data, four times; 2,228,131 parameters at paper scale, 352,512 unused."""

    name = "deamnet"
    settings_type: ClassVar[type[RestorerSettings]] = DeamNetSettings
    capabilities = Capabilities(kind="restorer", needs_pairs=True)
    multiple = STRIDE
    engine = Halved

    @classmethod
    def build(cls, settings: Any) -> nn.Module:
        return DeamNetwork(settings.network.width, settings.network.squeezed)

    @classmethod
    def default_settings(cls, scale: Scale) -> DeamNetSettings:
        """`paper` is the published recipe as far as it is known; `short` takes narrow layers and a higher rate."""
        settings = DeamNetSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 16},
            training={"steps": 1_200, "batch": 2, "crop": 48, "lr": 1e-3, "milestones": (750, 1_050), "gamma": 0.3,
                      "log_every": 50, "checkpoint_every": 500},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 8, "squeezed": 2},
            training={"steps": 30, "batch": 2, "crop": 32, "milestones": (20, 26), "log_every": 5,
                      "checkpoint_every": 15},
        )

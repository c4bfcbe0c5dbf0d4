"""NAFNet (Chen et al., 2022) and its fine-tuning on real and synthetic pairs (table 3)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from baselines.base import Capabilities, Scale
from baselines.fitting.pairs import Mixing
from baselines.fitting.restorer import NetworkRestorer, RestorerSettings
from baselines.fitting.training import LossName, TrainingSettings
from senm.config import Settings

TUNING = "ours: the paper says that NAFNet is fine-tuned with synthetic pairs and gives no recipe"


class NAFNetNetwork(Settings):
    """Width of the first resolution and blocks of encoder, middle and decoder."""

    width: int = Field(64, ge=1)
    encoder: tuple[int, ...] = (2, 2, 4, 8)
    middle: int = Field(12, ge=1)
    decoder: tuple[int, ...] = (2, 2, 2, 2)


class NAFNetTraining(TrainingSettings):
    """The published SIDD recipe (NAFNet-width64.yml): negative PSNR, AdamW 1e-3 to 1e-7 by a cosine, no turning."""

    steps: int = Field(400_000, ge=1)
    batch: int = Field(64, ge=1, description="8 GPUs of 8 crops in the published recipe")
    crop: int = Field(256, ge=16)
    loss: LossName = "psnr"
    optimiser: Literal["adam", "adamw"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.9)
    schedule: Literal["constant", "steps", "cosine"] = "cosine"
    final_lr: float = Field(1e-7, ge=0)
    augment: bool = False


class FineTuning(NAFNetTraining):
    """The same loss and optimiser at a lower rate, real and synthetic pairs drawn equally often."""

    steps: int = Field(40_000, ge=1, json_schema_extra={"guess": TUNING})
    batch: int = Field(64, ge=1, json_schema_extra={"guess": TUNING})
    loss: LossName = Field("psnr", json_schema_extra={"guess": TUNING})
    lr: float = Field(2e-5, gt=0, json_schema_extra={"guess": TUNING})
    mixing: Mixing = Field("equal", json_schema_extra={"guess": TUNING})


class NAFNetSettings(RestorerSettings):
    """Everything that defines a trained NAFNet."""

    network: NAFNetNetwork = NAFNetNetwork()
    training: NAFNetTraining = NAFNetTraining()


class FineTuneSettings(RestorerSettings):
    """Everything that defines a fine-tuned NAFNet, apart from the weights it starts from."""

    network: NAFNetNetwork = NAFNetNetwork()
    training: FineTuning = FineTuning()


class NAFNet(NetworkRestorer):
    """A U-Net of activation-free blocks; 115,982,915 parameters at paper scale."""

    name = "nafnet"
    settings_type: ClassVar[type[RestorerSettings]] = NAFNetSettings
    capabilities = Capabilities(kind="restorer", needs_pairs=True)
    multiple = 16

    @classmethod
    def build(cls, settings: NAFNetSettings | FineTuneSettings) -> nn.Module:
        from spandrel.architectures.NAFNet import NAFNet as Network

        size = settings.network
        return Network(
            img_channel=3, width=size.width, middle_blk_num=size.middle, enc_blk_nums=list(size.encoder),
            dec_blk_nums=list(size.decoder),
        )

    @classmethod
    def default_settings(cls, scale: Scale) -> RestorerSettings:
        return small(NAFNetSettings(), scale, steps=2_000, smoke_steps=60, lr=2e-3)


class NAFNetFineTune(NAFNet):
    """A NAFNet that starts from trained weights (`start`) and goes on with synthetic pairs beside the real ones."""

    name = "nafnet-finetune"
    settings_type = FineTuneSettings

    @classmethod
    def default_settings(cls, scale: Scale) -> RestorerSettings:
        return small(FineTuneSettings(), scale, steps=750, smoke_steps=30, lr=2e-4)


def small(settings: RestorerSettings, scale: Scale, *, steps: int, smoke_steps: int, lr: float) -> RestorerSettings:
    """The settings of a scale; both systems must agree on the network, since one starts from the other."""
    if scale == "paper":
        return settings
    short = settings.but(
        network={"width": 16, "encoder": (1, 1, 2), "middle": 2, "decoder": (1, 1, 1)},
        training={"steps": steps, "batch": 8, "crop": 48, "lr": lr, "augment": True, "log_every": 50,
                  "checkpoint_every": 500},
    )
    if scale == "short":
        return short
    return short.but(
        network={"width": 8, "encoder": (1, 1), "middle": 1, "decoder": (1, 1)},
        training={"steps": smoke_steps, "batch": 4, "crop": 40, "log_every": 10, "checkpoint_every": 30},
    )

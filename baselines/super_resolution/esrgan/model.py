"""ESRGAN (Wang et al., 2018) for x4 super-resolution (tables 4 and 5), with the recipe of DeFlow and LUD-VAE.

A PSNR-trained RRDBNet, then 60k steps of pixel, feature and adversarial terms. The PSNR start is a published file at
paper scale (`start`), or trained here first. Crops are drawn with replacement; the published loop passes over the
images, one crop each.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.base import Capabilities, Scale
from baselines.fitting.loop import identity, run_loop
from baselines.fitting.restorer import NetworkRestorer, RestorerSettings, weights_hash
from baselines.fitting.training import TrainingSettings, tf32, train
from baselines.super_resolution.esrgan.crops import CropSampler, Weights
from baselines.super_resolution.esrgan.ncnn import read_ncnn
from baselines.super_resolution.esrgan.parts import Discriminator, PatchDiscriminator, distance
from baselines.super_resolution.esrgan.step import GANTraining, Step
from baselines.super_resolution.frequency import CHANNELS
from senm.config import Settings
from senm.data.digest import content
from senm.data.mapped import mapped_pairs
from senm.support import seeding
from senm.support.device import torch_device
from senm.support.errors import UsageError

if TYPE_CHECKING:
    from senm.data.pool import Images, Pairs
    from senm.support.progress import Progress

START = "used only where no published RRDB_PSNR_x4.pth is given"
FACTOR = 4
BLOCK = re.compile(r"(?:RRDB_trunk|body)\.(\d+)\.(?:RDB|rdb)(\d)\.conv(\d)\.")


class RRDBNetwork(Settings):
    """Size of the generator (growth 32 is fixed)."""

    width: int = Field(64, ge=1)
    blocks: int = Field(23, ge=1)
    kaiming: Literal["dense", "all"] = Field(
        "dense", description="convolutions that start at a tenth of Kaiming's normal, biases at 0: those of the dense "
        "blocks (ESRGAN), or all (DASR)"
    )


class PSNRTraining(TrainingSettings):
    """The L1 training that the adversarial one starts from; 0 steps leaves it out."""

    steps: int = Field(200_000, ge=0, json_schema_extra={"guess": START})
    batch: int = Field(16, ge=1, json_schema_extra={"guess": START})
    crop: int = Field(32, ge=8, json_schema_extra={"guess": START})
    lr: float = Field(2e-4, gt=0, json_schema_extra={"guess": START})


class ESRGANSettings(RestorerSettings):
    """Everything that defines a trained ESRGAN, apart from a published start."""

    network: RRDBNetwork = RRDBNetwork()
    psnr: PSNRTraining = PSNRTraining()
    training: GANTraining = GANTraining()


class PSNRStartSettings(RestorerSettings):
    """Everything that defines a trained PSNR start."""

    network: RRDBNetwork = RRDBNetwork()
    training: PSNRTraining = PSNRTraining()


class RRDB(NetworkRestorer):
    """The generator that both trainings share, and its published files; 16,697,987 parameters at paper scale."""

    capabilities = Capabilities(kind="restorer", needs_pairs=True, factor=FACTOR)
    whole = 1 << 18  # the images of AIM19 and NTIRE20 whole, as published
    tile = 192
    overlap = 16

    @classmethod
    def build(cls, settings: ESRGANSettings | PSNRStartSettings) -> nn.Module:
        from spandrel.architectures.ESRGAN import ESRGAN as Network

        size = settings.network
        network = Network(in_nc=3, out_nc=3, num_filters=size.width, num_blocks=size.blocks, scale=FACTOR)
        with torch.no_grad():
            for name, layer in network.named_modules():
                if isinstance(layer, nn.Conv2d) and (".RDB" in name or size.kaiming == "all"):
                    nn.init.kaiming_normal_(layer.weight).mul_(0.1)
                    assert layer.bias is not None
                    nn.init.zeros_(layer.bias)
        return network

    @classmethod
    def translate(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The layouts of xinntao/ESRGAN and BasicSR become the one used here; anything else stays as it is."""
        blocks = {int(name.split(".")[1]) for name in state if BLOCK.match(name)}
        ends = {"conv_first": "0", "trunk_conv": f"1.sub.{len(blocks)}", "conv_body": f"1.sub.{len(blocks)}",
                "upconv1": "3", "conv_up1": "3", "upconv2": "6", "conv_up2": "6", "HRconv": "8", "conv_hr": "8",
                "conv_last": "10"}

        def renamed(name: str) -> str:
            stem, _, entry = name.rpartition(".")
            if stem in ends:
                return f"model.{ends[stem]}.{entry}"
            return BLOCK.sub(lambda m: f"model.1.sub.{m[1]}.RDB{m[2]}.conv{m[3]}.0.", name)

        return {renamed(name): value for name, value in state.items()}

    @classmethod
    def published_state(cls, file: Path) -> dict[str, Tensor]:
        """An RRDBNet of any of the three layouts, or of ncnn's (Impressionism's released network)."""
        return read_ncnn(file) if file.suffix == ".bin" else super().published_state(file)


class ESRGAN(RRDB):
    """Enlarges four times: a training for PSNR, then the adversarial one."""

    name = "esrgan"
    settings_type = ESRGANSettings

    @classmethod
    def default_settings(cls, scale: Scale) -> ESRGANSettings:
        settings = ESRGANSettings()
        if scale == "paper":
            return settings
        few = {"log_every": 50, "checkpoint_every": 250}
        short = settings.but(
            network={"width": 32, "blocks": 3},
            psnr={"steps": 1_500, "batch": 8, "crop": 24, "lr": 5e-4, **few},
            training={"steps": 500, "batch": 8, "crop": 24, "milestones": (125, 250, 375), "critic_width": 16,
                      "features": "random-features", **few},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 16, "blocks": 1},
            psnr={"steps": 50, "batch": 4, "crop": 16, "lr": 2e-3, "log_every": 10},
            training={"steps": 10, "batch": 4, "crop": 16, "milestones": (5,), "critic_width": 8, "log_every": 5},
        )

    @classmethod
    def fit(
        cls,
        sources: Sequence[Pairs],
        settings: Any,
        *,
        seed: int,
        device: str,
        workdir: Path,
        progress: Progress,
        start: Path | None = None,
        weights: Weights | None = None,
        real: Images | None = None,
    ) -> Self:
        """Train the PSNR start (kept in `workdir`/psnr) unless `start` is given, then the adversarial stage.

        Args:
            weights: for each set of pairs a weight map (h, w) an image, for the pixel term of the adversarial stage.
            real: degraded photographs, wanted where `training.on_real` is set and unused otherwise.

        Raises:
            DataError: no pairs, an image smaller than the crop, a clean side that is not four times larger, or weight
                maps that do not fit.
            UsageError: `training.on_real` without real images.
            MachineError: the device or the weights of the feature term are missing.
            TrainingError: a loss stays non-finite.
        """
        torch_device(device)
        stage = settings.training
        if stage.on_real and real is None:
            raise UsageError("the adversarial term wants real low-resolution images", "a target domain",
                             "give one, or set training.on_real to false")
        real = real if stage.on_real else None
        sources = [mapped_pairs(pairs, workdir, f"pairs{i}") for i, pairs in enumerate(sources)]
        sampler = CropSampler(
            sources, mixing=stage.mixing, batch=stage.batch, crop=stage.crop, seed=seeding.seed("esrgan", seed),
            turn=stage.augment, factor=FACTOR, weights=weights, real=real,
        )
        network = cls.initialised(settings, seed, start)
        if start is None and settings.psnr.steps:
            network = train(
                network, sources, settings.psnr, seed=seed, device=device, workdir=workdir / "psnr",
                progress=progress, label=f"train {cls.name} (PSNR start)", factor=FACTOR,
            )
        place = torch_device(device)
        step = Step(network, discriminator(stage, seed), distance(stage.features), stage, place)
        parts: dict[str, Any] = {
            "network": step.network, "critic": step.critic, "optimiser": step.optimisers[0],
            "critic optimiser": step.optimisers[1], "guard": step.guard,
        }
        more = [] if weights is None else [maps_hash(weights)]
        with tf32(stage.precision == "tf32"):
            run_loop(
                lambda number: step.learn(number, sampler.crops(number).to(place)), parts,
                steps=min(stage.stop_at or stage.steps, stage.steps), workdir=workdir,
                identity=identity(settings, seed, weights_hash(start), content(*sources, *([real] if real else [])),
                                  *more),
                progress=progress, label=f"train {cls.name}", log_every=stage.log_every,
                checkpoint_every=stage.checkpoint_every,
            )
        return cls(step.network, settings)


class PSNRStart(RRDB):
    """The L1 training on bicubic reductions that the adversarial trainings go on from, one for all of them.

    Stands in for the published RRDB_PSNR_x4.pth (Wang et al., ESRGAN, ECCVW 2018), which nothing packaged carries.
    """

    name = "rrdb-psnr"
    settings_type = PSNRStartSettings

    @classmethod
    def default_settings(cls, scale: Scale) -> PSNRStartSettings:
        """The PSNR stage of an ESRGAN of this scale, on its own."""
        whole = ESRGAN.default_settings(scale)
        return PSNRStartSettings(network=whole.network, training=whole.psnr)


def discriminator(settings: GANTraining, seed: int) -> nn.Module:
    """A new discriminator of these settings; the patch one is DASR's, started as Kaiming's normal."""
    inputs, side = CHANNELS[settings.split], FACTOR * settings.crop // (2 if settings.split == "haar" else 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.seed("initialise", "esrgan discriminator", seed))
        if settings.critic == "vgg":
            return Discriminator(settings.critic_width, side, inputs)
        critic = PatchDiscriminator(inputs, 2, "instance", settings.critic_width)
        for layer in critic.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        return critic


def maps_hash(weights: Weights) -> str:
    """SHA-256 of weight maps."""
    found = hashlib.sha256()
    for maps in weights:
        for each in maps:
            found.update(np.ascontiguousarray(each).tobytes())
    return found.hexdigest()

"""DASR's down-sampling network as a degradation model of tables 4 and 5, its maps, its super-resolution settings.

Wei et al., CVPR 2021. The published network takes the high-resolution image and reduces it by strided convolutions;
`network.factor` 4 does that, where the source domain holds such images. By default it works at low resolution on
bicubic reductions, as every other degradation model of the tables here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from baselines.base import Scale, load_state, to_tensor
from baselines.super_resolution.dasr.distance import domain_distance
from baselines.super_resolution.esrgan.model import ESRGAN, ESRGANSettings
from baselines.super_resolution.frequency import Shrink
from baselines.super_resolution.fssr.model import FSSR, degraded, fitting_side
from baselines.super_resolution.fssr.networks import Body, Critic, Filter, Generator, Norm, filtered
from baselines.super_resolution.fssr.training import DegradationTraining, Step
from senm.config import Settings
from senm.data import domains as crops
from senm.data.crops import CropReader, augment
from senm.support import seeding
from senm.support.device import torch_device
from senm.support.errors import CheckpointError, DataError

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images
    from senm.support.progress import Progress

HALVINGS = {1: 0, 2: 1, 4: 2}
LEAST = 8


class DASRNetwork(Settings):
    """Generator and discriminator; `average`, `fsd` and `instance` are those of the published run on AIM19."""

    width: int = Field(64, ge=1)
    blocks: int = Field(8, ge=1)
    factor: Literal[1, 2, 4] = Field(
        1, description="the network reduces by this itself",
        json_schema_extra={"guess": "ours: bicubic reductions go in, as for the other rows; published: 4"},
    )
    filter: Filter = Field("average", description="what the discriminator sees; README's example has 'haar'")
    body: Body = "fsd"
    norm: Norm = "instance"
    critic_width: int = Field(64, ge=1)


class DASRTraining(DegradationTraining):
    """400 epochs of 332 steps, constant for 250 epochs. `crop` is the side of a degraded crop."""

    steps: int = Field(132_800, ge=1)
    constant: int = Field(83_000, ge=0)
    epoch: int = Field(332, ge=1)
    batch: int = Field(8, ge=1)
    crop: int = Field(64, ge=8)
    lr: float = Field(1e-4, gt=0)
    betas: tuple[float, float] = (0.5, 0.999)
    texture_weight: float = Field(0.006, ge=0, description="README's default is 0.005")


class DASRSettings(Settings):
    """Everything that defines a trained down-sampling network."""

    network: DASRNetwork = DASRNetwork()
    training: DASRTraining = DASRTraining()


class DASR(FSSR):
    """The generator as a degradation; 594,380 parameters at paper scale, 668,238 where it reduces by 4 itself."""

    name = "dasr"
    settings_type = DASRSettings
    critic: Critic | None = None

    @classmethod
    def build(cls, settings: Any) -> Generator:
        size = settings.network
        return Generator(size.width, size.blocks, HALVINGS[size.factor])

    @classmethod
    def new_critic(cls, settings: Any) -> Critic:
        size = settings.network
        return Critic(size.filter, size.body, size.norm, size.critic_width)

    @classmethod
    def default_settings(cls, scale: Scale) -> Any:
        """`paper` is the published run on AIM19, at low resolution; the others are smaller and shorter."""
        settings = DASRSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 32, "blocks": 4, "critic_width": 32},
            training={"steps": 500, "constant": 250, "epoch": 25, "crop": 32, "fit_crop": True, "lr": 2e-4,
                      "perceptual": "random-features", "log_every": 50, "checkpoint_every": 250},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 8, "blocks": 1, "critic_width": 4},
            training={"steps": 20, "constant": 10, "epoch": 5, "batch": 4, "crop": 16, "log_every": 5,
                      "checkpoint_every": 10},
        )

    @classmethod
    def _seen(cls, domains: Domains) -> Sequence[Images]:
        return [clean(domains), degraded(domains)]

    @classmethod
    def _batches(cls, domains: Domains, settings: Any, seed: int, place: torch.device) -> Any:
        train, factor = settings.training, settings.network.factor
        side = min(fitting_side(degraded(domains), train, LEAST, LEAST),
                   fitting_side(clean(domains), train.but(crop=train.crop * factor), LEAST * factor,
                                LEAST * factor) // factor)
        sources, targets = CropReader(clean(domains), side * factor), CropReader(degraded(domains), side)
        shrink = Shrink(side * factor, factor).to(place) if factor > 1 else nn.Identity()

        def side_of(reader: CropReader, draw: np.random.Generator) -> Tensor:
            turns = draw.integers(0, 8 if train.turn else 1, train.batch)
            return crops.to_tensor(augment(reader.read(reader.draw(draw, train.batch)), turns)).to(place)

        def batch(number: int) -> tuple[Tensor, Tensor, Tensor]:
            draw = seeding.rng("dasr", seed, number)
            x, real = side_of(sources, draw), side_of(targets, draw)
            return x, shrink(x), real

        return batch

    @classmethod
    def _fitted(cls, step: Step, settings: Any) -> Self:
        found = super()._fitted(step, settings)
        found.critic = step.critic.eval()
        return found

    def state(self) -> dict[str, Tensor]:
        """Generator, and discriminator where there is one."""
        found = {f"generator.{name}": value for name, value in self.generator.state_dict().items()}
        critic = {} if self.critic is None else self.critic.state_dict()
        return {**found, **{f"critic.{name}": value for name, value in critic.items()}}

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], settings: Any, file: Path) -> Self:
        """The model of a state that `save` wrote, or of a generator's alone."""
        sides = {side: {name.removeprefix(f"{side}."): value for name, value in state.items()
                        if name.startswith(f"{side}.")} for side in ("generator", "critic")}
        found = super().of_state(sides["generator"] or state, settings, file)
        if sides["critic"]:
            found.critic = cls.new_critic(settings).eval()
            load_state(found.critic, sides["critic"], file)
        return found

    @classmethod
    def from_published(cls, file: Path) -> Self:
        """The published generator, which reduces by 4 itself; without its discriminator there are no maps.

        Raises:
            CheckpointError: the file is missing, broken or of another layout.
        """
        from baselines.super_resolution.fssr.model import published_state

        return cls.of_state(published_state(file), cls.default_settings("paper").but(network={"factor": 4}), file)

    def weights(self, low: Images, *, device: str, progress: Progress) -> list[np.ndarray]:
        """Domain-distance maps of degraded images, float32 (h, w) each in their order: what ESRGAN.fit takes.

        Raises:
            CheckpointError: the model has no discriminator.
        """
        if self.critic is None:
            raise CheckpointError("this model has no discriminator, so there are no domain-distance maps",
                                  "a model trained here")
        place, maps = torch_device(device), []
        critic, size = self.critic.to(place).eval(), self.settings.network
        with progress.task(f"maps of {self.name}", len(low)) as task:
            for image in low:
                with torch.inference_mode():
                    x = to_tensor(image, place)
                    height, width = filtered(x, size.filter).shape[-2:]
                    found = domain_distance(critic(x), height, width, size.body)
                    found = F.interpolate(found, x.shape[-2:], mode="bilinear", align_corners=False)
                maps.append(found[0, 0].float().cpu().numpy())
                task.advance()
        return maps


def clean(domains: Domains) -> Images:
    """The clean images: of the source domain, or of the pairs where that is empty.

    Raises:
        DataError: there are none.
    """
    found = domains.source if len(domains.source) else domains.paired.clean
    if not len(found):
        raise DataError("there are no clean images", "a source domain", "give one with --data unpaired:LOW,HIGH")
    return found


class DASREnlarger(ESRGAN):
    """DASR's super-resolution training: from scratch, weighted L1, discriminator on enlarged real images."""

    name = "esrgan-dasr"

    @classmethod
    def default_settings(cls, scale: Scale) -> ESRGANSettings:
        """`paper` is the published option for AIM19; the one for NTIRE20 fine-tunes an unpublished network."""
        settings = super().default_settings(scale).but(
            network={"kaiming": "all"}, psnr={"steps": 0},
            training={"pixel_weight": 1.0, "low_weight": 1.0, "split": "haar", "on_real": True, "critic": "patch"},
        )
        if scale == "paper":
            return settings.but(training={"steps": 350_000, "batch": 6, "features": "lpips",
                                          "milestones": (35_000, 80_000, 100_000, 150_000)})
        if scale == "short":
            return settings.but(training={"steps": 400, "batch": 6, "milestones": (200, 300), "lr": 2e-4})
        return settings

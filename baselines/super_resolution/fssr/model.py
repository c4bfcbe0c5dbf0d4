"""FSSR's DSGAN as a degradation model of tables 4 and 5 (Fritsche, Gu, Timofte, ICCV-W 2019).

It learns from degraded photographs alone: their bicubic reduction goes in, and must come out like a crop of the same
photograph at full size. Clean images appear only when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.base import (
    Capabilities,
    Scale,
    load_checkpoint,
    load_state,
    save_checkpoint,
    to_tensor,
)
from baselines.fitting.loop import identity, run_loop
from baselines.super_resolution.esrgan.model import ESRGAN, ESRGANSettings
from baselines.super_resolution.esrgan.parts import distance
from baselines.super_resolution.frequency import Shrink, truncated
from baselines.super_resolution.fssr.networks import Critic, Generator
from baselines.super_resolution.fssr.training import DegradationTraining, Step
from senm.checkpoint import read_part
from senm.config import Settings
from senm.data import domains as crops
from senm.data.crops import CropReader, augment
from senm.data.digest import content
from senm.data.mapped import mapped
from senm.support import seeding
from senm.support.device import torch_device
from senm.support.errors import DataError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from senm.data.domains import Domains
    from senm.data.pool import Images
    from senm.support.progress import Progress

FACTOR = 4
LEAST = 5 * FACTOR  # the colour term averages 5 x 5 pixels of the reduction


class FSSRNetwork(Settings):
    """Sizes of generator and discriminator."""

    width: int = Field(64, ge=1)
    blocks: int = Field(8, ge=1)
    critic_width: int = Field(64, ge=1)


class FSSRSettings(Settings):
    """Everything that defines a trained DSGAN."""

    network: FSSRNetwork = FSSRNetwork()
    training: DegradationTraining = DegradationTraining()


class FSSR:
    """The generator as a degradation at low resolution; 594,380 parameters at paper scale."""

    name: ClassVar[str] = "fssr"
    capabilities: ClassVar[Capabilities] = Capabilities(kind="noise", uses_unpaired=True)
    settings_type: ClassVar[type[Any]] = FSSRSettings

    def __init__(self, generator: Generator, settings: Any) -> None:
        self.generator, self.settings = generator.eval(), settings

    @classmethod
    def build(cls, settings: Any) -> Generator:
        """A new generator of these settings, initialised from torch's current random state."""
        return Generator(settings.network.width, settings.network.blocks)

    @classmethod
    def new_critic(cls, settings: Any) -> Critic:
        """A new discriminator of these settings."""
        return Critic(width=settings.network.critic_width)

    @classmethod
    def default_settings(cls, scale: Scale) -> Any:
        """`paper` is the published configuration for AIM19; the others are smaller and shorter."""
        settings = FSSRSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 32, "blocks": 4, "critic_width": 32},
            training={"steps": 500, "constant": 250, "epoch": 25, "batch": 8, "crop": 128, "fit_crop": True,
                      "perceptual": "random-features", "log_every": 50, "checkpoint_every": 250},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 8, "blocks": 1, "critic_width": 4},
            training={"steps": 20, "constant": 10, "epoch": 5, "batch": 4, "crop": 32, "log_every": 5,
                      "checkpoint_every": 10},
        )

    @classmethod
    def fit(
        cls, domains: Domains, settings: Any, *, seed: int, device: str, workdir: Path, progress: Progress
    ) -> Self:
        """Train on the degraded photographs of the target domain, or of the pairs where there is no other.

        Raises:
            DataError: no degraded photographs, or one smaller than a crop.
            MachineError: the device or the weights of the perceptual term are missing.
            TrainingError: a loss stays non-finite.
        """
        place, train = torch_device(device), settings.training
        step = cls._step(settings, seed, place)
        domains = mapped(domains, workdir)
        batch = cls._batches(domains, settings, seed, place)
        run_loop(
            lambda number: step.learn(number, *batch(number)), parts(step), steps=train.steps, workdir=workdir,
            identity=identity(settings, seed, content(*cls._seen(domains))), progress=progress,
            label=f"train {cls.name}", log_every=train.log_every, checkpoint_every=train.checkpoint_every,
        )
        return cls._fitted(step, settings)

    @classmethod
    def _fitted(cls, step: Step, settings: Any) -> Self:
        return cls(step.generator, settings)  # type: ignore[arg-type]

    @classmethod
    def _step(cls, settings: Any, seed: int, place: torch.device) -> Step:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("initialise", cls.name, seed))
            generator, critic = cls.build(settings), cls.new_critic(settings)
        train = settings.training
        perceptual = distance(train.perceptual) if train.perceptual_weight else nn.Identity()
        return Step(generator.to(place), critic.to(place), perceptual.to(place), train)

    @classmethod
    def _seen(cls, domains: Domains) -> Sequence[Images]:
        return [degraded(domains)]

    @classmethod
    def _batches(cls, domains: Domains, settings: Any, seed: int, place: torch.device) -> Any:
        photographs, train = degraded(domains), settings.training
        side = fitting_side(photographs, train, LEAST, FACTOR)
        outer = CropReader(photographs, side)
        shrink = Shrink(side, FACTOR).to(place)

        def batch(number: int) -> tuple[Tensor, Tensor, Tensor]:
            draw = seeding.rng("fssr", seed, number)
            turned = augment(outer.read(outer.draw(draw, train.batch)),
                             draw.integers(0, 8 if train.turn else 1, train.batch))
            corners = draw.integers(0, side - side // FACTOR + 1, (train.batch, 2))
            inner = np.stack([crop[r : r + side // FACTOR, c : c + side // FACTOR]
                              for crop, (r, c) in zip(turned, corners, strict=True)])
            reduced = shrink(crops.to_tensor(turned).to(place))
            return reduced, reduced, crops.to_tensor(inner).to(place)

        return batch

    def degrade(self, clean: np.ndarray, device: str | torch.device = "cpu") -> np.ndarray:
        """One image: uint8 (H, W, 3) -> float32 (H, W, 3) in [0, 1]."""
        with torch.inference_mode():
            degraded = self.generator(to_tensor(clean, device))
        found: np.ndarray = degraded[0].permute(1, 2, 0).float().cpu().numpy()
        return found

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Degraded versions in order, cut to 8 bit as published; nothing in them is random, so `seed` is not used."""
        place = torch_device(device)
        self.generator.to(place).eval()
        with progress.task(f"sample with {self.name}", len(clean)) as task:
            for index in range(len(clean)):
                yield truncated(self.degrade(clean[index], place))
                task.advance()

    def state(self) -> dict[str, Tensor]:
        """What `save` writes."""
        return self.generator.state_dict()

    def save(self, folder: Path) -> None:
        """Write the network; see `baselines.base.save_checkpoint`."""
        save_checkpoint(folder, self.name, self.settings, self.state())

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], settings: Any, file: Path) -> Self:
        """The model of a state that `save` wrote."""
        generator = cls.build(settings)
        load_state(generator, state, file)
        return cls(generator, settings)

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read a checkpoint written by `save`.

        Raises:
            CheckpointError: missing, broken or of another layout.
        """
        settings, state = load_checkpoint(folder, cls.name, cls.settings_type)
        found = cls.of_state(state, settings, folder / "model.safetensors")
        found.generator.to(torch_device(device))
        return found

    @classmethod
    def from_published(cls, file: Path) -> Self:
        """The published generator, alone in its file or under the key of the published checkpoints.

        Raises:
            CheckpointError: the file is missing, broken or of another layout.
        """
        settings = cls.default_settings("paper")
        return cls.of_state(published_state(file), settings, file)


def published_state(file: Path) -> Mapping[str, Tensor]:
    """The generator of a published checkpoint, which keeps it beside the discriminator and both optimisers."""
    return read_part(file, "model_g_state_dict")


def parts(step: Step) -> dict[str, Any]:
    """What a checkpoint of a training in progress holds."""
    return {
        "generator": step.generator, "critic": step.critic, "optimiser": step.optimisers[0],
        "critic optimiser": step.optimisers[1], "guard": step.guard,
    }


def degraded(domains: Domains) -> Images:
    """The degraded photographs: of the target domain, or of the pairs where that is empty.

    Raises:
        DataError: there are none.
    """
    found = domains.target if len(domains.target) else domains.paired.noisy
    if not len(found):
        raise DataError("there are no degraded photographs", "a target domain",
                        "give one with --data unpaired:LOW,HIGH")
    return found


def fitting_side(images: Images, settings: DegradationTraining, least: int, multiple: int) -> int:
    """Side of the crops: the setting's, or with `fit_crop` the largest multiple that every image holds.

    Raises:
        DataError: an image holds no crop of `least` pixels.
        SettingsError: the crop itself is smaller.
    """
    side = settings.crop // multiple * multiple
    if side < least:
        raise SettingsError(f"training.crop is {settings.crop}", f"at least {least}")
    if settings.fit_crop:
        sides = [(min(images.size(i)), name) for i, name in enumerate(images.names)]
        small, name = min(sides)
        if small < least:
            raise DataError(f"image {name} has a side of {small} pixels", f"at least {least}", "leave it out")
        side = min(side, small // multiple * multiple)
    return side


class FSSREnlarger(ESRGAN):
    """The super-resolution training of FSSR: pixel term on low frequencies, discriminator on high ones."""

    name = "esrgan-fssr"

    @classmethod
    def default_settings(cls, scale: Scale) -> ESRGANSettings:
        """ESRGAN's with FSSR's frequency split; the published start is the GAN-trained RRDB_ESRGAN_x4.pth."""
        return super().default_settings(scale).but(
            training={"pixel_weight": 0.0, "low_weight": 0.01, "split": "average"}
        )

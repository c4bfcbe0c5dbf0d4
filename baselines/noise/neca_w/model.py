"""NeCA-W as a noise model (Fu et al., CVPR 2023): settings, one generator a camera, sampling, published weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from baselines.base import Capabilities, Scale, load_checkpoint, load_state, save_checkpoint, to_image, to_tensor
from baselines.fitting.loop import identity, run_loop
from baselines.noise.neca_w.networks import Generator
from baselines.noise.neca_w.training import Adversarial, NeCANetwork, NeCATraining, TileCrops
from baselines.noise.phones import phone_of, phones_of
from senm.checkpoint import read_state_dict
from senm.config import Settings
from senm.data.digest import content
from senm.data.mapped import mapped_pairs
from senm.level import level_source
from senm.support import seeding
from senm.support.device import torch_device
from senm.support.errors import CheckpointError, DataError, unknown

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images, Pairs
    from senm.support.progress import Progress

ALL = "all"
LARGEST, SMALLEST = 512, 4


class NeCASettings(Settings):
    """Everything that defines a trained NeCA-W."""

    per_camera: bool = Field(True, description="one model a camera, where names tell the camera; else one for all")
    gain: Literal["partner", "training"] = Field(
        "partner", description="gain of a generated image: the noise level of its real partner where it is known, or "
        "always that of a training image, drawn",
        json_schema_extra={"guess": "ours: the published code reads the gain from the real partner, which a noise "
                                    "model here does not get; the gain is trained to equal its noise level"},
    )
    network: NeCANetwork = NeCANetwork()
    training: NeCATraining = NeCATraining()


class NeCAW:
    """The generators by camera, with the gains of their training images."""

    name = "neca-w"
    capabilities = Capabilities(kind="noise", needs_pairs=True)

    def __init__(
        self, generators: Mapping[str, Generator], gains: Mapping[str, np.ndarray], settings: NeCASettings
    ) -> None:
        self.generators = {camera: generator.eval() for camera, generator in generators.items()}
        self.gains, self.settings = dict(gains), settings

    @classmethod
    def default_settings(cls, scale: Scale) -> NeCASettings:
        """`paper` is the published command; the others are narrower and leave out the denoiser, which trains alone."""
        settings = NeCASettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 24, "correlation_width": 16, "critic_width": 16, "denoiser_width": 16,
                     "deviation": 0.04},
            training={"epochs": 80, "epoch_steps": 20, "batch": 4, "crop": 48, "lr": 1e-3, "denoise_from": None,
                      "log_every": 50, "checkpoint_every": 200},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 8, "correlation_width": 4, "critic_width": 8, "denoiser_width": 4, "denoiser_depth": 4,
                     "deviation": 0.08},
            training={"epochs": 3, "epoch_steps": 10, "batch": 2, "denoise_from": 3, "log_every": 5,
                      "checkpoint_every": 15},
        )

    @classmethod
    def fit(
        cls, domains: Domains, settings: NeCASettings, *, seed: int, device: str, workdir: Path, progress: Progress
    ) -> Self:
        """Train on the pairs, camera by camera; source and target domain are not used.

        Raises:
            DataError: no pairs, sides that differ, an image smaller than a crop, only some names that tell a camera.
            SettingsError: a crop that is no multiple of 24.
            TrainingError: a loss stays non-finite.
        """
        if not len(domains.paired):
            raise DataError("there are no pairs to train on", "at least one pair")
        place, generators, gains = torch_device(device), {}, {}
        for camera, pairs in by_camera(domains.paired, settings.per_camera).items():
            folder = workdir if camera == ALL else workdir / camera
            pairs = mapped_pairs(pairs, folder, "pairs")
            crops = TileCrops(pairs, settings.training, seed)
            run = Adversarial(crops, settings.network, settings.training, seed, place)
            run_loop(
                run.step, run.parts, steps=run.steps, workdir=folder,
                identity=identity(settings, seed, content(pairs)), progress=progress,
                label=f"train {cls.name}" + ("" if camera == ALL else f" {camera}"),
                log_every=settings.training.log_every, checkpoint_every=settings.training.checkpoint_every,
            )
            generators[camera] = run.generator.eval()
            gains[camera] = np.array([gain_of(run.generator, pairs.noisy[i], place) for i in range(len(pairs))])
        return cls(generators, gains, settings)

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Noisy versions in order; an image's noise, gain and camera depend on the seed and its name only.

        Raises:
            DataError: a name tells a camera that the model does not know, or an image is under 4 pixels a side.
            CheckpointError: the model has no gains, and the images know no level.
        """
        place, named = torch_device(device), clean if self.settings.gain == "partner" else None
        gains = {camera: level_source("measured", values.tolist(), seed, named)
                 for camera, values in self.gains.items()}
        with progress.task(f"sample with {self.name}", len(clean)) as task:
            for index, name in enumerate(clean.names):
                image = clean[index]
                if min(image.shape[:2]) < SMALLEST:
                    raise DataError(f"image {name} is {image.shape[0]}x{image.shape[1]} pixels", "at least 4x4")
                camera = self.camera(name, seed)
                x, gain = to_tensor(image, place), torch.tensor([gains[camera](name)], device=place).float()
                normal = torch.randn(x.shape, generator=seeding.generator("sample", seed, name, self.name)).to(place)
                with torch.inference_mode():
                    noisy = x + self.generators[camera].to(place)(x, gain, normal).correlated
                yield to_image(noisy)
                task.advance()

    def camera(self, name: str, seed: int) -> str:
        """The model for an image: its camera's; where its name tells none, one of them, as often as it had pairs.

        Raises:
            DataError: a camera that the model does not know.
        """
        if list(self.generators) == [ALL]:
            return ALL
        phone = phone_of(name)
        if phone is None:
            counts = np.array([max(len(gains), 1) for gains in self.gains.values()], dtype=float)
            choice = seeding.rng("camera", seed, name).choice(len(counts), p=counts / counts.sum())
            return list(self.gains)[int(choice)]
        if phone.camera not in self.generators:
            raise unknown("camera", phone.camera, self.generators, DataError)
        return phone.camera

    def save(self, folder: Path) -> None:
        """Write generators and gains; see `baselines.base.save_checkpoint`."""
        state: dict[str, Tensor] = {}
        for camera, generator in self.generators.items():
            state |= {f"{camera}.{key}": value for key, value in generator.state_dict().items()}
            state[f"{camera}.gains"] = torch.from_numpy(self.gains[camera])
        save_checkpoint(folder, self.name, self.settings, state)

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read a checkpoint written by `save`.

        Raises:
            CheckpointError: missing, broken or of another layout.
        """
        settings, state = load_checkpoint(folder, cls.name, NeCASettings)
        generators, gains, file = {}, {}, folder / "model.safetensors"
        for camera in dict.fromkeys(key.partition(".")[0] for key in state):
            part = {key.partition(".")[2]: value for key, value in state.items() if key.startswith(f"{camera}.")}
            if "gains" not in part:
                raise CheckpointError(f"{file} lacks '{camera}.gains'", "gains of the training images")
            gains[camera] = part.pop("gains").double().numpy()
            generators[camera] = build(settings)
            load_state(generators[camera], part, file)
            generators[camera].to(torch_device(device))
        if not generators:
            raise CheckpointError(f"{file} is empty", "at least one camera")
        return cls(generators, gains, settings)

    @classmethod
    def from_published(cls, folder: Path) -> Self:
        """A folder with the published checkpoint_E.pth, checkpoint_G1.pth and checkpoint_G2.pth, or one such a camera.

        Gains are not published: images that are sampled must know their level (`senm.data.levelled`).

        Raises:
            CheckpointError: a file is missing, broken or of another layout.
        """
        settings = NeCASettings()
        whole = (folder / "checkpoint_E.pth").is_file()
        folders = {ALL: folder} if whole else {path.parent.name: path.parent
                                               for path in sorted(folder.glob("*/checkpoint_E.pth"))}
        if not folders:
            raise CheckpointError(f"{folder} holds no checkpoint_E.pth", "the files of one camera, or such folders")
        generators = {}
        for camera, place in folders.items():
            generators[camera] = build(settings)
            for name, part in generators[camera].named_children():
                load_state(part, published(place / f"checkpoint_{name}.pth"), place / f"checkpoint_{name}.pth")
        return cls(generators, {camera: np.zeros(0) for camera in folders}, settings)


def build(settings: NeCASettings) -> Generator:
    """A generator of these sizes."""
    return Generator(settings.network.width, settings.network.correlation_width)


def published(file: Path) -> dict[str, Tensor]:
    """The state dict of a published file.

    Raises:
        CheckpointError: the file is missing, broken or holds more than tensors.
    """
    if not file.is_file():
        raise CheckpointError(f"no checkpoint at {file}", "checkpoint_E.pth, checkpoint_G1.pth and checkpoint_G2.pth")
    return read_state_dict(file)


def by_camera(pairs: Pairs, split: bool) -> dict[str, Pairs]:
    """The pairs of each camera, or all of them under one name where names tell no camera."""
    phones = phones_of(pairs.names) if split else None
    if phones is None:
        return {ALL: pairs}
    cameras = sorted({phone.camera for phone in phones})
    return {camera: pairs.subset([i for i, phone in enumerate(phones) if phone.camera == camera]) for camera in cameras}


@torch.inference_mode()
def gain_of(generator: Generator, noisy: np.ndarray, device: torch.device) -> float:
    """The gain of a noisy image, read from its middle where it is over 512 pixels a side."""
    row, column = ((length - min(length, LARGEST)) // 2 for length in noisy.shape[:2])
    middle = noisy[row : row + LARGEST, column : column + LARGEST]
    return float(generator.E(to_tensor(middle, device)))

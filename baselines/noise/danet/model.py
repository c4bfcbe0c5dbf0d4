"""DANet as a noise model (table 1), and the denoiser that is trained beside it as a restorer of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import (
    Capabilities,
    Scale,
    load_checkpoint,
    load_state,
    save_checkpoint,
    to_image,
    to_tensor,
)
from baselines.fitting.loop import identity, run_loop
from baselines.fitting.restorer import NetworkRestorer
from baselines.noise.danet.networks import MULTIPLE, Denoiser, Generator
from baselines.noise.danet.training import DANetSettings, Training
from senm.checkpoint import read_state_dict, read_tensors
from senm.data.digest import content
from senm.data.mapped import mapped_pairs
from senm.support import seeding
from senm.support.device import torch_device
from senm.support.errors import CheckpointError, DataError, UsageError

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images, Pairs
    from senm.support.progress import Progress

PUBLISHED = {"generator": "G", "denoiser": "D"}


def settings_of(scale: Scale) -> DANetSettings:
    """`paper` is the published configuration; the others are smaller and shorter.

    In a short training the critic must be faster than the generator, or both diverge after some hundred steps.
    """
    settings = DANetSettings()
    if scale == "paper":
        return settings
    short = settings.but(
        network={"width": 6, "critic_width": 8},
        training={"steps": 7_200, "batch": 2, "crop": 64, "lr": 1e-3, "critic_lr": 1e-3, "generator_lr": 2e-4,
                  "milestones": (4_800, 6_000, 6_600), "log_every": 60, "checkpoint_every": 300},
    )
    if scale == "short":
        return short
    return short.but(
        network={"width": 4, "critic_width": 4},
        training={"steps": 30, "crop": 32, "generator_lr": 1e-4, "generator_weight": 100.0, "milestones": (20,),
                  "log_every": 6, "checkpoint_every": 15},
    )


def trained(
    sources: Sequence[Pairs], settings: DANetSettings, seed: int, device: str, workdir: Path, progress: Progress,
    label: str,
) -> Training:
    """A finished training of all three networks; leaves `log.jsonl` and the full state in `workdir`.

    Raises:
        DataError: no pairs, or an image smaller than the crop.
        SettingsError: the crop does not suit the networks.
        TrainingError: a loss stays non-finite.
    """
    torch_device(device)
    sources = [mapped_pairs(pairs, workdir, f"pairs{i}") for i, pairs in enumerate(sources)]
    run, train = Training(sources, settings, seed, device), settings.training
    run_loop(
        run.step, run.parts, steps=train.steps, workdir=workdir, identity=identity(settings, seed, content(*sources)),
        progress=progress, label=f"train {label}", log_every=train.log_every, checkpoint_every=train.checkpoint_every,
    )
    return run


def generate(generator: nn.Module, clean: Tensor, draw: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
    """Noisy versions of images of any size above 8 pixels, clamped to [0, 1].

    Args:
        clean: (N, 3, H, W) in [0, 1]; padded by reflection at its right and lower border to multiples of 16.
        draw: gives standard-normal numbers of a shape, (N, 1, H', W') of the padded images.
    """
    height, width = clean.shape[-2:]
    padded = F.pad(clean, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="reflect")
    noisy: Tensor = generator(padded, draw((len(padded), 1, *padded.shape[-2:])))
    return noisy[..., :height, :width].clamp(0, 1)


class DANet:
    """Generator and denoiser, of which `sample` uses the generator; learns from pairs."""

    name: ClassVar[str] = "danet"
    capabilities: ClassVar[Capabilities] = Capabilities(kind="noise", needs_pairs=True)

    def __init__(self, generator: Generator, denoiser: Denoiser, settings: DANetSettings) -> None:
        self.generator, self.denoiser, self.settings = generator.eval(), denoiser.eval(), settings

    @classmethod
    def default_settings(cls, scale: Scale) -> DANetSettings:
        """See `settings_of`."""
        return settings_of(scale)

    @classmethod
    def fit(
        cls, domains: Domains, settings: DANetSettings, *, seed: int, device: str, workdir: Path, progress: Progress
    ) -> Self:
        """Train on the pairs; images without a partner are not used. See `trained` for errors."""
        run = trained([domains.paired], settings, seed, device, workdir, progress, cls.name)
        return cls(run.generator, run.denoiser, settings)

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Noisy versions in order; an image's noise depends on the seed and its name only.

        Raises:
            DataError: an image is too small to be padded by reflection.
        """
        place = torch_device(device)
        generator = self.generator.to(place).eval()
        with progress.task(f"sample with {self.name}", len(clean)) as task:
            for index, name in enumerate(clean.names):
                image = clean[index]
                if min(image.shape[:2]) <= MULTIPLE // 2:
                    raise DataError(f"image {name} is {image.shape[0]}x{image.shape[1]} pixels",
                                    f"sides above {MULTIPLE // 2} pixels for {self.name}")
                numbers = seeding.generator("sample", seed, name, self.name)

                def draw(shape: tuple[int, ...], numbers: torch.Generator = numbers) -> Tensor:
                    return torch.randn(shape, generator=numbers).to(place)

                with torch.inference_mode():
                    yield to_image(generate(generator, to_tensor(image, place), draw))
                task.advance()

    def restorer(self) -> DANetDenoiser:
        """The denoiser of this model."""
        return DANetDenoiser(self.denoiser, self.settings)  # type: ignore[arg-type]

    def save(self, folder: Path) -> None:
        """Write both networks; see `baselines.base.save_checkpoint`."""
        state = {f"{part}.{name}": value for part, network in self._networks().items()
                 for name, value in network.state_dict().items()}
        save_checkpoint(folder, self.name, self.settings, state)

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read a checkpoint written by `save`.

        Raises:
            CheckpointError: missing, broken or of another layout.
        """
        settings, state = load_checkpoint(folder, cls.name, DANetSettings)
        model = cls._empty(settings)
        place = torch_device(device)
        load_state(nn.ModuleDict(model._networks()), state, folder / "model.safetensors")
        model.generator.to(place), model.denoiser.to(place)
        return model

    @classmethod
    def from_published(cls, file: Path) -> Self:
        """Both networks of a published file.

        Raises:
            CheckpointError: the file is missing, broken or of another layout.
        """
        model = cls._empty(DANetSettings())
        for part, network in model._networks().items():
            load_state(network, published(file, part), file)
        return model

    @classmethod
    def _empty(cls, settings: DANetSettings) -> Self:
        width = settings.network.width
        return cls(Generator(width), Denoiser(width), settings)

    def _networks(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "denoiser": self.denoiser}


class DANetDenoiser(NetworkRestorer):
    """The denoiser, trained beside the generator by the same procedure."""

    name = "danet-denoiser"
    settings_type = DANetSettings  # type: ignore[assignment]
    capabilities = Capabilities(kind="restorer", needs_pairs=True)
    multiple = MULTIPLE

    @classmethod
    def build(cls, settings: Any) -> nn.Module:
        return Denoiser(settings.network.width)

    @classmethod
    def default_settings(cls, scale: Scale) -> DANetSettings:  # type: ignore[override]
        """See `settings_of`."""
        return settings_of(scale)

    @classmethod
    def fit(
        cls, sources: Sequence[Pairs], settings: Any, *, seed: int, device: str, workdir: Path, progress: Progress,
        start: Path | None = None,
    ) -> Self:
        """Train on `sources`. See `trained` for errors.

        Raises:
            UsageError: weights to start from are given.
        """
        if start is not None:
            raise UsageError(f"{cls.name} cannot start from {start}", "a training from its seed",
                             "leave the start away: generator and critic are trained with it")
        run = trained(sources, settings, seed, device, workdir, progress, cls.name)
        return cls(run.denoiser, settings)

    @classmethod
    def published_state(cls, file: Path) -> dict[str, Tensor]:
        """The denoiser of a published file, which holds the generator too."""
        return published(file, "denoiser")


def published(file: Path, part: str) -> dict[str, Tensor]:
    """State dict of the generator or the denoiser in a published file, which holds one under 'G' and one under 'D'.

    Raises:
        CheckpointError: the file is missing, broken or lacks that part.
    """
    key = PUBLISHED[part]
    expected = "a file with a state dict under 'D' and one under 'G'"
    both = read_tensors(file)
    if not isinstance(both, dict) or not isinstance(both.get(key), dict):
        raise CheckpointError(f"{file} has no {part} (entry {key!r})", expected)
    return read_state_dict(both[key])

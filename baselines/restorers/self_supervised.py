"""Restorers that learn from noisy photographs alone: the sampler of their crops and the training around a network."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.base import Capabilities
from baselines.fitting.loop import Stateful, identity, run_loop
from baselines.fitting.restorer import NetworkRestorer, weights_hash
from senm.config import Settings
from senm.data.crops import CropReader, augment
from senm.data.digest import content
from senm.data.domains import Domains, to_tensor
from senm.data.mapped import mapped
from senm.data.pool import Images
from senm.support.errors import DataError
from senm.support.seeding import rng

if TYPE_CHECKING:
    from senm.support.progress import Progress


class LoopSettings(Settings):
    """What every training here has: its length, its crops, and how often it writes."""

    steps: int = Field(40_000, ge=1)
    batch: int = Field(16, ge=1)
    crop: int = Field(64, ge=8, description="side of a crop in pixels")
    augment: bool = Field(True, description="flips and rotations, 8 ways")
    skip_limit: int = Field(10, ge=0, description="consecutive non-finite steps that are skipped before stopping")
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(2_000, ge=1)


class NoisySampler:
    """Batches of crops from sets of noisy images; every image is equally likely, and every place inside it.

    Args:
        sources: sets of images; empty ones are left out.
        batch: crops a step.
        crop: side of a crop in pixels.
        seed: names the random stream together with the stream's name and the step.
        turn: flips and quarter turns, 8 ways.

    Raises:
        DataError: no images at all, or one smaller than a crop.
    """

    def __init__(self, sources: Sequence[Images], *, batch: int, crop: int, seed: int, turn: bool = True) -> None:
        for source in sources:
            if not isinstance(source, Images):
                raise DataError(f"a set of training data is {type(source).__name__}", "noisy images alone, no pairs")
        self.sources = [source for source in sources if len(source)]
        if not self.sources:
            raise DataError("there are no noisy images to train on", "at least one image")
        self.readers = [CropReader(source, crop) for source in self.sources]
        sizes = np.array([len(source) for source in self.sources], dtype=float)
        self.share, self.size, self.seed, self.turn = sizes / sizes.sum(), batch, seed, turn

    def batch(self, step: int, stream: str = "train", size: int | None = None) -> Tensor:
        """The crops of this step: float32 (batch, 3, crop, crop) in [0, 1]."""
        draw, count = rng("noisy", stream, self.seed, step), size or self.size
        chosen = draw.multinomial(count, self.share)
        crops = [reader.read(reader.draw(draw, int(n))) for reader, n in zip(self.readers, chosen, strict=True)]
        return to_tensor(augment(np.concatenate(crops), draw.integers(0, 8 if self.turn else 1, count)))

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel over all pixels, float32 (3,) each, for values in [0, 1]."""
        count, total, squares = 0, [0, 0, 0], [0, 0, 0]
        for source in self.sources:
            for image in source:
                pixels = image.reshape(-1, 3).astype(np.int64)
                count += len(pixels)
                total = [a + int(b) for a, b in zip(total, pixels.sum(0), strict=True)]
                squares = [a + int(b) for a, b in zip(squares, (pixels**2).sum(0), strict=True)]
        mean = np.array([part / count / 255 for part in total])
        spread = [count * second - first**2 for first, second in zip(total, squares, strict=True)]
        if not min(spread):
            raise DataError("a colour of the noisy images has the same value everywhere", "photographs with noise")
        deviation = np.array([math.sqrt(part) / count / 255 for part in spread])
        return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()


class Best:
    """Keeps the weights of a network that had the lowest validation loss so far."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.lowest = network, math.inf
        self.kept: dict[str, Tensor] = copy.deepcopy(network.state_dict())

    def saw(self, loss: float) -> bool:
        """A new validation loss; True where it is the lowest."""
        if not loss < self.lowest:
            return False
        self.lowest, self.kept = loss, copy.deepcopy(self.network.state_dict())
        return True

    def take(self) -> nn.Module:
        """The network with the kept weights."""
        self.network.load_state_dict(self.kept)
        return self.network

    def state_dict(self) -> dict[str, Any]:
        return {"lowest": self.lowest, "kept": self.kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.lowest, self.kept = float(state["lowest"]), dict(state["kept"])


class Trainer(Protocol):
    """One self-supervised training: its parts with a state, its step, and the network it ends with."""

    @property
    def parts(self) -> Mapping[str, Stateful]: ...

    def step(self, number: int) -> Mapping[str, float]: ...

    def result(self) -> nn.Module: ...


class SelfSupervised(NetworkRestorer):
    """Base of the restorers whose `fit` gets noisy images only; a subclass gives `trainer`."""

    settings_type: ClassVar[Any]
    capabilities: ClassVar[Capabilities] = Capabilities(kind="restorer", needs_pairs=False)

    @classmethod
    @abstractmethod
    def trainer(cls, network: nn.Module, sampler: NoisySampler, settings: Any, seed: int, device: str) -> Trainer:
        """The training of `network` on crops of `sampler`."""

    @classmethod
    def fit(
        cls,
        sources: Sequence[Any],
        settings: Any,
        *,
        seed: int,
        device: str,
        workdir: Path,
        progress: Progress,
        start: Path | None = None,
    ) -> Self:
        """Train on noisy images alone; leaves `log.jsonl` and the full state in `workdir` and resumes from there.

        Args:
            sources: sets of noisy images (`Images`).

        Raises:
            CheckpointError: `workdir` holds the state of another training, or `start` has another layout.
            DataError: no images, pairs in the place of images, or an image smaller than the crop.
            TrainingError: the loss or a gradient stays non-finite.
        """
        train = settings.training
        network = cls.initialised(settings, seed, start)
        images = [
            mapped(Domains(target=source), workdir / f"noisy{i}").target if isinstance(source, Images) else source
            for i, source in enumerate(sources)
        ]
        sampler = NoisySampler(images, batch=train.batch, crop=train.crop, seed=seed, turn=train.augment)
        run = cls.trainer(network, sampler, settings, seed, device)
        run_loop(
            run.step, run.parts, steps=train.steps, workdir=workdir,
            identity=identity(settings, seed, weights_hash(start), content(*sampler.sources)),
            progress=progress, label=f"train {cls.name}", log_every=train.log_every,
            checkpoint_every=train.checkpoint_every,
        )
        return cls(run.result().eval(), settings)

"""Training on noisy images alone: crops, one loop whose loss a system gives, and the restorer around it."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.base import Capabilities
from baselines.fitting.loop import Guard, Stateful, identity, run_loop
from baselines.fitting.restorer import NetworkRestorer, weights_hash
from baselines.fitting.training import average
from senm.config import Settings
from senm.data.crops import CropReader, augment
from senm.data.digest import content
from senm.data.domains import Domains, to_tensor
from senm.data.mapped import mapped
from senm.data.pool import Images
from senm.support.device import torch_device
from senm.support.errors import DataError
from senm.support.seeding import rng

if TYPE_CHECKING:
    from senm.support.progress import Progress

Objective = Callable[[nn.Module, Tensor, np.ndarray, int], Mapping[str, Tensor]]
"""(network, crops, where they are from, step) -> terms to log, among them ``loss``, which is minimised."""


class NoisyTraining(Settings):
    """Adam on random crops of noisy images; a system narrows the defaults to its recipe and may override `rate`."""

    steps: int = Field(100_000, ge=1)
    batch: int = Field(8, ge=1, description="crops a step")
    crop: int = Field(80, ge=5, description="side of a crop in pixels")
    lr: float = Field(1e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0, description="added to the gradient")
    amsgrad: bool = False
    augment: bool = Field(True, description="flips and quarter turns, 8 ways")
    ema: float = Field(0.0, ge=0, lt=1, description="decay of averaged weights; 0 keeps the last weights")
    skip_limit: int = Field(10, ge=0, description="consecutive non-finite steps that are skipped before stopping")
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(1_000, ge=1)

    def rate(self, step: int) -> float:
        """Learning rate of a step (0-based)."""
        return self.lr


class Sampler(Protocol):
    def batch(self, step: int) -> tuple[Tensor, np.ndarray]: ...


class NoisySampler:
    """Crops of noisy images as a function of (seed, step): every image, and every place in it, equally likely.

    Independent draws stand for the shuffled epochs of the published programs.

    Raises:
        DataError: no images, images that are pairs, or an image smaller than the crop.
    """

    def __init__(self, sources: Sequence[Images], *, batch: int, crop: int, seed: int, turn: bool = True) -> None:
        self.sources = checked(sources)
        self.readers = [CropReader(images, crop) for images in self.sources]
        count = np.array([len(images) for images in self.sources], dtype=float)
        self.share, self.size, self.seed, self.turn = count / count.sum(), batch, seed, turn

    @classmethod
    def of(cls, sources: Sequence[Images], training: Any, seed: int) -> Self:
        """The sampler of a training's settings."""
        return cls(sources, batch=training.batch, crop=training.crop, seed=seed, turn=training.augment)

    def batch(self, step: int) -> tuple[Tensor, np.ndarray]:
        """Crops, float32 (batch, 3, crop, crop) in [0, 1], and number of pool and image of each, integer (batch, 2)."""
        return self.crops(rng("noisy", self.seed, step), self.size)

    def crops(self, draw: np.random.Generator, size: int) -> tuple[Tensor, np.ndarray]:
        """`size` crops of one stream, and where they are from."""
        crops, origins = [], []
        for number, count in enumerate(draw.multinomial(size, self.share)):
            at = self.readers[number].draw(draw, int(count))
            crops.append(self.readers[number].read(at))
            origins.append(np.stack([np.full(len(at), number), at.image], 1))
        turns = draw.integers(0, 8 if self.turn else 1, size)
        return to_tensor(augment(np.concatenate(crops), turns)), np.concatenate(origins)


def checked(sources: Sequence[Images]) -> list[Images]:
    """The pools that hold images, in order.

    Raises:
        DataError: something other than noisy images, or none at all.
    """
    for source in sources:
        if not isinstance(source, Images):
            raise DataError(f"a {type(source).__name__} as training data", "noisy images only, no pairs",
                            "give the noisy side of the pairs")
    pools = [source for source in sources if len(source)]
    if not pools:
        raise DataError("there are no noisy images to train on", "at least one image")
    return pools


def adam(network: nn.Module, settings: NoisyTraining) -> torch.optim.Adam:
    """Adam, or AMSGrad, over all parameters."""
    return torch.optim.Adam(network.parameters(), lr=settings.lr, betas=settings.betas,
                            weight_decay=settings.weight_decay, amsgrad=settings.amsgrad)


class NoisyRun:
    """State and step of one training on noisy images.

    Attributes:
        parts: what a checkpoint holds.
    """

    def __init__(self, network: nn.Module, objective: Objective, sampler: Sampler, settings: NoisyTraining,
                 device: str) -> None:
        self.device = torch_device(device)
        self.network = network.to(self.device).train()
        self.averaged = copy.deepcopy(self.network) if settings.ema else None
        self.objective, self.sampler, self.settings = objective, sampler, settings
        self.optimiser, self.guard = adam(self.network, settings), Guard(settings.skip_limit)
        self.parts: dict[str, Any] = {"network": self.network, "optimiser": self.optimiser, "guard": self.guard}
        if self.averaged is not None:
            self.parts["averaged"] = self.averaged

    def step(self, number: int) -> dict[str, float]:
        """One optimiser step; returns what is logged."""
        crops, origins = self.sampler.batch(number)
        rate = self.settings.rate(number)
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        terms = self.objective(self.network, crops.to(self.device), origins, number)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), float("inf")))
        values = {name: float(term.detach()) for name, term in terms.items()}
        if not self.guard.allows(number, {**values, "gradient norm": norm}):
            return {"lr": rate, "skipped": self.guard.skipped}
        self.optimiser.step()
        if self.averaged is not None:
            average(self.averaged, self.network, self.settings.ema)
        return {**values, "lr": rate, "skipped": self.guard.skipped}

    def result(self) -> nn.Module:
        """The averaged weights where they are kept, else the last ones."""
        return self.averaged or self.network


class Trainer(Protocol):
    """One training: its parts with a state, its step, and the network it ends with."""

    @property
    def parts(self) -> Mapping[str, Stateful]: ...

    def step(self, number: int) -> Mapping[str, float]: ...

    def result(self) -> nn.Module: ...


class SelfSupervised(NetworkRestorer):
    """Base of the restorers that are one network trained on noisy images alone; a subclass gives `trainer`."""

    settings_type: ClassVar[Any]
    capabilities: ClassVar[Capabilities] = Capabilities(kind="restorer", needs_pairs=False)

    @classmethod
    @abstractmethod
    def trainer(cls, network: nn.Module, sources: Sequence[Images], settings: Any, seed: int, device: str) -> Trainer:
        """The training of `network` on noisy images."""

    @classmethod
    def length(cls, settings: Any) -> int:
        """Steps of the whole training."""
        return int(settings.training.steps)

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
        """Train on noisy images.

        Leaves `log.jsonl` and the full state in `workdir` and resumes from there; image files are decoded there once.

        Args:
            sources: pools of noisy images (`senm.data.pool.Images`).
            start: weights to go on from, a published file or a folder written by `save`.

        Raises:
            CheckpointError: `workdir` holds another training, or `start` is of another layout.
            DataError: no images, or one smaller than the crop.
            TrainingError: the loss or a gradient stays non-finite.
            MachineError: the device is missing or its memory too small.
        """
        torch_device(device)
        train = settings.training
        sources = [mapped(Domains(target=images), workdir / f"noisy{number}").target
                   for number, images in enumerate(checked(sources))]
        run = cls.trainer(cls.initialised(settings, seed, start), sources, settings, seed, device)
        run_loop(
            run.step, run.parts, steps=cls.length(settings), workdir=workdir,
            identity=identity(settings, seed, weights_hash(start), content(*sources)), progress=progress,
            label=f"train {cls.name}", log_every=train.log_every, checkpoint_every=train.checkpoint_every,
        )
        return cls(run.result(), settings)


class NoisyRestorer(SelfSupervised):
    """Base of those whose step minimises an objective with Adam."""

    @classmethod
    @abstractmethod
    def objective(cls, settings: Any, sources: Sequence[Images], seed: int) -> Objective:
        """What a step minimises."""

    @classmethod
    def sampler(cls, settings: Any, sources: Sequence[Images], seed: int) -> Sampler:
        """Crops of a step; the same crops for the same seed and step."""
        return NoisySampler.of(sources, settings.training, seed)

    @classmethod
    def trainer(cls, network: nn.Module, sources: Sequence[Images], settings: Any, seed: int, device: str) -> Trainer:
        return NoisyRun(network, cls.objective(settings, sources, seed), cls.sampler(settings, sources, seed),
                        settings.training, device)


def at_least(side: int, image: Tensor, why: str) -> None:
    """Refuse an image (1, 3, H, W) with a side below `side` pixels.

    Raises:
        DataError: says the size and `why`.
    """
    if min(image.shape[-2:]) < side:
        raise DataError(f"an image of {image.shape[-2]}x{image.shape[-1]} pixels", f"at least {side} a side, {why}")


class Procedure(nn.Module):
    """A function of an image as a module: what a restorer does to a tile."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, image: Tensor) -> Tensor:
        return self.function(image)

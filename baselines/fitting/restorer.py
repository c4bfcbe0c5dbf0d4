"""A restorer around one network: building, supervised fit, restoring image by image, saving and loading."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
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
from baselines.fitting.training import Supervised, TrainingSettings, train
from senm.checkpoint import read_state_dict
from senm.config import Settings
from senm.data.manifest import file_sha256
from senm.sampling.memory import keep_freed_memory
from senm.support import seeding
from senm.support.device import torch_device

if TYPE_CHECKING:
    from senm.data.pool import Images, Pairs
    from senm.support.progress import Progress


class RestorerSettings(Settings):
    """Base of a restorer's settings; each system adds its `network` and narrows `training`."""

    training: TrainingSettings = TrainingSettings()


class NetworkRestorer(ABC):
    """Base of the restorers that are one network.

    A subclass gives `name`, `settings_type`, `build` and `default_settings`; `multiple` is what the sides of an input
    must be divisible by (inputs are padded by reflection and the output is cropped back). Images above `whole`
    pixels are restored in overlapping tiles. `engine` is state and step of its training.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[RestorerSettings]]
    capabilities: ClassVar[Capabilities] = Capabilities(kind="restorer", needs_pairs=True)
    multiple: ClassVar[int] = 1
    whole: ClassVar[int] = 1 << 20
    tile: ClassVar[int] = 512
    overlap: ClassVar[int] = 48
    engine: ClassVar[type[Supervised]] = Supervised

    def __init__(self, network: nn.Module, settings: RestorerSettings) -> None:
        self.network, self.settings = network.eval(), settings

    @classmethod
    @abstractmethod
    def build(cls, settings: Any) -> nn.Module:
        """A new network of these settings, initialised from torch's current random state."""

    @classmethod
    @abstractmethod
    def default_settings(cls, scale: Scale) -> RestorerSettings:
        """The settings of this scale; `paper` is the class's defaults."""

    @classmethod
    def initialised(cls, settings: Any, seed: int, start: Path | None = None) -> nn.Module:
        """A new network: from the stream of `seed`, or from the weights in `start` (our folder or a published file).

        Raises:
            CheckpointError: `start` is missing, broken or of another layout.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("initialise", cls.name, seed))
            network = cls.build(settings)
        if start is not None:
            file = weights_file(start)
            load_state(network, cls.published_state(file), file)
        return network

    @classmethod
    def published_state(cls, file: Path) -> dict[str, Tensor]:
        """The weights in a published file, or one of ours, in this network's own layout."""
        return cls.translate(read_state_dict(file))

    @classmethod
    def from_published(cls, file: Path, settings: RestorerSettings | None = None) -> Self:
        """The network with published weights, by default of the published size.

        Raises:
            CheckpointError: the file is missing, broken or of another layout; names the first differing layer.
        """
        settings = settings or cls.default_settings("paper")
        return cls(cls.initialised(settings, 0, file), settings)

    @classmethod
    def translate(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A published state dict in this network's own layout."""
        return state

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
    ) -> Self:
        """Train on `sources`; see `baselines.fitting.training.train` for files left in `workdir` and errors."""
        torch_device(device)
        network = cls.initialised(settings, seed, start)
        trained = train(
            network, sources, settings.training, seed=seed, device=device, workdir=workdir, progress=progress,
            label=f"train {cls.name}", factor=cls.capabilities.factor, origin=weights_hash(start),
            engine=cls.engine,
        )
        return cls(trained, settings)

    def restore(self, noisy: Images, *, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Restored images in order, uint8 (f * H, f * W, 3) RGB; one at a time: each depends on itself only."""
        return map(to_image, self._restored(noisy, device, progress))

    def restore_exactly(self, noisy: Images, *, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """`restore` without rounding to 8 bit: float32 (f * H, f * W, 3) RGB, clamped to [0, 1]."""
        for image in self._restored(noisy, device, progress):
            yield image[0].clamp(0, 1).permute(1, 2, 0).cpu().numpy()

    def _restored(self, noisy: Images, device: str, progress: Progress) -> Iterator[Tensor]:
        place = torch_device(device)
        if place.type == "cpu":
            keep_freed_memory()
        network = self.network.to(place).eval()
        with progress.task(f"restore with {self.name}", len(noisy)) as task:
            for index in range(len(noisy)):
                with torch.inference_mode():
                    restored = self._restore(network, to_tensor(noisy[index], place))
                yield restored.float()
                task.advance()

    def _restore(self, network: nn.Module, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        if height * width <= self.whole:
            return self._padded(network, image)
        factor, step = self.capabilities.factor, self.tile - 2 * self.overlap
        out = image.new_empty(1, 3, height * factor, width * factor)
        for top in range(0, height, step):
            for left in range(0, width, step):
                up, side = max(top - self.overlap, 0), max(left - self.overlap, 0)
                bottom, right = min(top + step, height), min(left + step, width)
                piece = image[..., up : bottom + self.overlap, side : right + self.overlap]
                done = self._padded(network, piece)
                out[..., top * factor : bottom * factor, left * factor : right * factor] = done[
                    ..., (top - up) * factor : (bottom - up) * factor, (left - side) * factor : (right - side) * factor
                ]
        return out

    def _padded(self, network: nn.Module, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        below, beside = -height % self.multiple, -width % self.multiple
        if below or beside:
            mode = "reflect" if below < height and beside < width else "replicate"
            image = F.pad(image, (0, beside, 0, below), mode=mode)
        factor = self.capabilities.factor
        result: Tensor = network(image)
        return result[..., : height * factor, : width * factor]

    def save(self, folder: Path) -> None:
        """Write the checkpoint; see `baselines.base.save_checkpoint`."""
        save_checkpoint(folder, self.name, self.settings, self.network.state_dict())

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read a checkpoint written by `save`.

        Raises:
            CheckpointError: missing, broken or of another layout; names the file and the first differing layer.
        """
        settings, state = load_checkpoint(folder, cls.name, cls.settings_type)
        network = cls.build(settings)
        load_state(network, state, folder / "model.safetensors")
        return cls(network.to(torch_device(device)), settings)


def weights_file(start: Path) -> Path:
    """The file of weights that `start` names: a published file, or the one in a folder written by `save`."""
    return start / "model.safetensors" if start.is_dir() else start


def weights_hash(start: Path | None) -> str:
    """SHA-256 of the weights that a training starts from, '' where it starts from its seed."""
    return "" if start is None else file_sha256(weights_file(start))


def orthogonal_(network: nn.Module, gain: float = 0.2) -> None:
    """KAIR's initialisation: orthogonal convolutions with this gain, zero biases, norm weights uniform in [0.1, 1].

    Source: cszn/KAIR, models/select_network.py (the options `orthogonal` and `uniform` for batch norm).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.orthogonal_(module.weight, gain=gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.1, 1.0)
            nn.init.zeros_(module.bias)

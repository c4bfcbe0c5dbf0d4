"""What every system of the tables offers: the two protocols, capability flags, and checkpoints on disk.

A checkpoint is a folder with `model.safetensors` and `settings.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from pydantic import ValidationError
from safetensors.torch import save
from torch import Tensor, nn

from senm.checkpoint import read_state_dict
from senm.config import Settings
from senm.support.errors import CheckpointError, SenmError
from senm.support.files import write_atomically

if TYPE_CHECKING:
    from senm.data.domains import Domains, Pairs
    from senm.data.pool import Images
    from senm.support.progress import Progress

Scale = Literal["smoke", "short", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "short", "paper")
S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Capabilities:
    """What a system can do and what it needs, so that a plan can be refused before anything runs.

    `factor` is the side of a restored image divided by the side of its input (4 for super-resolution); `shares` says
    that several GPUs can share one training, `fit` then takes a launched `fabric`.
    """

    kind: Literal["noise", "restorer"]
    needs_pairs: bool = False
    uses_unpaired: bool = False
    trains: bool = True
    factor: int = 1
    shares: bool = False


@runtime_checkable
class NoiseModel(Protocol):
    """Turns clean photographs into noisy ones.

    `sample` yields uint8 (H, W, 3) RGB arrays in the order of `clean`; an image's noise depends on the model, the
    seed and the image's name only, never on order or batch size.
    """

    name: str
    capabilities: Capabilities

    @classmethod
    def default_settings(cls, scale: Scale) -> Settings: ...

    @classmethod
    def fit(
        cls, domains: Domains, settings: Any, *, seed: int, device: str, workdir: Path, progress: Progress
    ) -> NoiseModel: ...

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]: ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path, device: str) -> NoiseModel: ...


@runtime_checkable
class Restorer(Protocol):
    """Turns degraded photographs into restored ones (uint8 (H, W, 3) RGB, `capabilities.factor` times larger)."""

    name: str
    capabilities: Capabilities

    @classmethod
    def default_settings(cls, scale: Scale) -> Settings: ...

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
    ) -> Restorer: ...

    def restore(self, noisy: Images, *, device: str, progress: Progress) -> Iterator[np.ndarray]: ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path, device: str) -> Restorer: ...


def guesses(settings: Settings | type[Settings], prefix: str = "") -> dict[str, str]:
    """Dotted field name -> why its value is ours, for every field whose metadata carries `guess`."""
    kind = settings if isinstance(settings, type) else type(settings)
    found: dict[str, str] = {}
    for name, field in kind.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and "guess" in extra:
            found[prefix + name] = str(extra["guess"])
        value = field.annotation if isinstance(settings, type) else getattr(settings, name)
        if isinstance(value, Settings) or (isinstance(value, type) and issubclass(value, Settings)):
            found.update(guesses(value, f"{prefix}{name}."))
    return found


def to_tensor(image: np.ndarray, device: str | torch.device = "cpu") -> Tensor:
    """uint8 (H, W, 3) -> float32 (1, 3, H, W) in [0, 1]."""
    array = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
    return torch.from_numpy(array).to(device).float().div_(255)


def to_image(tensor: Tensor) -> np.ndarray:
    """float (3, H, W) or (1, 3, H, W) -> uint8 (H, W, 3), clamped to [0, 1] and rounded to nearest."""
    plane = tensor.detach().reshape(tensor.shape[-3:]).float().clamp(0, 1).mul(255).round_()
    return plane.to(torch.uint8).permute(1, 2, 0).cpu().numpy()


def save_checkpoint(folder: Path, name: str, settings: Settings, state: Mapping[str, Tensor]) -> None:
    """Write `model.safetensors` and `settings.json` into `folder` (created if needed), each atomically."""
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}
    write_atomically(folder / "model.safetensors", lambda path: path.write_bytes(save(tensors)))
    text = json.dumps({"system": name, "settings": settings.model_dump(mode="json")}, indent=1) + "\n"
    write_atomically(folder / "settings.json", lambda path: path.write_text(text))


def load_checkpoint(folder: Path, name: str, kind: type[S]) -> tuple[S, dict[str, Tensor]]:
    """Settings and tensors of a folder written by `save_checkpoint`.

    Raises:
        CheckpointError: a file is missing, broken, or belongs to another system.
    """
    path = folder / "settings.json"
    if not path.is_file():
        raise CheckpointError(f"{path} is missing", "a checkpoint folder with settings.json and model.safetensors")
    try:
        head = json.loads(path.read_text())
        system, values = head["system"], head["settings"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is broken: {error}", "keys 'system' and 'settings'") from error
    if system != name:
        raise CheckpointError(f"{path} belongs to {system!r}", f"a checkpoint of {name!r}")
    try:
        settings = kind.model_validate(values)
    except (SenmError, ValidationError) as error:
        raise CheckpointError(f"{path} holds settings that {name!r} does not know: {error}") from error
    return settings, read_state_dict(folder / "model.safetensors")


def load_state(network: nn.Module, state: Mapping[str, Tensor], file: Path | str) -> None:
    """Load `state` strictly into `network`; the error names the file and the first layer that differs."""
    mine = network.state_dict()
    for key, value in mine.items():
        if key not in state:
            raise CheckpointError(f"{file} lacks layer {key!r}", f"shape {tuple(value.shape)}", "use the matching file")
        if state[key].shape != value.shape:
            raise CheckpointError(
                f"{file}: layer {key!r} has shape {tuple(state[key].shape)}",
                f"shape {tuple(value.shape)}",
                "use the file that belongs to these settings",
            )
    extra = next((key for key in state if key not in mine), None)
    if extra is not None:
        raise CheckpointError(f"{file} holds layer {extra!r}, which the network does not have", "the network's layers")
    network.load_state_dict(dict(state))


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters; buffers are left out."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)

"""SeNM-VAE itself and the fully paired network, under the protocol that all noise models share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors.torch import save_file

from baselines.base import Capabilities, Scale, torch_device
from senm import level as levels
from senm.checkpoint import (
    level_from_authors,
    level_to_authors,
    paired_from_authors,
    read_state_dict,
    semi_from_authors,
    write_atomically,
)
from senm.config import AUTHORS, PAIRED, PAIRED_PRESETS, PRESETS, NoiseModelSettings, PairedModelSettings, Settings
from senm.data.domains import Domains
from senm.data.pool import Images, Pairs
from senm.errors import CheckpointError
from senm.level import LevelNet
from senm.model import SeNMVAE
from senm.paired import PairedVAE
from senm.progress import Progress
from senm.tensorboard import observer
from senm.train import Training

MOST_LEVELS = 512


def measured_levels(pairs: Pairs) -> list[float]:
    """std(noisy - clean) of up to `MOST_LEVELS` pairs, in [0, 1] units."""
    step = max(1, len(pairs) // MOST_LEVELS)
    picked = range(0, len(pairs), step)
    return [
        float((pairs.noisy[i].astype(np.float32) / 255 - pairs.clean[i].astype(np.float32) / 255).std(ddof=1))
        for i in picked
    ]


@torch.inference_mode()
def predicted_levels(net: LevelNet, noisy: Images, crop: int, device: torch.device) -> list[float]:
    """Predicted levels of up to `MOST_LEVELS` noisy images, from a centre crop of each, none below 0."""
    step = max(1, len(noisy) // MOST_LEVELS)
    found = []
    for i in range(0, len(noisy), step):
        image = noisy[i]
        top, left = (max(0, (side - crop) // 2) for side in image.shape[:2])
        window = np.ascontiguousarray(image[top : top + crop, left : left + crop].transpose(2, 0, 1))
        found.append(max(0.0, float(net(torch.from_numpy(window)[None].to(device).float().div(255)))))
    return found


class _Sampled:
    """What both networks share: sampling with levels from their source, and the checkpoint folder."""

    name: ClassVar[str]
    network: SeNMVAE | PairedVAE
    settings: NoiseModelSettings | PairedModelSettings
    levels: list[float]

    def level_of(self, seed: int) -> Callable[[str], float]:
        """The level of an image, by its name, from the settings' level source."""
        if self.settings.level == "sidd_line":
            return lambda name: levels.sidd_line(seed, name)
        if not self.levels:
            raise CheckpointError(
                f"{self.name} has no {self.settings.level} levels", "a model fitted on noisy images or pairs",
                "fit again, or set level to sidd_line",
            )
        return lambda name: levels.from_list(self.levels, seed, name)

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Noisy uint8 (H, W, 3) images in the order of `clean`; noise depends on (seed, image name) only."""
        from senm.sample import sample_images

        return sample_images(
            self.network, clean, levels=self.level_of(seed), seed=seed, device=device,
            normalize=self.settings.normalize, progress=progress,
        )

    def save(self, folder: Path, half: bool = False) -> None:
        """Write the network in the authors' layout, settings and levels; `half` stores float16."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {k: v.detach().cpu().to(torch.float16 if half else v.dtype).contiguous()
                 for k, v in self.network.to_authors().items()}
        write_atomically(folder / "model.safetensors", lambda path: save_file(state, path))
        (folder / "settings.json").write_text(self.settings.model_dump_json(indent=1))
        (folder / "levels.json").write_text(json.dumps([round(level, 6) for level in self.levels]))


def read_json(folder: Path, name: str) -> Any:
    """A JSON file of a checkpoint folder.

    Raises:
        CheckpointError: missing or broken.
    """
    try:
        return json.loads((folder / name).read_text())
    except (OSError, ValueError) as error:
        reason = type(error).__name__
        raise CheckpointError(f"{folder / name} cannot be read ({reason})", "a checkpoint folder") from None


def same_size(folder: Path, found: Settings, wanted: Settings) -> None:
    """Check that the weights of a checkpoint folder have the size that its settings say."""
    if found != wanted:
        raise CheckpointError(f"{folder} holds a network of {found}", f"{wanted}, as its settings.json says")


class SeNMVAEModel(_Sampled):
    """The semi-supervised model."""

    name = "senm-vae"
    capabilities = Capabilities("noise", uses_unpaired=True)

    def __init__(self, network: SeNMVAE, settings: NoiseModelSettings, levels: list[float],
                 level_net: LevelNet | None = None, health: dict[str, Any] | None = None) -> None:
        self.network, self.settings, self.levels = network.eval(), settings, levels
        self.level_net, self.health = level_net, health or {}

    @classmethod
    def default_settings(cls, scale: Scale) -> NoiseModelSettings:
        """The authors' dialect at paper scale, smaller networks below."""
        return AUTHORS if scale == "paper" else PRESETS[scale]

    @classmethod
    def fit(cls, domains: Domains, settings: Settings, *, seed: int, device: str, workdir: Path,
            progress: Progress) -> SeNMVAEModel:
        """Train on the three domains, resuming from `workdir`."""
        assert isinstance(settings, NoiseModelSettings)
        done = Training(settings, domains, seed=seed, device=str(torch_device(device))).run(
            workdir, progress, observer(workdir.name))
        assert isinstance(done.model, SeNMVAE)
        net = done.level_net.eval()
        found = measured_levels(domains.paired)
        if settings.level == "predicted" and len(domains.target) and len(domains.paired):
            found = predicted_levels(net, domains.target, settings.train.crop, done.device)
        return cls(done.model, settings, found, net, dict(vars(done.health)))

    def save(self, folder: Path, half: bool = False) -> None:
        """Also writes the level network, except in a half-precision release."""
        super().save(folder, half)
        if self.level_net is not None and not half:
            state = {k: v.cpu().contiguous() for k, v in level_to_authors(self.level_net).items()}
            write_atomically(folder / "level_net.safetensors", lambda path: save_file(state, path))

    @classmethod
    def load(cls, folder: Path, device: str) -> SeNMVAEModel:
        """Read a checkpoint folder.

        Raises:
            CheckpointError: missing, broken or of another layout.
        """
        settings = NoiseModelSettings(**read_json(folder, "settings.json"))
        network = semi_from_authors(read_state_dict(folder / "model.safetensors")).float().to(torch_device(device))
        same_size(folder, network.settings, settings.network)
        net = folder / "level_net.safetensors"
        level_net = level_from_authors(net).to(torch_device(device)).eval() if net.is_file() else None
        return cls(network, settings, read_json(folder, "levels.json"), level_net)


class PairedModel(_Sampled):
    """The fully paired network of the 100 % rows."""

    name = "senm-paired"
    capabilities = Capabilities("noise", needs_pairs=True)

    def __init__(self, network: PairedVAE, settings: PairedModelSettings, levels: list[float],
                 health: dict[str, Any] | None = None) -> None:
        self.network, self.settings, self.levels = network.eval(), settings, levels
        self.health = health or {}

    @classmethod
    def default_settings(cls, scale: Scale) -> PairedModelSettings:
        """The authors' settings at paper scale, smaller networks below."""
        return PAIRED if scale == "paper" else PAIRED_PRESETS[scale]

    @classmethod
    def fit(cls, domains: Domains, settings: Settings, *, seed: int, device: str, workdir: Path,
            progress: Progress) -> PairedModel:
        """Train on the pairs, resuming from `workdir`."""
        assert isinstance(settings, PairedModelSettings)
        done = Training(settings, domains, seed=seed, device=str(torch_device(device))).run(
            workdir, progress, observer(workdir.name))
        assert isinstance(done.model, PairedVAE)
        return cls(done.model, settings, measured_levels(domains.paired), dict(vars(done.health)))

    @classmethod
    def load(cls, folder: Path, device: str) -> PairedModel:
        """Read a checkpoint folder.

        Raises:
            CheckpointError: missing, broken or of another layout.
        """
        settings = PairedModelSettings(**read_json(folder, "settings.json"))
        network = paired_from_authors(read_state_dict(folder / "model.safetensors")).float().to(torch_device(device))
        same_size(folder, network.settings, settings.network)
        return cls(network, settings, read_json(folder, "levels.json"))

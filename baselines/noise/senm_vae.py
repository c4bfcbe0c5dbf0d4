"""SeNM-VAE itself and the fully paired network, under the protocol that all noise models share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from baselines.base import Capabilities, Scale
from senm.config import AUTHORS, PAIRED, PAIRED_PRESETS, PRESETS, NoiseModelSettings, PairedModelSettings, Settings
from senm.data.domains import Domains
from senm.data.pool import Images
from senm.sampling.trained import Trained
from senm.support.errors import CheckpointError
from senm.support.progress import Progress
from senm.training.tensorboard import observer


class _Model:
    """A trained noise model of senm, by protocol."""

    name: ClassVar[str]
    kind: ClassVar[type[Settings]]

    def __init__(self, trained: Trained) -> None:
        if not isinstance(trained.settings, self.kind):
            raise CheckpointError(f"the checkpoint has {type(trained.settings).__name__}", f"{self.kind.__name__}")
        self.trained, self.settings, self.health = trained, trained.settings, trained.health

    @classmethod
    def fit(cls, domains: Domains, settings: Settings, *, seed: int, device: str, workdir: Path,
            progress: Progress, fabric: Any = None) -> Self:
        """Train, resuming from `workdir`; with `fabric`, as one of its processes."""
        assert isinstance(settings, NoiseModelSettings | PairedModelSettings)
        seen = observer(workdir.name) if fabric is None or fabric.is_global_zero else None
        return cls(Trained.fit(domains, settings, seed=seed, device=device, workdir=workdir, progress=progress,
                               observe=seen, fabric=fabric))

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress,
               sampling: Mapping[str, str] | None = None) -> Iterator[np.ndarray]:
        """Noisy uint8 (H, W, 3) images in the order of `clean`; `sampling` changes the settings of that name."""
        return self.trained.sample(clean, seed=seed, device=device, progress=progress, sampling=sampling)

    def save(self, folder: Path, half: bool = False) -> None:
        """Write the checkpoint folder; `half` stores float16."""
        self.trained.save(folder, half)

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read a checkpoint folder (CheckpointError where it is missing, broken or another's)."""
        return cls(Trained.load(folder, device))


class SeNMVAEModel(_Model):
    """The semi-supervised model."""

    name = "senm-vae"
    kind = NoiseModelSettings
    capabilities = Capabilities("noise", uses_unpaired=True, shares=True)

    @classmethod
    def default_settings(cls, scale: Scale) -> NoiseModelSettings:
        """The authors' dialect at paper scale, smaller networks below."""
        return AUTHORS if scale == "paper" else PRESETS[scale]


class PairedModel(_Model):
    """The fully paired network of the 100 % rows."""

    name = "senm-paired"
    kind = PairedModelSettings
    capabilities = Capabilities("noise", needs_pairs=True, shares=True)

    @classmethod
    def default_settings(cls, scale: Scale) -> PairedModelSettings:
        """The authors' settings at paper scale, smaller networks below."""
        return PAIRED if scale == "paper" else PAIRED_PRESETS[scale]

"""LUD-VAE as a noise model (table 1): learns the noise of one set of photographs for the clean ones of another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

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
from baselines.noise.lud_vae.matching import AIM19, Matching
from baselines.noise.lud_vae.networks import LUDVAENetwork
from baselines.noise.lud_vae.training import LUDVAESettings, Training
from senm.checkpoint import read_state_dict
from senm.data.digest import content
from senm.data.mapped import mapped
from senm.support import seeding
from senm.support.device import torch_device
from senm.support.errors import CheckpointError

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images
    from senm.support.progress import Progress

STATISTICS = "matching"


class LUDVAE:
    """The network, and the statistics of the two domains where they are matched."""

    name: ClassVar[str] = "lud-vae"
    capabilities: ClassVar[Capabilities] = Capabilities(kind="noise", uses_unpaired=True)

    def __init__(self, network: LUDVAENetwork, settings: LUDVAESettings, matching: Matching | None = None) -> None:
        self.network, self.settings, self.matching = network.eval(), settings, matching

    @classmethod
    def default_settings(cls, scale: Scale) -> LUDVAESettings:
        """`paper` is the published configuration for SIDD; the others are smaller and shorter."""
        return scaled(LUDVAESettings(), scale)

    @classmethod
    def fit(
        cls, domains: Domains, settings: LUDVAESettings, *, seed: int, device: str, workdir: Path, progress: Progress
    ) -> Self:
        """Train on clean images of the source and noisy images of the target domain (sides of pairs join unpaired).

        Raises:
            DataError: one side is empty, an image is smaller than the crop, or a channel to be matched is flat.
            TrainingError: a loss stays non-finite.
        """
        domains = mapped(domains, workdir)
        run, train = Training(domains, settings, seed, device, cls.name), settings.training
        run_loop(
            run.step, run.parts, steps=train.steps, workdir=workdir,
            identity=identity(settings, cls.name, seed, content(domains.source, domains.target, domains.paired)),
            progress=progress, label=f"train {cls.name}", log_every=train.log_every,
            checkpoint_every=train.checkpoint_every,
        )
        return cls(run.network, settings, run.matching)

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Noisy versions in order, whole images at once; an image's noise depends on the seed and its name only."""
        place = torch_device(device)
        network, hiding = self.network.to(place).eval(), self.settings.hiding
        low, high = hiding.generation
        with progress.task(f"sample with {self.name}", len(clean)) as task:
            for index, name in enumerate(clean.names):
                draw = seeding.generator("sample", seed, name, self.name)
                x = to_tensor(clean[index], place)
                is_clean = x.new_zeros(1, 1, 1, 1)
                strength = (low + (high - low) * float(torch.rand((), generator=draw))) / 255
                hidden = x + strength * torch.randn(x.shape, generator=draw).to(place)
                with torch.inference_mode():
                    noisy = network.generate(hidden, is_clean, network.draws(x, draw), hiding.temperature)
                yield to_image(noisy if self.matching is None else self.matching.to_noisy(noisy))
                task.advance()

    def save(self, folder: Path) -> None:
        """Write network and statistics; see `baselines.base.save_checkpoint`."""
        state = self.network.state_dict()
        save_checkpoint(folder, self.name, self.settings, state if self.matching is None else
                        {**state, STATISTICS: self.matching.values})

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read a checkpoint written by `save`.

        Raises:
            CheckpointError: missing, broken or of another layout.
        """
        settings, state = load_checkpoint(folder, cls.name, LUDVAESettings)
        return cls._restored(settings, state, folder / "model.safetensors", device)

    @classmethod
    def from_published(cls, file: Path) -> Self:
        """A published checkpoint, which holds the network only.

        Raises:
            CheckpointError: the file is missing, broken or of another layout.
        """
        settings, state = cls.default_settings("paper"), read_state_dict(file)
        if settings.matching == "aim19":
            state[STATISTICS] = AIM19.values
        return cls._restored(settings, state, file, "cpu")

    @classmethod
    def _restored(cls, settings: LUDVAESettings, state: dict[str, Tensor], file: Path, device: str) -> Self:
        matching = None
        if settings.matching != "none":
            values = state.pop(STATISTICS, torch.zeros(0))
            if values.shape != (2, 2, 3):
                raise CheckpointError(f"{file} lacks the statistics of its domains", "a tensor 'matching' (2, 2, 3)")
            matching = Matching(values.double())
        network = LUDVAENetwork(settings.network.width)
        load_state(network, state, file)
        return cls(network.to(torch_device(device)), settings, matching)


def scaled(paper: LUDVAESettings, scale: Scale) -> LUDVAESettings:
    """A published configuration at another scale. The divergence then gets its weight sooner."""
    if scale == "paper":
        return paper
    short = paper.but(
        network={"width": 16},
        training={"steps": 15_000, "batch": 4, "crop": 32, "lr": 2e-3, "milestones": (9_000, 12_000, 14_000),
                  "kl_rise": 2_000, "log_every": 50, "checkpoint_every": 250},
    )
    if scale == "short":
        return short
    return short.but(
        network={"width": 8},
        training={"steps": 30, "batch": 4, "milestones": (20,), "kl_rise": 10, "log_every": 5, "checkpoint_every": 15},
    )

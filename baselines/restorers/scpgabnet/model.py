"""SCPGabNet (Lin et al., ICCV 2023): denoising learnt from unpaired clean and noisy photographs (table 2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.base import Capabilities, Scale
from baselines.fitting.loop import identity, run_loop
from baselines.fitting.restorer import NetworkRestorer, weights_hash
from baselines.restorers.deamnet.networks import DeamNetwork
from baselines.restorers.scpgabnet.losses import Networks
from baselines.restorers.scpgabnet.networks import Discriminator, Generator, HighPass
from baselines.restorers.scpgabnet.training import Collaboration, SCPGabNetTraining
from senm.checkpoint import read_part
from senm.config import Settings
from senm.data.digest import content
from senm.data.domains import Domains
from senm.data.mapped import mapped
from senm.support import seeding
from senm.support.errors import DataError

if TYPE_CHECKING:
    from senm.support.progress import Progress


class SCPGabNetNetwork(Settings):
    """Sizes of the denoiser (DeamNet), the generator and the discriminator."""

    width: int = Field(64, ge=1, description="channels of the denoiser")
    squeezed: int = Field(4, ge=1, description="channels in the middle of the denoiser's gates")
    generator: int = Field(64, ge=1, description="channels of the generator")
    blocks: int = Field(6, ge=1, description="residual blocks of the generator")
    discriminator: int = Field(64, ge=1, description="channels of the discriminator's first layer")
    high_pass: HighPass = Field(
        "learnt", description="filter before the discriminator: `gaussian` as in the paper, or `learnt` from noise, "
        "which is what the published code runs",
    )


class SCPGabNetSettings(Settings):
    """Everything that defines a trained SCPGabNet."""

    network: SCPGabNetNetwork = SCPGabNetNetwork()
    training: SCPGabNetTraining = SCPGabNetTraining()


class SCPGabNet(NetworkRestorer):
    """The denoiser, 2,228,131 parameters at paper scale; its partners are kept in the training's folder only."""

    name = "scpgabnet"
    settings_type: ClassVar[Any] = SCPGabNetSettings
    capabilities = Capabilities(kind="restorer", needs_pairs=False, uses_unpaired=True)
    multiple = 16

    @classmethod
    def build(cls, settings: SCPGabNetSettings) -> nn.Module:
        return DeamNetwork(settings.network.width, settings.network.squeezed)

    @classmethod
    def default_settings(cls, scale: Scale) -> Any:
        """`paper` is the published recipe; the others are smaller and shorter, with one round."""
        settings = SCPGabNetSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            network={"width": 16, "generator": 16, "blocks": 3, "discriminator": 16},
            training={"plain": 100, "first_stage": 400, "second_stage": 150, "rounds": 1, "batch": 4, "crop": 32,
                      "lr": 1e-3, "log_every": 50, "checkpoint_every": 150},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 8, "generator": 8, "blocks": 1, "discriminator": 8},
            training={"plain": 0, "first_stage": 8, "second_stage": 4, "batch": 2, "log_every": 5,
                      "checkpoint_every": 5},
        )

    @classmethod
    def published_state(cls, file: Path) -> dict[str, Tensor]:
        """The denoiser of a published file, or of one of ours."""
        return published_denoiser(file)

    @classmethod
    def fit(  # type: ignore[override]
        cls,
        domains: Domains,
        settings: SCPGabNetSettings,
        *,
        seed: int,
        device: str,
        workdir: Path,
        progress: Progress,
        start: Path | None = None,
    ) -> Self:
        """Train on clean images of the source and noisy images of the target domain (sides of pairs join unpaired).

        Args:
            start: weights that the denoiser starts from.

        Raises:
            CheckpointError: `workdir` holds the state of another training, or `start` has another layout.
            DataError: one side is empty, or an image is smaller than the crop.
            TrainingError: a loss stays non-finite.
        """
        if not isinstance(domains, Domains):
            raise DataError(f"the training data are {type(domains).__name__}", "clean and noisy images, unpaired")
        size, train = settings.network, settings.training
        denoiser, frozen = cls.initialised(settings, seed, start), cls.build(settings)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("initialise", cls.name, "partners", seed))
            generator = Generator(size.generator, size.blocks)
            networks = Networks(denoiser, generator, Discriminator(size.discriminator, size.high_pass), frozen)
        domains = mapped(domains, workdir)
        run = Collaboration(networks, domains, train, seed, device)
        run_loop(
            run.step, run.parts, steps=train.steps, workdir=workdir,
            identity=identity(settings, seed, weights_hash(start),
                              content(domains.source, domains.target, domains.paired)),
            progress=progress, label=f"train {cls.name}", log_every=train.log_every,
            checkpoint_every=train.checkpoint_every,
        )
        return cls(denoiser.eval(), settings)  # type: ignore[arg-type]


def published_denoiser(file: Path) -> dict[str, Tensor]:
    """The denoiser's state dict from a published file, which holds all networks by letter, or from a file of its own.

    Raises:
        CheckpointError: missing, broken, or neither.
    """
    return read_part(file, "model_state_dict", "D")

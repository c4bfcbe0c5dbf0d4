"""ESRGAN (Wang et al., 2018) for x4 super-resolution (tables 4 and 5), with the recipe of DeFlow and LUD-VAE.

A PSNR-trained RRDBNet, then 60k steps of pixel, feature and adversarial terms. The PSNR start is a published file at
paper scale (`start`), or trained here first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.base import Capabilities, Scale
from baselines.fitting.loop import Guard, identity, run_loop
from baselines.fitting.pairs import PairSampler
from baselines.fitting.restorer import NetworkRestorer, RestorerSettings, weights_hash
from baselines.fitting.training import LOSSES, TrainingSettings, learning_rate, make_optimiser, precision, tf32, train
from baselines.super_resolution.esrgan.parts import Discriminator, features, relativistic
from senm.config import Settings
from senm.data.digest import content
from senm.data.mapped import mapped_pairs
from senm.support import seeding
from senm.support.device import torch_device

if TYPE_CHECKING:
    from senm.data.pool import Pairs
    from senm.support.progress import Progress

OTHERS = "ours: the paper says 60k steps of Adam; the value that DeFlow, LUD-VAE and RealSR share"
START = "ours: used only where no published RRDB_PSNR_x4.pth is given"
FACTOR = 4


class RRDBNetwork(Settings):
    """Size of the generator (growth 32 is fixed)."""

    width: int = Field(64, ge=1)
    blocks: int = Field(23, ge=1)


class PSNRTraining(TrainingSettings):
    """The L1 training that the adversarial one starts from; 0 steps leaves it out."""

    steps: int = Field(200_000, ge=0, json_schema_extra={"guess": START})
    batch: int = Field(16, ge=1, json_schema_extra={"guess": START})
    crop: int = Field(32, ge=8, json_schema_extra={"guess": START})
    lr: float = Field(2e-4, gt=0, json_schema_extra={"guess": START})


class GANTraining(TrainingSettings):
    """The adversarial stage. `crop` is the side of a low-resolution crop; `micro_batch` and `ema` are not used."""

    steps: int = Field(60_000, ge=1)
    batch: int = Field(16, ge=1, json_schema_extra={"guess": OTHERS})
    crop: int = Field(32, ge=8, json_schema_extra={"guess": OTHERS})
    schedule: Literal["constant", "steps", "cosine"] = Field("steps", json_schema_extra={"guess": OTHERS})
    milestones: tuple[int, ...] = Field((5_000, 10_000, 20_000, 30_000), json_schema_extra={"guess": OTHERS})
    pixel_weight: float = Field(1e-2, ge=0, description="L1", json_schema_extra={"guess": OTHERS})
    feature_weight: float = Field(1.0, ge=0, description="L1 of features", json_schema_extra={"guess": OTHERS})
    gan_weight: float = Field(5e-3, ge=0, json_schema_extra={"guess": OTHERS})
    features: Literal["vgg19", "random-features"] = Field(
        "vgg19", description="VGG19 conv5_4 before activation, or a fixed random network where its weights are absent",
        json_schema_extra={"guess": OTHERS},
    )
    critic_width: int = Field(64, ge=1, json_schema_extra={"guess": OTHERS})
    stop_at: int | None = Field(
        None, ge=1, description="use the weights of this step; the schedule stays that of the full length",
        json_schema_extra={"guess": "ours: the last step. DeFlow and LUD-VAE report steps 10k to 50k of the same 60k"},
    )


class ESRGANSettings(RestorerSettings):
    """Everything that defines a trained ESRGAN, apart from a published start."""

    network: RRDBNetwork = RRDBNetwork()
    psnr: PSNRTraining = PSNRTraining()
    training: GANTraining = GANTraining()


class ESRGAN(NetworkRestorer):
    """Enlarges four times; 16,697,987 parameters at paper scale."""

    name = "esrgan"
    settings_type = ESRGANSettings
    capabilities = Capabilities(kind="restorer", needs_pairs=True, factor=FACTOR)
    whole = 1 << 16
    tile = 192
    overlap = 16

    @classmethod
    def build(cls, settings: ESRGANSettings) -> nn.Module:
        from spandrel.architectures.ESRGAN import ESRGAN as Network

        size = settings.network
        return Network(in_nc=3, out_nc=3, num_filters=size.width, num_blocks=size.blocks, scale=FACTOR)

    @classmethod
    def translate(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The layouts of xinntao/ESRGAN and BasicSR become the one used here."""
        from spandrel.architectures.ESRGAN import ESRGANArch

        arch = ESRGANArch()
        if "model.0.weight" in state or not arch.detect(state):
            return state
        return dict(arch.load(state).model.state_dict())

    @classmethod
    def default_settings(cls, scale: Scale) -> ESRGANSettings:
        settings = ESRGANSettings()
        if scale == "paper":
            return settings
        few = {"log_every": 50, "checkpoint_every": 250}
        short = settings.but(
            network={"width": 32, "blocks": 3},
            psnr={"steps": 1_500, "batch": 8, "crop": 24, "lr": 5e-4, **few},
            training={"steps": 500, "batch": 8, "crop": 24, "milestones": (125, 250, 375), "critic_width": 16,
                      "features": "random-features", **few},
        )
        if scale == "short":
            return short
        return short.but(
            network={"width": 16, "blocks": 1},
            psnr={"steps": 50, "batch": 4, "crop": 16, "lr": 2e-3, "log_every": 10},
            training={"steps": 10, "batch": 4, "crop": 16, "milestones": (5,), "critic_width": 8, "log_every": 5},
        )

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
        """Train the PSNR start (kept in `workdir`/psnr) unless `start` is given, then the adversarial stage.

        Raises:
            DataError: no pairs, an image smaller than the crop, or a clean side that is not four times larger.
            MachineError: the device or the VGG19 weights are missing.
            TrainingError: a loss stays non-finite.
        """
        torch_device(device)
        sources = [mapped_pairs(pairs, workdir, f"pairs{i}") for i, pairs in enumerate(sources)]
        network = cls.initialised(settings, seed, start)
        if start is None and settings.psnr.steps:
            network = train(
                network, sources, settings.psnr, seed=seed, device=device, workdir=workdir / "psnr",
                progress=progress, label="train esrgan (PSNR start)", factor=FACTOR,
            )
        stage = settings.training
        run = Adversarial(network, sources, stage, seed, device)
        with tf32(stage.precision == "tf32"):
            run_loop(
                run.step, run.parts, steps=min(stage.stop_at or stage.steps, stage.steps), workdir=workdir,
                identity=identity(settings, seed, weights_hash(start), content(*sources)),
                progress=progress, label="train esrgan", log_every=stage.log_every,
                checkpoint_every=stage.checkpoint_every,
            )
        return cls(run.network, settings)


class Adversarial:
    """State and step of the adversarial stage."""

    def __init__(
        self, network: nn.Module, sources: Sequence[Pairs], settings: GANTraining, seed: int, device: str
    ) -> None:
        self.device, self.settings = torch_device(device), settings
        self.sampler = PairSampler(
            sources, mixing=settings.mixing, batch=settings.batch, crop=settings.crop,
            seed=seeding.seed("esrgan", seed), turn=settings.augment, factor=FACTOR,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("initialise", "esrgan discriminator", seed))
            critic = Discriminator(settings.critic_width, FACTOR * settings.crop)
        self.network, self.critic = network.to(self.device).train(), critic.to(self.device).train()
        self.features = features(settings.features).to(self.device)
        self.optimisers = [make_optimiser(net, settings) for net in (self.network, self.critic)]
        self.guard = Guard(settings.skip_limit)
        self.parts: dict[str, Any] = {
            "network": self.network, "critic": self.critic, "optimiser": self.optimisers[0],
            "critic optimiser": self.optimisers[1], "guard": self.guard,
        }

    def step(self, number: int) -> dict[str, float]:
        """One step of the generator, then one of the discriminator; returns what is logged."""
        settings = self.settings
        low, high = (t.to(self.device, non_blocking=True) for t in self.sampler.batch(number))
        rate = learning_rate(settings, number)
        for optimiser in self.optimisers:
            optimiser.param_groups[0]["lr"] = rate
        with precision(settings.precision, self.device):
            fake = self.network(low).float()
            terms = {
                "pixel": LOSSES[settings.loss](fake, high),
                "features": nn.functional.l1_loss(self.features(fake).float(), self.features(high).float()),
                "gan": relativistic(self.critic(fake).float(), self.critic(high).detach().float()),
            }
        weights = {"pixel": settings.pixel_weight, "features": settings.feature_weight, "gan": settings.gan_weight}
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        values = {name: float(term.detach()) for name, term in terms.items()}
        self._update(0, self.network, loss, number, values)
        with precision(settings.precision, self.device):
            judged = relativistic(self.critic(high).float(), self.critic(fake.detach()).float())
        self._update(1, self.critic, judged, number, {"discriminator": float(judged.detach())})
        return {
            "loss": float(loss.detach()), **values, "discriminator": float(judged.detach()), "lr": rate,
            "skipped": self.guard.skipped,
        }

    def _update(self, which: int, network: nn.Module, loss: Tensor, number: int, terms: dict[str, float]) -> None:
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        norm = torch.stack([g.norm() for g in gradients]).norm()
        if self.guard.allows(number, {**terms, "gradient norm": float(norm)}):
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter.grad = gradient
            self.optimisers[which].step()

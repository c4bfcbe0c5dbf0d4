"""Flow-sRGB as a noise model (Kousha et al., CVPR 2022, arXiv 2206.00812): settings, training, sampling, weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from baselines.base import Capabilities, Scale, load_checkpoint, load_state, save_checkpoint
from baselines.fitting.loop import identity, run_loop
from baselines.noise.flow_srgb.conditions import Conditions, OtherIso, Unnamed
from baselines.noise.flow_srgb.networks import CAMERAS, ISOS, NoiseFlow, to_levels
from baselines.noise.flow_srgb.training import FlowTraining, Likelihood, Patches, to_network
from senm.checkpoint import read_state_dict
from senm.config import Settings
from senm.data.digest import content
from senm.data.mapped import mapped_pairs
from senm.support import seeding
from senm.support.device import torch_device
from senm.support.errors import CheckpointError, TrainingError

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images
    from senm.support.progress import Progress


class FlowSettings(Settings):
    """Everything that defines a trained Flow-sRGB.

    `embedding`: the published network normalises the features of the condition over a batch that holds one condition,
    so their variance is 0 in training, and in evaluation differences between conditions grow about thirtyfold a layer;
    samples of a briefly trained model overflow. `plain` leaves these normalisations out.
    """

    embedding: Literal["batch_norm", "plain"] = "batch_norm"
    unnamed: Unnamed = Field(
        "levels", description="conditions where names tell none: fifths of the pairs by noise level, or one",
        json_schema_extra={"guess": "ours: the paper knows camera and ISO of every image"},
    )
    other_iso: OtherIso = Field(
        "nearest", description="an ISO outside the five of the model, on a logarithmic scale, or an error",
        json_schema_extra={"guess": "ours: the published code has no row for another ISO"},
    )
    tile: int = Field(
        32, ge=4,
        description="side of the tiles in which an image is sampled: the network marks the border of its patch",
        json_schema_extra={"guess": "ours: that of the training patches, whose statistics the model has learnt"},
    )
    training: FlowTraining = FlowTraining()


class FlowSRGB:
    """The flow, sampled from noise to image."""

    name = "flow-srgb"
    capabilities = Capabilities(kind="noise", needs_pairs=True)

    def __init__(self, network: NoiseFlow, settings: FlowSettings, conditions: Conditions) -> None:
        self.network, self.settings, self.conditions = network.eval(), settings, conditions

    @classmethod
    def default_settings(cls, scale: Scale) -> FlowSettings:
        """`paper` is the published recipe; the network is so small that the others only train it for a shorter time."""
        settings = FlowSettings()
        if scale == "paper":
            return settings
        short = settings.but(
            embedding="plain",
            training={"steps": 2_500, "batch": 16, "order": "random", "lr": 3e-3, "log_every": 50,
                      "checkpoint_every": 500},
        )
        if scale == "short":
            return short
        return short.but(training={"steps": 30, "batch": 8, "log_every": 5, "checkpoint_every": 15})

    @classmethod
    def fit(
        cls, domains: Domains, settings: FlowSettings, *, seed: int, device: str, workdir: Path, progress: Progress
    ) -> Self:
        """Train on the pairs; source and target domain are not used.

        Raises:
            DataError: no pairs, sides that differ, an image smaller than a patch, an unknown camera or ISO.
            TrainingError: the likelihood stays non-finite.
        """
        pairs, train, place = mapped_pairs(domains.paired, workdir, "pairs"), settings.training, torch_device(device)
        conditions = Conditions.of(pairs, settings.unnamed, settings.other_iso)
        patches = Patches(pairs, conditions, train, seed)
        run = Likelihood(build(settings, seed), patches, train, place)
        run_loop(
            run.step, run.parts, steps=train.steps, workdir=workdir, identity=identity(settings, seed, content(pairs)),
            progress=progress, label=f"train {cls.name}", log_every=train.log_every,
            checkpoint_every=train.checkpoint_every,
        )
        return cls(run.network, settings, conditions)

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Noisy versions in order; an image's noise and condition depend on the seed and its name only.

        Raises:
            DataError: a name tells a camera, or an ISO, that the model does not know.
            TrainingError: the samples are not finite.
        """
        place = torch_device(device)
        network = self.network.to(place).eval()
        condition = self.conditions.source(seed, clean, self.settings.unnamed, self.settings.other_iso)
        with progress.task(f"sample with {self.name}", len(clean)) as task:
            for index, name in enumerate(clean.names):
                draw = seeding.generator("sample", seed, name, self.name)
                tiles, shape = cut(clean[index], self.settings.tile)
                levels = self.draw(network, to_network(tiles).to(place), condition(name), draw, name)
                yield join(levels.to(torch.uint8).cpu().numpy().transpose(0, 2, 3, 1)[..., ::-1], shape)
                task.advance()

    @torch.inference_mode()
    def draw(
        self, network: NoiseFlow, tiles: Tensor, condition: np.ndarray, draw: torch.Generator, name: str
    ) -> Tensor:
        """Noisy levels of tiles (B, 3, t, t), all under one condition (2,)."""
        uniform, normal = torch.rand(tiles.shape, generator=draw), torch.randn(tiles.shape, generator=draw)
        labels = torch.from_numpy(condition).to(tiles.device).expand(len(tiles), 2)
        image = network.generate(tiles, labels, uniform.to(tiles.device), normal.to(tiles.device))
        if not image.isfinite().all():
            iso, camera = ISOS[condition[0]], CAMERAS[condition[1]]
            raise TrainingError(f"the noise of {name} (ISO {iso}, camera {camera}) is not finite", "finite samples",
                                "train longer, or with embedding=plain")
        return to_levels(image)

    def save(self, folder: Path) -> None:
        """Write the flow and the conditions of its training pairs; see `baselines.base.save_checkpoint`."""
        save_checkpoint(folder, self.name, self.settings, {**self.network.state_dict(), **self.conditions.state()})

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read a checkpoint written by `save`.

        Raises:
            CheckpointError: missing, broken or of another layout.
        """
        settings, state = load_checkpoint(folder, cls.name, FlowSettings)
        conditions = Conditions.from_state(state)
        network = build(settings)
        layers = {key: value for key, value in state.items() if not key.startswith("conditions.")}
        load_state(network, layers, folder / "model.safetensors")
        return cls(network.to(torch_device(device)), settings, conditions)

    @classmethod
    def from_published(cls, file: Path) -> Self:
        """A published checkpoint; names that tell no camera and ISO draw one of the 25 conditions.

        Raises:
            CheckpointError: the file is missing, broken, of another layout or of another flow.
        """
        settings = FlowSettings()
        network, state = build(settings), read_state_dict(file)
        load_state(network, state, file)
        if any(not value.isfinite().all() for value in state.values()):
            raise CheckpointError(f"{file} holds values that are not finite", "a finished training")
        table = np.array([(iso, camera) for iso in range(len(ISOS)) for camera in range(len(CAMERAS))])
        return cls(network, settings, Conditions(table, np.zeros(0)))


def build(settings: FlowSettings, seed: int = 0) -> NoiseFlow:
    """A new network of these settings; `seed` names its initial values."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.seed("initialise", FlowSRGB.name, seed))
        return NoiseFlow(norm=settings.embedding == "batch_norm")


def cut(image: np.ndarray, side: int) -> tuple[np.ndarray, tuple[int, int]]:
    """(H, W, 3) -> tiles (n, side, side, 3) in raster order, mirrored beyond the border, and (H, W)."""
    height, width = image.shape[:2]
    grown = np.pad(image, ((0, -height % side), (0, -width % side), (0, 0)), mode="symmetric")
    rows, columns = grown.shape[0] // side, grown.shape[1] // side
    tiles = grown.reshape(rows, side, columns, side, 3).transpose(0, 2, 1, 3, 4)
    return tiles.reshape(-1, side, side, 3), (height, width)


def join(tiles: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Undo `cut`."""
    side = tiles.shape[1]
    rows, columns = -(-shape[0] // side), -(-shape[1] // side)
    grown = tiles.reshape(rows, columns, side, side, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(grown.reshape(rows * side, columns * side, 3)[: shape[0], : shape[1]])

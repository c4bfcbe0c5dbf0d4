"""Training of DeFlow: crops of both domains with their reductions, and one likelihood for all of them (eq. 8)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from baselines.base import load_state
from baselines.fitting.loop import Guard
from baselines.noise.deflow.encoder import Encoder
from baselines.noise.deflow.matching import AIM19, Matching, matched, measured
from baselines.noise.deflow.networks import SIDE, DeFlowNetwork, TorchDraws
from senm.checkpoint import read_state_dict
from senm.config import Settings
from senm.data.crops import CropReader
from senm.data.domains import to_tensor
from senm.data.formats.bicubic import reduce
from senm.support import seeding
from senm.support.device import torch_device
from senm.support.errors import DataError, SettingsError

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images

NO_SIDD = "ours: no configuration for SIDD was published; the value of NTIRE 2020"
REACH = 2  # samples of the reduction beyond a crop that its border depends on


class DeFlowSizes(Settings):
    """Sizes of the networks; the defaults are those of NTIRE 2020."""

    scale: Literal[4, 8] = Field(4, description="image over condition", json_schema_extra={"guess": NO_SIDD})
    width: int = Field(64, ge=1, description="channels of the encoder")
    growth: int = Field(32, ge=1, description="growth of the encoder's dense blocks")
    blocks: int = Field(23, ge=1, description="RRDB blocks of the encoder")
    stacked: tuple[int, ...] = Field((1, 8, 15, 22), description="blocks whose outputs join the condition, from 0")
    steps: int = Field(16, ge=1, description="conditional flow steps a level")
    hidden: int = Field(64, ge=1, description="width of the coupling networks", json_schema_extra={"guess": NO_SIDD})
    shift_start: float = Field(
        0.0, ge=0, description="M of the degraded domain starts at this times the identity. All published "
        "configurations say 0, from where M never moves: the shift is then its mean alone",
    )

    @model_validator(mode="after")
    def _stacks_blocks(self) -> DeFlowSizes:
        if not self.stacked or not all(0 <= i < self.blocks for i in self.stacked):
            raise SettingsError(f"network.stacked is {list(self.stacked)}", f"block numbers of 0 to {self.blocks - 1}")
        return self


class DeFlowTraining(Settings):
    """The published recipe of NTIRE 2020.

    The configurations ask for Adam's betas 0.9 and 0.99 under names that never reach the optimiser: 0.9 and 0.999 act.
    """

    steps: int = Field(100_000, ge=1, json_schema_extra={"guess": NO_SIDD})
    batch: int = Field(8, ge=1, json_schema_extra={"guess": NO_SIDD})
    crop: int = Field(160, ge=SIDE, json_schema_extra={"guess": NO_SIDD})
    lr: float = Field(5e-5, gt=0, json_schema_extra={"guess": NO_SIDD})
    betas: tuple[float, float] = (0.9, 0.999)
    halve_at: tuple[float, ...] = Field((0.5, 0.75, 0.9, 0.95), description="shares of the steps")
    matching: Literal["none", "aim19", "measured"] = Field(
        "none", description="channel statistics of degraded images are moved to those of clean ones: not at all, with "
        "the published numbers, or with numbers of the training images", json_schema_extra={"guess": NO_SIDD},
    )
    encoder_file: str = Field(
        "", description="PSNR-trained RRDB weights (RRDB_PSNR_x4.pth, _x8.pth) that the encoder starts from; empty "
        "starts it at random", json_schema_extra={"guess": "ours: the files are not distributed here"},
    )
    skip_limit: int = Field(100, ge=0)
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(1_000, ge=1)

    @model_validator(mode="after")
    def _fits_the_flow(self) -> DeFlowTraining:
        if self.crop % SIDE:
            raise SettingsError(f"training.crop is {self.crop}", f"a multiple of {SIDE}, as three squeezes need")
        return self


class DeFlowSettings(Settings):
    """Everything that defines a trained DeFlow."""

    network: DeFlowSizes = DeFlowSizes()
    training: DeFlowTraining = DeFlowTraining()


def build(settings: DeFlowSettings) -> DeFlowNetwork:
    """A new network of these settings."""
    size = settings.network
    encoder = Encoder(size.scale, size.width, size.growth, size.blocks, size.stacked)
    return DeFlowNetwork(encoder, size.steps, size.hidden, size.shift_start)


class DomainBatch(NamedTuple):
    """Images (B, 3, c, c) and reductions (B, 3, c / scale, c / scale) in [0, 1]; `degraded` is bool (B,)."""

    image: Tensor
    low: Tensor
    degraded: Tensor


class DomainCrops:
    """Crops of both domains, each equally likely for every sample, with the same crop of the reduced whole image.

    Corners lie on the grid of the reduction; one coin a crop mirrors it left to right.

    Raises:
        DataError: one domain is empty, or an image is smaller than the crop.
    """

    def __init__(self, domains: Domains, *, batch: int, crop: int, scale: int, seed: int) -> None:
        self.pools = tuple(
            [pool for pool in pools if len(pool)]
            for pools in ((domains.source, domains.paired.clean), (domains.target, domains.paired.noisy))
        )
        for name, pools in zip(("clean", "noisy"), self.pools, strict=True):
            if not pools:
                raise DataError(f"there are no {name} images", "a source and a target domain, or pairs")
            for pool in pools:
                CropReader(pool, crop)
        self.size, self.crop, self.scale, self.seed = batch, crop, scale, seed

    def batch(self, step: int) -> DomainBatch:
        """The crops of this step."""
        draw = seeding.rng("deflow", self.seed, step)
        degraded = draw.integers(0, 2, self.size)
        crops = [self._crop(self.pools[side], draw) for side in degraded]
        image, low = (to_tensor(np.stack(part)) for part in zip(*crops, strict=True))
        return DomainBatch(image, low, torch.from_numpy(degraded.astype(bool)))

    def _crop(self, pools: list[Images], draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        number = int(draw.integers(sum(map(len, pools))))
        for pool in pools:
            if number < len(pool):
                break
            number -= len(pool)
        whole = pool[number]
        places = [(side - self.crop) // self.scale + 1 for side in whole.shape[:2]]
        row, column = (self.scale * int(place) for place in draw.integers(places))
        image, low = crop_with_reduction(whole, row, column, self.crop, self.scale)
        if draw.integers(2):
            image, low = image[:, ::-1], low[:, ::-1]
        return image, low


def crop_with_reduction(
    whole: np.ndarray, row: int, column: int, crop: int, scale: int
) -> tuple[np.ndarray, np.ndarray]:
    """A crop of an image (H, W, 3) and the same crop of its bicubic reduction, for a corner on the reduction's grid.

    Only what the crop's reduction depends on is reduced; the result is that of reducing the whole image, cut at the
    bottom and right to a multiple of `scale`.
    """
    spans, inner = [], []
    for at, side in ((row, whole.shape[0]), (column, whole.shape[1])):
        first = max(at - REACH * scale, 0)
        spans.append(slice(first, min(at + crop + REACH * scale, side - side % scale)))
        inner.append(slice((at - first) // scale, (at - first + crop) // scale))
    low = reduce(whole[spans[0], spans[1]], scale)
    return whole[row : row + crop, column : column + crop], low[inner[0], inner[1]]


class Likelihood:
    """State and step of the training; every draw is a function of (seed, step)."""

    def __init__(self, domains: Domains, settings: DeFlowSettings, seed: int, device: str) -> None:
        train, scale = settings.training, settings.network.scale
        self.device, self.seed, self.settings = torch_device(device), seed, train
        self.sampler = DomainCrops(domains, batch=train.batch, crop=train.crop, scale=scale, seed=seed)
        self.matching = statistics(settings, self.sampler.pools)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("initialise", "deflow", seed))
            self.network = build(settings).to(self.device).train()
        if train.encoder_file:
            load_state(self.network.RRDB, read_state_dict(Path(train.encoder_file)), train.encoder_file)
        encoder = list(self.network.RRDB.parameters())
        flow = [p for name, p in self.network.named_parameters() if p.requires_grad and not name.startswith("RRDB.")]
        self.optimiser = torch.optim.Adam([{"params": flow}, {"params": encoder}], lr=train.lr, betas=train.betas)
        self.guard = Guard(train.skip_limit)
        self.parts: dict[str, Any] = {"network": self.network, "optimiser": self.optimiser, "guard": self.guard}

    def step(self, number: int) -> dict[str, float]:
        """One step; returns what is logged, the loss in bits a pixel."""
        train = self.settings
        rate = train.lr * 0.5 ** sum(number >= share * train.steps for share in train.halve_at)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        image, low, degraded = (part.to(self.device) for part in self.match(self.sampler.batch(number)))
        draws = TorchDraws(seeding.generator("deflow", "step", self.seed, number), self.device)
        each = self.network(image, low, degraded, draws)
        loss = each.mean()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.network.parameters() if p.grad is not None])
        if self.guard.allows(number, {"loss": float(loss.detach()), "gradient norm": float(norm)}):
            self.optimiser.step()
        return {"loss": float(loss.detach()), "lr": rate, "skipped": self.guard.skipped}

    def match(self, batch: DomainBatch) -> DomainBatch:
        """Degraded images and their reductions with the statistics of clean ones, clamped to [0, 1]."""
        table = self.matching
        if table is None:
            return batch
        chosen = batch.degraded[:, None, None, None]
        image = matched(batch.image, table.degraded, table.clean).clamp(0, 1)
        low = matched(batch.low, table.degraded_low, table.clean_low).clamp(0, 1)
        return DomainBatch(torch.where(chosen, image, batch.image), torch.where(chosen, low, batch.low), batch.degraded)


def statistics(settings: DeFlowSettings, pools: tuple[list[Images], ...]) -> Matching | None:
    """The numbers that `training.matching` names."""
    choice = settings.training.matching
    if choice == "none":
        return None
    return AIM19 if choice == "aim19" else measured(pools[0], pools[1], settings.network.scale)

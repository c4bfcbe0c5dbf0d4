"""One supervised training loop for all restorers: settings, losses, schedule, precision, memory, resume."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.fitting.loop import Guard, identity, run_loop
from baselines.fitting.pairs import Mixing, PairSampler
from senm.config import Settings
from senm.data.digest import content
from senm.data.mapped import mapped_pairs
from senm.support.device import torch_device

if TYPE_CHECKING:
    from senm.data.domains import Pairs
    from senm.support.progress import Progress

LossName = Literal["l1", "mse", "charbonnier", "psnr"]


class TrainingSettings(Settings):
    """How a restorer is trained. A system's own class holds its paper recipe as defaults and marks our guesses."""

    steps: int = Field(300_000, ge=1)
    batch: int = Field(16, ge=1, description="crops a step, over all micro-batches")
    crop: int = Field(64, ge=4, description="side of a crop of the degraded image in pixels")
    loss: LossName = "l1"
    optimiser: Literal["adam", "adamw"] = "adam"
    lr: float = Field(1e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["constant", "steps", "cosine"] = "constant"
    milestones: tuple[int, ...] = Field((), description="steps at which the rate is multiplied by gamma")
    gamma: float = Field(0.5, gt=0)
    final_lr: float = Field(0.0, ge=0, description="where the cosine ends")
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")
    clip_norm: float | None = Field(None, description="gradient norm is clipped here")
    augment: bool = Field(True, description="flips and rotations, 8 ways")
    mixing: Mixing = Field("by_size", description="how several sets of pairs are mixed")
    ema: float = Field(0.0, ge=0, lt=1, description="decay of averaged weights; 0 keeps the last weights")
    precision: Literal["float32", "tf32", "bf16", "fp16"] = Field(
        "float32", description="fp16: with scaled gradients on a GPU, float32 on a CPU"
    )
    micro_batch: int | None = Field(None, ge=1, description="crops a forward pass; halved when GPU memory runs out")
    skip_limit: int = Field(10, ge=0, description="consecutive non-finite steps that are skipped before stopping")
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(5_000, ge=1)


def charbonnier(output: Tensor, target: Tensor) -> Tensor:
    return torch.sqrt((output - target) ** 2 + 1e-6).mean()


def negative_psnr(output: Tensor, target: Tensor) -> Tensor:
    """10 log10 of the mean squared error of each image (plus 1e-8), averaged over images; equals minus PSNR in dB."""
    return (10 * torch.log10(((output - target) ** 2).mean(dim=(1, 2, 3)) + 1e-8)).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": nn.functional.l1_loss,
    "mse": nn.functional.mse_loss,
    "charbonnier": charbonnier,
    "psnr": negative_psnr,
}


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """The rate of this step (0-based), a function of the step alone."""
    if step < settings.warmup:
        return settings.lr * (step + 1) / settings.warmup
    if settings.schedule == "steps":
        return settings.lr * settings.gamma ** sum(step >= m for m in settings.milestones)
    if settings.schedule == "cosine":
        share = (step - settings.warmup) / max(settings.steps - settings.warmup, 1)
        return settings.final_lr + (settings.lr - settings.final_lr) * (1 + math.cos(math.pi * share)) / 2
    return settings.lr


def make_optimiser(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Adam or AdamW over all parameters."""
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    return kind(network.parameters(), lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay)


class Supervised:
    """State and step of one supervised training; `train` drives it.

    A system whose recipe differs overrides `batch`, `rate`, `objective` or `clipped`.

    Attributes:
        micro: crops a forward pass now. It halves when GPU memory runs out; gradients are accumulated so that the
            effective batch stays (batch normalisation then sees the smaller one). It is logged and checkpointed.
    """

    def __init__(self, network: nn.Module, sampler: PairSampler, settings: TrainingSettings, device: str) -> None:
        self.device = torch_device(device)
        self.network = network.to(self.device).train()
        self.averaged = copy.deepcopy(self.network) if settings.ema else None
        self.sampler, self.settings = sampler, settings
        self.optimiser = make_optimiser(self.network, settings)
        self.guard = Guard(settings.skip_limit)
        self.micro = min(settings.micro_batch or settings.batch, settings.batch)
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=settings.precision == "fp16" and self.device.type == "cuda"
        )

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """(noisy, clean) of this step on the device, float32 (batch, 3, crop, crop) in [0, 1] each."""
        noisy, clean = (t.to(self.device, non_blocking=True) for t in self.sampler.batch(number))
        return noisy, clean

    def rate(self, number: int) -> float:
        """The learning rate of this step."""
        return learning_rate(self.settings, number)

    def objective(self, noisy: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """Means over a micro-batch by name: ``loss`` is minimised, the others are logged beside it."""
        with precision(self.settings.precision, self.device):
            output = self.network(noisy)
        return {"loss": LOSSES[self.settings.loss](output.to(clean.dtype), clean)}

    def clipped(self) -> dict[str, float]:
        """Clip the gradients; their norms before that, by name."""
        limit = math.inf if self.settings.clip_norm is None else self.settings.clip_norm
        return {"gradient norm": float(nn.utils.clip_grad_norm_(self.network.parameters(), limit))}

    def step(self, number: int) -> dict[str, float]:
        """One optimiser step; returns what is logged."""
        settings = self.settings
        noisy, clean = self.batch(number)
        rate = self.rate(number)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        terms = self._backward(noisy, clean)
        self.scaler.unscale_(self.optimiser)
        norms = self.clipped()
        if self.guard.allows(number, {settings.loss: terms["loss"], **norms}):
            self.scaler.step(self.optimiser)
            if self.averaged is not None:
                average(self.averaged, self.network, settings.ema)
        else:
            terms, norms = dict.fromkeys(terms, 0.0), dict.fromkeys(norms, 0.0)
        self.scaler.update()
        return {**terms, **norms, "lr": rate, "micro_batch": self.micro, "skipped": self.guard.skipped}

    def _backward(self, noisy: Tensor, clean: Tensor) -> dict[str, float]:
        while True:
            self.optimiser.zero_grad(set_to_none=True)
            try:
                totals: dict[str, float] = {}
                for low, high in zip(noisy.split(self.micro), clean.split(self.micro), strict=True):
                    share = len(low) / len(noisy)
                    terms = self.objective(low, high)
                    self.scaler.scale(terms["loss"] * share).backward()
                    for name, value in terms.items():
                        totals[name] = totals.get(name, 0.0) + float(value.detach()) * share
                return totals
            except torch.OutOfMemoryError:
                if self.micro == 1:
                    raise
                self.micro = (self.micro + 1) // 2
            torch.cuda.empty_cache()

    def state_dict(self) -> dict[str, Any]:
        return {"micro": self.micro, "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.micro = int(state["micro"])
        self.scaler.load_state_dict(state.get("scaler", {}))


def train(
    network: nn.Module,
    sources: Sequence[Pairs],
    settings: TrainingSettings,
    *,
    seed: int,
    device: str,
    workdir: Path,
    progress: Progress,
    label: str,
    factor: int = 1,
    origin: str = "",
    engine: type[Supervised] = Supervised,
) -> nn.Module:
    """Train `network` on crops of `sources` and return it in evaluation mode (averaged weights where `ema` is set).

    Leaves `log.jsonl` and the full state in `workdir` and resumes from there; image files are decoded there once.

    Args:
        origin: hash of the weights that `network` starts from, where these do not come from the seed.
        engine: state and step of the training.

    Raises:
        CheckpointError: `workdir` holds the state of another training.
        DataError: no pairs, or an image smaller than the crop.
        TrainingError: the loss or a gradient stays non-finite.
        MachineError: the device is missing or its memory is too small for one crop.
    """
    sources = [mapped_pairs(pairs, workdir, f"pairs{i}") for i, pairs in enumerate(sources)]
    sampler = PairSampler(
        sources, mixing=settings.mixing, batch=settings.batch, crop=settings.crop, seed=seed, turn=settings.augment,
        factor=factor,
    )
    run = engine(network, sampler, settings, device)
    parts: dict[str, Any] = {"network": run.network, "optimiser": run.optimiser, "guard": run.guard, "run": run}
    if run.averaged is not None:
        parts["averaged"] = run.averaged
    with tf32(settings.precision == "tf32"):
        run_loop(
            run.step, parts, steps=settings.steps, workdir=workdir,
            identity=identity(settings, seed, origin, content(*sources)),
            progress=progress, label=label, log_every=settings.log_every, checkpoint_every=settings.checkpoint_every,
        )
    return (run.averaged or run.network).eval()


@torch.no_grad()
def average(slow: nn.Module, fast: nn.Module, decay: float) -> None:
    """Move the averaged parameters towards the current ones; buffers are copied."""
    for mine, other in zip(slow.parameters(), fast.parameters(), strict=True):
        mine.lerp_(other, 1 - decay)
    for kept, now in zip(slow.buffers(), fast.buffers(), strict=True):
        kept.copy_(now)


def precision(name: str, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Autocast to bfloat16 for ``bf16``, to half precision for ``fp16`` on a GPU, nothing otherwise."""
    if name == "fp16" and device.type == "cuda":
        return torch.autocast(device.type, torch.float16)
    return torch.autocast(device.type, torch.bfloat16) if name == "bf16" else contextlib.nullcontext()


@contextlib.contextmanager
def tf32(on: bool) -> Iterator[None]:
    """TF32 convolutions and matrix products on or off for a while, whatever the process had set before."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = on
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before

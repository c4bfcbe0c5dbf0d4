"""A network made ready to sample on a device: precision, compilation, and one call for a batch or a tile."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from senm.blocks import GaussianHead, ResidualDenseBlock
from senm.model import Noise
from senm.paired import PairedVAE
from senm.sampling.memory import keep_freed_memory
from senm.sampling.noise import Network, Window, image_noise
from senm.sampling.prior import FittedPrior
from senm.support.errors import SettingsError, unknown

PRECISIONS = ("float32", "tf32", "bf16")
"""float32: reference. tf32: NVIDIA tensor cores with 10-bit mantissas. bf16: weights and features in bfloat16."""


class Engine:
    """Runs either network.

    Args:
        model: copied, so that the caller's weights stay as they are.
        device: where to run.
        precision: one of `PRECISIONS`; the last convolution runs in float32 always, so that images keep 8 bits.
        compile: compile heads and dense blocks with torch.compile; where no compiler works, one warning and eagerly.
        prior: colours the draws of zn in `sample`.
        difference: generate x + noisy pass - clean pass (semi-supervised network only).

    Raises:
        SettingsError: unknown precision.
    """

    def __init__(self, model: Network, device: str | torch.device = "cpu", precision: str = "float32",
                 compile: bool | str = False, prior: FittedPrior | None = None, difference: bool = False) -> None:
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS, SettingsError)
        self.device, self.precision = torch.device(device), precision
        if self.device.type == "cpu":
            keep_freed_memory()
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.source, self.difference = model, difference
        self.prior = prior and replace(prior, filter=prior.filter.to(self.device))
        self.network = self.prepared()
        self.compiled = bool(compile)
        if compile:
            compile_parts(self.network, compile if isinstance(compile, str) else "default")

    def prepared(self) -> Network:
        """A copy of the model in this engine's precision, on its device."""
        network = copy.deepcopy(self.source).to(self.device, torch.float32).to(memory_format=torch.channels_last)
        for name, part in network.named_modules():
            if isinstance(part, GaussianHead):
                part.freeze(name.split(".")[0].endswith("_zn"), self.dtype)
        if self.dtype != torch.float32:
            network.to(self.dtype)
            last = network.output if isinstance(network, PairedVAE) else network.output[-1]
            last.to(torch.float32)
        return network.eval().requires_grad_(False)

    @contextmanager
    def arithmetic(self) -> Iterator[None]:
        """The device's switches for this precision, put back afterwards."""
        if self.device.type != "cuda":
            yield
            return
        repeatable = torch.backends.cudnn.deterministic
        with torch.backends.cudnn.flags(enabled=True, benchmark=not repeatable, deterministic=repeatable,
                                        allow_tf32=self.precision != "float32"):
            yield

    def run(self, x: Tensor, levels: Tensor, noise: Noise, temperature: float = 1.0) -> Tensor:
        """(B, 3, H, W) in [0, 1] with one level and one set of draws an image -> the same shape, float32, unclamped."""
        with torch.inference_mode(), self.arithmetic():
            x = x.to(self.dtype)
            try:
                return self.generate(x, levels, noise, temperature)
            except RuntimeError as error:
                if not self.compiled or isinstance(error, torch.cuda.OutOfMemoryError):
                    raise
                reason = str(error).strip().splitlines()[0][:160]
                warnings.warn(f"sampling without torch.compile, which failed here: {reason}", stacklevel=2)
                self.compiled, self.network = False, self.prepared()
                return self.generate(x, levels, noise, temperature)

    def generate(self, x: Tensor, levels: Tensor, noise: Noise, temperature: float) -> Tensor:
        """The network's own sampling path."""
        if isinstance(self.network, PairedVAE):
            return self.network.generate(x, levels, noise=noise, temperature=temperature)
        return self.network.translate(x, levels, temperature, noise, difference=self.difference)

    def sample(self, x: Tensor, names: Sequence[str], levels: Tensor, seed: int, temperature: float = 1.0,
               size: tuple[int, int] | None = None, window: Window | None = None) -> Tensor:
        """Like `run`, with the images' own draws; `x` is a window of images of `size` where these are given.

        On a CPU images go through one by one: convolutions round differently with the size of a batch, and two cores
        have no use for one.
        """
        size = size or (int(x.shape[2]), int(x.shape[3]))
        step = 1 if self.device.type == "cpu" else len(names)
        parts = []
        for i in range(0, len(names), step):
            rows = slice(i, i + step)
            noise = image_noise(self.network, names[rows], size, seed, self.device, window, self.dtype, self.prior)
            parts.append(self.run(x[rows], levels[rows], noise, temperature))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def compile_parts(network: Network, mode: str) -> None:
    """Compile every head and dense block in place; equal ones share their code, so that it takes seconds."""
    inside = {id(block) for head in network.modules() if isinstance(head, GaussianHead) for block in head.modules()}
    for part in network.modules():
        if isinstance(part, GaussianHead) or (isinstance(part, ResidualDenseBlock) and id(part) not in inside):
            part.compile(dynamic=False, mode=mode)

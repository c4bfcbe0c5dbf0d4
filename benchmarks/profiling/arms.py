"""The arms of the profile: one network, sampled or trained in the plain way and in each faster one.

An arm is made when it is its turn, so that one whose preparation fails (no compiler, no bf16) is recorded as failed
and the others go on.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.core import environment
from benchmarks.profiling.plain import PlainSeNMVAE
from benchmarks.profiling.timing import Work, seconds
from senm.config import PAIRED_PRESETS, PRESETS
from senm.model import Noise, SeNMVAE
from senm.paired import PairedVAE
from senm.sampling.engine import Engine
from senm.sampling.noise import Lazy, Network, latent_channels
from senm.training.graphs import GraphedPass

SAMPLERS = {
    "cpu": ("plain float32", "fast float32"),
    "cuda": ("plain tf32", "plain float32", "plain bf16", "fast float32", "fast tf32", "fast bf16",
             "fast tf32 compiled", "fast bf16 compiled"),
}
TRAINERS = {
    "cpu": ("plain float32", "fast float32"),
    "cuda": ("plain tf32", "fast tf32", "fast tf32 graphs", "fast bf16", "fast bf16 graphs"),
}


@dataclass(frozen=True)
class Case:
    """What is measured: the network ('senm' or 'paired') at the size of a preset, and the images."""

    model: str = "senm"
    scale: str = "authors"
    batch: int = 1
    size: int = 256
    nls: tuple[int, ...] | None = None


def make_network(case: Case) -> Network:
    """The network with random weights, none of them silent, the same on every call."""
    presets: Any = PRESETS if case.model == "senm" else PAIRED_PRESETS
    settings = presets[case.scale].network
    if case.nls:
        settings = settings.but(nls=case.nls)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: Network = SeNMVAE(settings) if case.model == "senm" else PairedVAE(settings)
        for name, weight in network.named_parameters():
            if weight.ndim == 4 and not weight.any():
                torch.nn.init.normal_(weight, std=0.3 * weight[0].numel() ** -0.5)
            if ".log_std.1.bias" in name:
                torch.nn.init.constant_(weight, -2.0)
    return network


def fresh_noise(network: Network, shape: tuple[int, int, int], device: torch.device, dtype: torch.dtype) -> Noise:
    """Draws made layer by layer on the device, for timing: (batch, height, width) of the images."""
    batch, height, width = shape
    shapes = network.latent_shapes(height, width)

    def draw(channels: int, layer: int) -> Tensor:
        h, w = shapes[layer]
        return torch.randn(batch, h, w, channels, device=device, dtype=dtype).permute(0, 3, 1, 2)

    return {name: Lazy(len(shapes), partial(draw, channels))
            for name, channels in latent_channels(network).items()}


def fixed_noise(network: Network, shape: tuple[int, int, int]) -> Noise:
    """The same draws on every call, float32 on the CPU."""
    batch, height, width = shape
    return network.draw_noise(batch, height, width, torch.Generator().manual_seed(0),
                              latents=tuple(latent_channels(network)))


def moved(noise: Noise, device: torch.device, dtype: torch.dtype) -> Noise:
    """Draws on another device and in another precision."""
    return {name: [eps.to(device, dtype) for eps in layers] for name, layers in noise.items()}


Run = Callable[[Tensor, Tensor, Noise], Tensor]
"""(images, levels, draws) -> noisy images."""


def sampler(name: str, network: Network, device: torch.device) -> tuple[Run, torch.dtype]:
    """A sampling arm by name, and the type its draws should have.

    Raises:
        ValueError: the arm does not exist for this network.
    """
    kind, precision, *rest = name.split()
    if kind == "plain":
        if not isinstance(network, SeNMVAE):
            raise ValueError("the plain implementation exists for the semi-supervised network only")
        plain = PlainSeNMVAE(network).to(device).eval()

        def run(x: Tensor, levels: Tensor, noise: Noise) -> Tensor:
            bf16 = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
            with torch.inference_mode(), bf16, tf32(precision == "tf32"):
                return plain.translate(x, levels, noise)

        return run, torch.float32
    engine = Engine(network, device, precision, compile="compiled" in rest)

    def run_engine(x: Tensor, levels: Tensor, noise: Noise) -> Tensor:
        out = engine.run(x, levels, noise)
        if "compiled" in rest and not engine.compiled:
            raise RuntimeError("torch.compile failed, see the warning")
        return out

    return run_engine, engine.dtype


class tf32:
    """Switch TF32 for convolutions and matrix products inside a block."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def __enter__(self) -> None:
        self.before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
        torch.backends.cudnn.allow_tf32 = self.on
        torch.set_float32_matmul_precision("high" if self.on else "highest")

    def __exit__(self, *error: object) -> None:
        torch.backends.cudnn.allow_tf32 = self.before[0]
        torch.set_float32_matmul_precision(self.before[1])


def sampling_work(name: str, case: Case, device: torch.device) -> Work:
    """One timed call of a sampling arm: a batch of images, draws included."""
    network = make_network(case)
    run, dtype = sampler(name, network, device)
    x = torch.rand(case.batch, 3, case.size, case.size, device=device)
    if not name.startswith("plain"):
        x = x.contiguous(memory_format=torch.channels_last)
    levels = torch.full((case.batch,), 0.05, device=device)
    noise = fresh_noise(network, (case.batch, case.size, case.size), device, dtype)
    return lambda: run(x, levels, noise)


def training_work(name: str, case: Case, device: torch.device) -> Work:
    """One timed training step: pass, reconstruction and KL terms, backward, Adam; a third of the batch a domain."""
    _, precision, *rest = name.split()
    model = make_network(case).to(device)
    assert isinstance(model, SeNMVAE)
    batch, size = case.batch, case.size
    p, s = -(-batch // 3), -(-(batch - 1) // 3)
    x, y = (torch.rand(batch, 3, size, size, device=device) for _ in range(2))
    objective = PRESETS[case.scale].loss
    crossed, both = objective.paired_latent == "crossed", objective.kl_z_passes == "both"
    level, coin = torch.full((batch,), 0.05, device=device), torch.arange(batch, device=device) % 2 == 0
    coins = (torch.zeros_like(coin), torch.ones_like(coin)) if crossed else (coin, coin)
    noise = moved(fixed_noise(model, (batch, size, size)), device, torch.float32)
    with_x = torch.arange(p + s, device=device)
    with_y = torch.cat([with_x[:p], torch.arange(p + s, batch, device=device)])
    of_x, of_y = ({k: [e[rows] for e in v] for k, v in noise.items()} for rows in (with_x, with_y))
    fused = True if device.type == "cuda" else None
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    if name.startswith("plain"):
        plain = PlainSeNMVAE(model)
        adam = torch.optim.Adam(plain.parameters(), lr=1e-5)

        def dense() -> None:
            with tf32(precision != "float32"):
                out = plain(x, y, level, p, s, coins, noise, noise)
                loss = (out["x"] - x).square().mean() + (out["y"] - y).square().mean()
                kl = out["kl_zn"] + out["kl_z_x"] + (out["kl_z_y"] if both else 0.0)
                (loss + 1e-9 * kl.sum()).backward()
                adam.step()
                adam.zero_grad(set_to_none=True)

        return dense
    adam = torch.optim.Adam(model.parameters(), lr=1e-5, fused=fused)
    forward: Any = GraphedPass(model) if "graphs" in rest else model

    def sparse() -> None:
        with tf32(precision != "float32"):
            with autocast:
                clean, noisy = forward(x[with_x], y[with_y], level[with_y], p, (coins[0][:p], coins[1][:p]), of_x, of_y,
                                       kl_z_in_noisy=both, crossed=crossed)
            loss = (clean.image - x[with_x]).square().mean() + (noisy.image - y[with_y]).square().mean()
            kl = noisy.kl_zn.sum() + clean.kl_z.sum() + (noisy.kl_z.sum() if both else 0.0)
            (loss + 1e-9 * kl).backward()
            adam.step()
            adam.zero_grad(set_to_none=True)
        if "graphs" in rest and forward.failed:
            raise RuntimeError(forward.failed)

    return sparse


def alone(name: str, case: Case, device: torch.device, training: bool) -> dict[str, float]:
    """Peak memory of this process in MiB after one arm ran, and its median time; for a process of its own."""
    work = (training_work if training else sampling_work)(name, case, device)
    work()
    taken = [seconds(work, device)]
    while len(taken) < 6 and sum(taken) < 30:
        taken.append(seconds(work, device))
    found = {"seconds": statistics.median(taken[1:] or taken),
             "process_mib": environment.peak_mib()}
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        found["allocated_mib"] = torch.cuda.max_memory_allocated(device) / 2**20
        found["reserved_mib"] = torch.cuda.max_memory_reserved(device) / 2**20
    return found

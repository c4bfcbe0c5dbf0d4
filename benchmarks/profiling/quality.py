"""What stands beside the times of a profile: differences to float32, counted work, rows by part, scaling with tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.profiling import parts
from benchmarks.profiling.arms import Case, fixed_noise, make_network, moved, sampler
from benchmarks.profiling.plain import PlainSeNMVAE
from benchmarks.profiling.timing import reason, seconds, spread
from senm.model import SeNMVAE
from senm.sampling.engine import Engine
from senm.sampling.sampler import sample_batch

ERRORS = (RuntimeError, ValueError, TypeError, AttributeError, ImportError, AssertionError)


def differences(names: Iterable[str], case: Case, device: torch.device) -> dict[str, dict[str, Any]]:
    """Each arm's images beside those of eager float32 on the CPU, from the same draws.

    Returns:
        By arm: largest and mean absolute difference in [0, 1] units, PSNR in dB, share of 8-bit values that change.
    """
    network = make_network(case)
    noise = fixed_noise(network, (case.batch, case.size, case.size))
    x = torch.rand(case.batch, 3, case.size, case.size, generator=torch.Generator().manual_seed(1))
    levels = torch.full((case.batch,), 0.05)
    reference = Engine(network).run(x, levels, noise)
    rounded = (reference.clamp(0, 1) * 255).round()
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        try:
            run, dtype = sampler(name, network, device)
            y = run(x.to(device), levels.to(device), moved(noise, device, dtype)).float().cpu()
        except ERRORS as error:
            found[name] = {"quality": f"failed: {reason(error)}"}
            continue
        gap = (y - reference).abs()
        found[name] = {
            "max_difference": float(gap.max()), "mean_difference": float(gap.mean()),
            "psnr_to_float32": float(-10 * torch.log10(gap.square().mean().clamp_min(1e-20))),
            "changed_8bit": float(((y.clamp(0, 1) * 255).round() != rounded).float().mean()),
        }
    return found


def on_meta(case: Case, plain: bool) -> tuple[torch.nn.Module, Callable[[], object]]:
    """A network without data and one sampling call of it, for counting."""
    network = make_network(case)
    module: torch.nn.Module = PlainSeNMVAE(network) if plain and isinstance(network, SeNMVAE) else network
    module, network = module.to("meta"), network.to("meta")
    noise = moved({name: list(layers) for name, layers in network.draw_noise(
        case.batch, case.size, case.size).items()}, torch.device("meta"), torch.float32)
    x = torch.empty(case.batch, 3, case.size, case.size, device="meta")
    levels = torch.empty(case.batch, device="meta")
    if isinstance(module, PlainSeNMVAE):
        return module, lambda: module.translate(x, levels, noise)
    if isinstance(network, SeNMVAE):
        return module, lambda: network.translate(x, levels, noise=noise)
    return module, lambda: network.generate(x, levels, noise=noise)


def flops_per_pixel(case: Case) -> dict[str, float]:
    """FLOPs a pixel of sampling: as the method is written down ("plain") and as it is executed here."""
    found = {}
    for name, plain in (("plain", True), ("executed", False)):
        totals = []
        for size in (64, 128):
            totals.append(sum(parts.counted(*on_meta(replace(case, batch=1, size=size), plain)).flops.values()))
        found[name] = (totals[1] - totals[0]) / (128**2 - 64**2)
    return found


def part_rows(name: str, case: Case, device: torch.device, peak: float) -> list[dict[str, Any]]:
    """Work and time by layer and part of one fast arm."""
    counter = parts.counted(*on_meta(case, plain=False))
    engine = Engine(make_network(case), device, name.split()[1])
    names = [str(i) for i in range(case.batch)]
    x = torch.rand(case.batch, 3, case.size, case.size, device=device)
    x, levels = x.contiguous(memory_format=torch.channels_last), torch.full((case.batch,), 0.05, device=device)

    def call() -> object:
        return engine.sample(x, names, levels, 0)

    with torch.inference_mode():
        times, total = parts.timed(engine.network, call, device, 3)
    return parts.table(counter, times, peak, total)


def scaling_rows(case: Case, device: torch.device, late: Callable[[], bool]) -> list[dict[str, Any]]:
    """Seconds of one image from 64x64 to 4096x4096 pixels through the sampler, with its own choice of tiles.

    A CPU measures the network of `smoke`, so that the largest image takes minutes and not hours.
    """
    cuda = device.type == "cuda"
    engine = Engine(make_network(case if cuda else replace(case, scale="smoke")), device, "bf16" if cuda else "float32")
    rows = []
    for size in (64, 128, 256, 512, 1024, 2048, 4096):
        row: dict[str, Any] = {"size": size, "pixels": size**2}
        if late():
            rows.append(row | {"status": "not run", "reason": "out of time"})
            continue
        image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)

        def work(image: np.ndarray = image) -> object:
            return sample_batch(engine, image, ["image"], torch.tensor([0.05]), 0)

        try:
            taken = [seconds(work, device) for _ in range(4 if size <= 1024 else 2)]
        except ERRORS as error:
            rows.append(row | {"status": "failed", "reason": reason(error)})
            continue
        rows.append(row | {"status": "ok", **spread(taken[1:]), "megapixels_per_s": size**2 / min(taken) / 1e6})
    return rows

"""Speed as a ratio of two arms timed in one run: `python -m benchmarks.profiling.speed`. `ci.gate` judges the record.

The plain implementation and the project's own run alternately on one thread; the ratio of processor times of
neighbours cancels what a busy machine adds. FLOPs are counted beside it: they repeat exactly on any machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.core import environment
from benchmarks.core.record import SpeedCase, SpeedRecord
from senm.support.files import write_text

PAIRS, EACH = 11, 1
ROWS, SIDE = 2, 32  # samples a domain, side of a crop


def flops(work: Callable[[], object]) -> float:
    """Floating-point operations of one call: convolutions and matrix products, forward and backward."""
    from benchmarks.profiling.parts import Counter

    with Counter() as counter:
        work()
    return float(sum(counter.flops.values()))


def race(slow: Callable[[], object], fast: Callable[[], object], names: tuple[str, str]) -> SpeedCase:
    """Time both arms alternately; the first round warms up and does not count."""

    def seconds(work: Callable[[], object]) -> float:
        start = time.process_time()
        for _ in range(EACH):
            work()
        return time.process_time() - start

    ratios = []
    for round_ in range(PAIRS + 1):
        first, second = (slow, fast) if round_ % 2 else (fast, slow)
        times = {id(work): seconds(work) for work in (first, second)}
        if round_:
            ratios.append(times[id(slow)] / times[id(fast)])
    return SpeedCase(slow=names[0], fast=names[1], ratios=tuple(ratios), slow_flops=flops(slow), fast_flops=flops(fast))


def training_step() -> SpeedCase:
    """Forward and backward of the training pass: every sample through everything, or only through its own parts."""
    import torch

    from benchmarks.profiling.plain import PlainSeNMVAE
    from senm.config import PRESETS
    from senm.model import SeNMVAE

    torch.manual_seed(0)
    model = SeNMVAE(PRESETS["short"].network)
    plain = PlainSeNMVAE(model)
    count = 3 * ROWS
    x, y, level = torch.rand(count, 3, SIDE, SIDE), torch.rand(count, 3, SIDE, SIDE), torch.rand(count)
    coins = (torch.rand(count) < 0.5, torch.rand(count) < 0.5)
    noise = model.draw_noise(count, SIDE, SIDE)
    with_x = list(range(2 * ROWS))
    with_y = [*range(ROWS), *range(2 * ROWS, count)]
    parts = [{name: [eps[rows] for eps in draws] for name, draws in noise.items()} for rows in (with_x, with_y)]

    def dense() -> None:
        found = plain(x, y, level, ROWS, ROWS, coins, noise, noise)
        torch.stack([value.square().sum() for value in found.values()]).sum().backward()

    def sparse() -> None:
        clean, noisy = model(x[with_x], y[with_y], level[with_y], ROWS, (coins[0][:ROWS], coins[1][:ROWS]), *parts)
        kls = [clean.kl_z, noisy.kl_z, noisy.kl_zn]
        total = clean.image.square().sum() + noisy.image.square().sum()
        torch.stack([total, *(kl.sum(0).square().sum() for kl in kls)]).sum().backward()

    return race(dense, sparse, ("dense training step", "domain-sparse training step"))


def sampler() -> SpeedCase:
    """Four images of 48x48 pixels through the generator."""
    import torch

    from benchmarks.profiling.plain import PlainSeNMVAE
    from senm.config import PRESETS
    from senm.model import SeNMVAE

    torch.manual_seed(0)
    model = SeNMVAE(PRESETS["short"].network).eval()
    plain = PlainSeNMVAE(model).eval()
    x, level = torch.rand(4, 3, 48, 48), torch.full((4,), 0.05)
    noise = model.draw_noise(4, 48, 48)

    def slow() -> None:
        with torch.inference_mode():
            plain.translate(x, level, noise)

    def fast() -> None:
        with torch.inference_mode():
            model.translate(x, level, noise=noise)

    return race(slow, fast, ("plain sampler", "fast sampler"))


def measure() -> SpeedRecord:
    """Both races, on one thread."""
    clock = environment.Clock()
    with environment.threads(1):
        cases = {"training step": training_step(), "sampler": sampler()}
        return SpeedRecord(cases=cases, provenance=environment.provenance(clock=clock))


def main(arguments: list[str]) -> int:
    """Write the record to the file given, or to standard output."""
    text = measure().model_dump_json(indent=1) + "\n"
    if not arguments:
        sys.stdout.write(text)
        return 0
    write_text(Path(arguments[0]), text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

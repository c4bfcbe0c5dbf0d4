"""What one system costs on this machine: speed, floating-point operations and peak memory of training and using it.

Each system is measured in a process of its own (`python -m benchmarks.profiling.costs SYSTEM`): memory that another
one left behind is not counted. It trains on made-up images with its settings of the scale; the first iterations are
left out by measuring two runs of different length, and so are those operations that happen once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.core.environment import peak_mib, reset_peak
from benchmarks.profiling.speed import flops
from benchmarks.running.estimate import Rate
from senm.support.errors import MachineError, SenmError

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.support.progress import Progress

STAGES = ("iterations", "steps", "epoch_steps", "first_stage", "second_stage")
Fit = Callable[[Any], Any]
"""Trains by settings and returns what was trained."""


def made_up(count: int = 16, side: int = 256, factor: int = 1) -> Domains:
    """Domains of random images, uint8 (side, side, 3); the clean side of pairs is `factor` times larger."""
    import numpy as np

    from senm.data.domains import Domains
    from senm.data.pool import ArrayImages, Pairs
    from senm.support.seeding import rng

    names = [f"image-{i}" for i in range(count)]

    def images(what: str, size: int) -> ArrayImages:
        return ArrayImages(rng("throughput", what).integers(0, 256, (count, size, size, 3), dtype=np.uint8), names)

    pairs = Pairs(images("clean", side * factor), images("noisy", side))
    return Domains(pairs, images("source", side), images("target", side))


def measure_noise(
    system: str, scale: str, device: str, iterations: tuple[int, int], progress: Progress
) -> list[Rate]:
    """Training iterations and generated images a second of a noise model, with what each of them costs."""
    import baselines

    model, domains = baselines.get(system), made_up()

    def fit(settings: Any) -> Any:
        with tempfile.TemporaryDirectory() as work:
            return model.fit(domains, settings, seed=0, device=device, workdir=Path(work), progress=progress)

    settings = without_missing_lpips(model.default_settings(scale))
    rates, trained = _training("fit", system, scale, settings, fit, iterations)
    run = lambda part: list(trained.sample(part, seed=0, device=device, progress=progress))  # noqa: E731
    return [*rates, _images("sample", system, scale, run, domains.source)]


def measure_restorer(
    system: str, scale: str, device: str, iterations: tuple[int, int], progress: Progress
) -> list[Rate]:
    """Training iterations and restored images a second of a restorer, with what each of them costs."""
    import baselines

    restorer = baselines.get(system)
    able = restorer.capabilities
    factor = int(able.factor)
    domains = made_up(side=256 if factor == 1 else 64, factor=factor)
    alone: Any = domains if able.uses_unpaired else [domains.target]
    sources: Any = [domains.paired] if able.needs_pairs else alone
    with tempfile.TemporaryDirectory() as place:
        start = _start(system, scale, [domains.paired], device, Path(place), progress)

        def fit(settings: Any) -> Any:
            with tempfile.TemporaryDirectory() as work:
                return restorer.fit(sources, settings, seed=0, device=device, workdir=Path(work), progress=progress,
                                    start=start)

        rates, trained = _training("fit-restorer", system, scale, restorer.default_settings(scale), fit, iterations)
    run = lambda part: list(trained.restore(part, device=device, progress=progress))  # noqa: E731
    return [*rates, _images("restore", system, scale, run, domains.paired.noisy)]


def _start(system: str, scale: str, pairs: list[Any], device: str, work: Path, progress: Progress) -> Path | None:
    """A network that was trained for one step, where a system goes on from another one's."""
    import baselines

    if not system.endswith("-finetune"):
        return None
    base = baselines.get(system.removesuffix("-finetune"))
    brief = shortened(base.default_settings(scale), 1)
    base.fit(pairs, brief, seed=0, device=device, workdir=work / "base", progress=progress).save(work / "start")
    return work / "start"


def _training(kind: str, system: str, scale: str, settings: Any, fit: Fit,
              iterations: tuple[int, int]) -> tuple[list[Rate], Any]:
    """The rate of a training, none for one in closed form, and what it made."""
    from benchmarks.planning.making import iterations as count

    if not count(shortened(settings, 1)):
        return [], fit(settings)
    once, twice = (  # these warm up, too
        flops(lambda length=length: fit(shortened(settings, length))) for length in (1, 2)  # type: ignore[misc]
    )
    times, done, trained = [], [], None
    reset_peak()
    for length in iterations:
        brief = shortened(settings, length)
        started = time.monotonic()
        trained = fit(brief)
        times.append(time.monotonic() - started)
        done.append(count(brief))
    memory = peak_mib()
    steps = count(shortened(settings, 2)) - count(shortened(settings, 1))
    per_second = (done[1] - done[0]) / max(times[1] - times[0], 1e-6)
    return [Rate(kind=kind, system=system, scale=scale, unit="iterations", per_second=round(per_second, 4),
                 gflop=round((twice - once) / steps / 1e9, 3), memory_mib=round(memory))], trained


def _images(kind: str, system: str, scale: str, run: Callable[[Any], object], images: Any) -> Rate:
    """Images a second, the first two left out, and what one image takes."""
    one = flops(lambda: run(images.subset(range(1))))
    reset_peak()
    run(images.subset(range(2)))
    started = time.monotonic()
    run(images)
    per_second = len(images) / max(time.monotonic() - started, 1e-6)
    memory = peak_mib()
    return Rate(kind=kind, system=system, scale=scale, unit="images", per_second=round(per_second, 4),
                gflop=round(one / 1e9, 3), memory_mib=round(memory))


def without_missing_lpips(settings: Any) -> Any:
    """The settings, without the LPIPS term where its published weights are not here; says so."""
    from senm.training.perceptual import ALEXNET, find_weights

    if not getattr(getattr(settings, "loss", None), "lpips_weight", 0.0) or find_weights(ALEXNET):
        return settings
    print(f"timed without the LPIPS term, since {ALEXNET} is not here", file=sys.stderr)
    return settings.but(loss={"lpips_weight": 0.0})


def shortened(settings: Any, length: int) -> Any:
    """The settings with every stage cut to `length` iterations, and without the milestones that lie beyond."""
    changed: dict[str, Any] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name == "network":
            continue
        if name in STAGES:
            changed[name] = length if value != 0 else 0
        elif name in ("epochs", "rounds"):
            changed[name] = 1
        elif name == "warmup":
            changed[name] = 0
        elif name == "milestones":
            changed[name] = ()
        elif hasattr(value, "but"):
            inner = shortened(value, length)
            if inner is not value:
                changed[name] = inner
    return settings.but(**changed) if changed else settings


def measure(system: str, scale: str, device: str, iterations: tuple[int, int]) -> list[Rate]:
    """The rates of a system, measured in a process of its own.

    Raises:
        MachineError: the process failed; with its last line.
    """
    command = [sys.executable, "-m", "benchmarks.profiling.costs", system, "--scale", scale, "--device", device,
               "--iterations", ",".join(map(str, iterations))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        killed = "it was killed: not enough memory?" if done.returncode < 0 else ""
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise MachineError(f"{system} could not be measured: {killed or last}")
    if done.stderr.strip():
        print(done.stderr.strip().splitlines()[-1], file=sys.stderr)
    return [Rate.model_validate(each) for each in json.loads(done.stdout.strip().splitlines()[-1])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one system here and print its rates as JSON."""
    import baselines
    from senm.support.progress import NullProgress

    parser = argparse.ArgumentParser("python -m benchmarks.profiling.costs", description=__doc__.splitlines()[0])
    parser.add_argument("system")
    parser.add_argument("--scale", default="paper")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--iterations", default="5,25")
    given = parser.parse_args(arguments)
    short, long = (int(part) for part in given.iterations.split(","))
    try:
        restores = baselines.get(given.system).capabilities.kind == "restorer"
        function = measure_restorer if restores else measure_noise
        rates = function(given.system, given.scale, given.device, (short, long), NullProgress())
    except SenmError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps([rate.model_dump() for rate in rates]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

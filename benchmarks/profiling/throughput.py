"""Measures how fast this machine trains and samples, so that `plan` can estimate hours: `run throughput --device cuda`.

Each system trains for a few dozen iterations on made-up images with its settings of the scale; the first iterations
are left out by measuring two runs of different length.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.core.options import SCALES, check_device
from benchmarks.running.estimate import ACCEPTED, FILE, Rate, Throughput
from benchmarks.store.store import Store, artefact
from senm.support.errors import SenmError, UsageError
from senm.support.files import changing, write_text

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.support.progress import Progress

NOISE = ("senm-vae", "senm-paired", "c2n", "deflow", "lud-vae", "danet", "flow-srgb", "neca-w", "gaussian",
         "heteroscedastic")
RESTORERS = ("dncnn", "drunet", "nafnet", "nafnet-finetune", "n2v", "n2s", "cvf_sid", "apbsn", "scpgabnet", "sdap",
             "vdn", "deamnet", "uformer", "maxim", "restormer", "esrgan")
STAGES = ("iterations", "steps", "epoch_steps", "first_stage", "second_stage")


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


def measure_noise(system: str, scale: str, device: str, iterations: tuple[int, int], progress: Progress) -> list[Rate]:
    """Training iterations and generated images a second of a noise model."""
    import baselines
    from benchmarks.planning.making import iterations as count

    model = baselines.get(system)
    domains = made_up()
    settings = without_missing_lpips(model.default_settings(scale))
    rates: list[Rate] = []
    trained: Any = None
    if count(settings):
        times, done = [], []
        for length in iterations:
            with tempfile.TemporaryDirectory() as work:
                brief = shortened(settings, length)
                started = time.monotonic()
                trained = model.fit(domains, brief, seed=0, device=device, workdir=Path(work), progress=progress)
                times.append(time.monotonic() - started)
                done.append(count(brief))
        rates.append(_rate("fit", system, scale, done, times))
    else:
        trained = model.fit(
            domains, settings, seed=0, device=device, workdir=Path(tempfile.gettempdir()), progress=progress
        )
    run = lambda part: list(trained.sample(part, seed=0, device=device, progress=progress))  # noqa: E731
    rates.append(_images("sample", system, scale, run, domains.source))
    return rates


def measure_restorer(
    system: str, scale: str, device: str, iterations: tuple[int, int], progress: Progress
) -> list[Rate]:
    """Training iterations and restored images a second of a restorer."""
    import baselines
    from benchmarks.planning.making import iterations as count

    restorer = baselines.get(system)
    factor = int(restorer.capabilities.factor)
    side = 256 if factor == 1 else 64
    domains = made_up(side=side, factor=factor)
    able = restorer.capabilities
    alone: Any = domains if able.uses_unpaired else [domains.target]
    sources: Any = [domains.paired] if able.needs_pairs else alone
    times: list[float] = []
    done: list[int] = []
    trained: Any = None
    for length in iterations:
        with tempfile.TemporaryDirectory() as work:
            settings = shortened(restorer.default_settings(scale), length)
            start = None
            if system.endswith("-finetune"):
                start = Path(work) / "start"
                base = baselines.get(system.removesuffix("-finetune"))
                base.fit(
                    [domains.paired],
                    shortened(base.default_settings(scale), 1),
                    seed=0,
                    device=device,
                    workdir=Path(work) / "base",
                    progress=progress,
                ).save(start)
            started = time.monotonic()
            trained = restorer.fit(
                sources, settings, seed=0, device=device, workdir=Path(work), progress=progress, start=start
            )
            times.append(time.monotonic() - started)
            done.append(count(settings))
    rates = [_rate("fit-restorer", system, scale, done, times)]
    run = lambda part: list(trained.restore(part, device=device, progress=progress))  # noqa: E731
    rates.append(_images("restore", system, scale, run, domains.paired.noisy))
    return rates


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


def from_store(root: Path) -> list[Rate]:
    """Speeds of the trainings and samplings that a store holds, by what they took when they were made.

    Released checkpoints do not count, nor steps that went on from an earlier run: their provenance has no cost.
    """
    work: dict[tuple[str, str, str, str], list[float]] = {}
    for entry in Store(root).ls():
        if entry.fault or artefact.manifest(entry.path)["description"].get("released"):
            continue
        path = entry.path / "provenance.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        for unit, amount in found.get("cost", {}).items():
            total = work.setdefault((found["kind"], found["system"], found["scale"], unit), [0.0, 0.0])
            total[0] += amount
            total[1] += found["seconds"]
    return [
        Rate(kind=kind, system=system, scale=scale, unit=unit, per_second=round(amount / seconds, 4))
        for (kind, system, scale, unit), (amount, seconds) in sorted(work.items())
        if amount and seconds
    ]


def _rate(kind: str, system: str, scale: str, done: Sequence[int], times: Sequence[float]) -> Rate:
    """Iterations a second from two runs; `done` counts those of all stages, as plans do."""
    passed = max(times[1] - times[0], 1e-6)
    per_second = round((done[1] - done[0]) / passed, 4)
    return Rate(kind=kind, system=system, scale=scale, unit="iterations", per_second=per_second)


def _images(kind: str, system: str, scale: str, run: Any, images: Any) -> Rate:
    run(images.subset(range(2)))
    started = time.monotonic()
    run(images)
    per_second = len(images) / max(time.monotonic() - started, 1e-6)
    return Rate(kind=kind, system=system, scale=scale, unit="images", per_second=round(per_second, 4))


def main(arguments: Sequence[str]) -> int:
    """Measure and write results/accepted/<machine>/throughput.json."""
    from benchmarks.core import environment
    from senm.support.progress import NullProgress

    parser = argparse.ArgumentParser("python -m benchmarks.run throughput", description=__doc__.splitlines()[0],
                                     epilog="Example: python -m benchmarks.run throughput --device cuda")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", default="paper", choices=SCALES)
    parser.add_argument("--systems", default=",".join((*NOISE, *RESTORERS)))
    parser.add_argument("--iterations", default="5,25", help="lengths of the two runs whose difference is timed")
    parser.add_argument("--from-store", type=Path, help="take the speeds of finished runs instead of measuring")
    parser.add_argument("--out", type=Path, default=ACCEPTED)
    given = parser.parse_args(arguments)
    check_device(given.device)
    try:
        short, long = (int(part) for part in given.iterations.split(","))
    except ValueError:
        raise UsageError(f"--iterations {given.iterations!r}", "two numbers such as 5,25") from None
    rates = from_store(given.from_store) if given.from_store else []
    for system in () if given.from_store else given.systems.split(","):
        function = measure_noise if system in NOISE else measure_restorer
        try:
            found = function(system, given.scale, given.device, (short, long), NullProgress())
        except SenmError as error:
            print(f"{system}: {error}", file=sys.stderr)
            continue
        rates += found
    for rate in rates:
        print(f"{rate.kind:12} {rate.system:16} {rate.scale:6} {rate.per_second:10.2f} {rate.unit}/s")
    folder = given.out / environment.machine_key(given.device)
    write(folder / FILE, rates, environment.machine(given.device))
    print(f"written: {folder / FILE}", file=sys.stderr)
    return 0


def write(path: Path, rates: list[Rate], machine: dict[str, str]) -> None:
    """Write speeds, keeping older ones of systems and scales that were not measured now."""
    with changing(path):
        if path.is_file():
            old = Throughput.model_validate_json(path.read_text(encoding="utf-8")).rates
            now = {(rate.kind, rate.system, rate.scale) for rate in rates}
            rates = [rate for rate in old if (rate.kind, rate.system, rate.scale) not in now] + rates
        text = Throughput(machine=machine, date=date.today().isoformat(), rates=tuple(rates)).model_dump_json(indent=1)
        write_text(path, text + "\n")

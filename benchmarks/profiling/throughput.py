"""Measures how fast this machine trains and samples, so that `plan` can estimate hours: `run throughput --device cuda`.

Each system is measured in a process of its own, see `benchmarks.profiling.costs`; beside its speed stand the
floating-point operations and the peak memory of each step, and how much of this machine's convolution rate it reaches.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from benchmarks.core.options import SCALES, check_device
from benchmarks.profiling.costs import measure
from benchmarks.running.estimate import ACCEPTED, FILE, Rate, Throughput
from benchmarks.store.store import Store, artefact
from senm.support.errors import SenmError, UsageError
from senm.support.files import changing, write_text

NOISE = ("senm-vae", "senm-paired", "c2n", "deflow", "lud-vae", "danet", "flow-srgb", "neca-w", "gaussian",
         "heteroscedastic", "fssr", "impressionism", "dasr", "deflow-aim19", "deflow-ntire20", "lud-vae-aim19",
         "lud-vae-ntire20")
RESTORERS = ("dncnn", "drunet", "nafnet", "nafnet-finetune", "n2v", "n2s", "cvf_sid", "apbsn", "scpgabnet", "sdap",
             "vdn", "deamnet", "uformer", "maxim", "restormer", "rrdb-psnr", "esrgan", "esrgan-fssr")


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


def main(arguments: Sequence[str]) -> int:
    """Measure and write results/accepted/<machine>/throughput.json."""
    from benchmarks.core import environment

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
    folder, machine = given.out / environment.machine_key(given.device), environment.machine(given.device)
    peak = 0.0
    if given.from_store:
        rates = from_store(given.from_store)
        write(folder / FILE, rates, machine)
        print("\n".join(line(rate, peak) for rate in rates))
    else:
        peak = convolution_peak(given.device)
        for system in given.systems.split(","):
            try:
                found = measure(system, given.scale, given.device, (short, long))
            except SenmError as error:
                print(f"{system}: {error}", file=sys.stderr)
                continue
            write(folder / FILE, found, machine, peak)
            print("\n".join(line(rate, peak) for rate in found), flush=True)
    print(f"written: {folder / FILE}", file=sys.stderr)
    return 0


def convolution_peak(device: str) -> float:
    """TFLOP/s that large float32 convolutions reach here."""
    import torch

    from benchmarks.profiling.timing import peaks

    return round(peaks(torch.device(device), quick=device == "cpu").get("conv_float32", 0.0), 4)


def line(rate: Rate, peak: float) -> str:
    """One measured step in words: its speed, operations, share of the convolution rate, and memory."""
    words = f"{rate.kind:12} {rate.system:16} {rate.scale:6} {rate.per_second:10.3f} {rate.unit}/s"
    if rate.gflop:
        words += f"  {rate.gflop:10.2f} GFLOP"
    if share := rate.share(peak):
        words += f"  {share:4.0%} of the limit"
    return words + (f"  {rate.memory_mib / 1024:5.1f} GiB" if rate.memory_mib else "")


def write(path: Path, rates: list[Rate], machine: dict[str, str], peak: float = 0.0) -> None:
    """Write speeds, keeping older ones of what was not measured now, and of the others what was not counted now."""
    with changing(path):
        if path.is_file():
            before = Throughput.model_validate_json(path.read_text(encoding="utf-8"))
            peak = peak or before.peak
            old = {rate.about: rate for rate in before.rates}
            now = {(rate.kind, rate.system, rate.scale) for rate in rates}
            kept = [rate for rate in before.rates if (rate.kind, rate.system, rate.scale) not in now]
            rates = kept + [rate.with_counts(old.get(rate.about)) for rate in rates]
        text = Throughput(machine=machine, date=date.today().isoformat(), rates=tuple(rates), peak=peak)
        write_text(path, text.model_dump_json(indent=1) + "\n")

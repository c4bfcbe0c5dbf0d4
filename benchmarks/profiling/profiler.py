"""The profiler: `python -m benchmarks.run profile [--model NAME] [--sweep] [--device cuda] [--out DIR]`.

Measures in one run, against rates of this machine measured in the same run: sampling by every arm (plain, fast, lower
precision, compiled) with its difference to float32, the training step, each layer and part, memory in processes of
their own, and with --sweep batch, size, depth and tiles. Writes profile.json, CSV tables and plots; what fails is
recorded with its reason and the rest goes on. Of the other noise models, by --model NAME or all: training and sampling
in a process of their own (`benchmarks.profiling.costs`), in costs.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senm.support.errors import MachineError, UsageError, unknown

if TYPE_CHECKING:
    import torch

    from benchmarks.profiling.arms import Case

FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, ImportError, AssertionError, KeyError, OSError)
CPU_SIZES = {"authors": (1, 256, 64), "short": (1, 256, 32), "smoke": (1, 128, 32)}
"""Scale -> batch and size when sampling on a CPU, size of a training crop."""


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.run profile", description=str(__doc__).split("\n\n")[1],
                                epilog="Example: python -m benchmarks.run profile --scale smoke --out profile")
    p.add_argument("--model", default="senm",
                   help="senm or paired (all of the above), another noise model, or all for every one in brief")
    p.add_argument("--scale", choices=("paper", "short", "smoke"), default=None,
                   help="size of the network; default paper on a GPU, short on a CPU")
    p.add_argument("--device", default="cpu")
    p.add_argument("--batch", type=int, help="images at once when sampling")
    p.add_argument("--size", type=int, help="side of these images in pixels")
    p.add_argument("--sweep", action="store_true", help="also vary batch, size, depth and tiles")
    p.add_argument("--compile", action="store_true", help="on a CPU, also the compiled arms")
    p.add_argument("--clock", choices=("wall", "processor"), default="wall",
                   help="processor: time of this process only, for a CPU that others use too (runs on one thread)")
    p.add_argument("--rounds", type=int, default=9, help="measurements of each arm")
    p.add_argument("--seconds", type=float, default=270, help="stop opening new measurements after this long")
    p.add_argument("--out", type=Path, default=Path("results/profile"))
    p.add_argument("--one", help=argparse.SUPPRESS)
    return p


def main(arguments: list[str]) -> int:
    """Measure, write the record and print the main table; 0, or an error of `senm.support.errors`."""
    try:
        options = parser().parse_args(arguments)
    except SystemExit as stop:
        if stop.code:
            raise UsageError("wrong options of profile", "those of `python -m benchmarks.run profile --help`") from None
        return 0
    import torch

    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise MachineError("no CUDA device", "an NVIDIA GPU that torch can use", "run with --device cpu")
    if options.one:
        print(json.dumps(one(json.loads(options.one), device)))
        return 0
    if options.model not in ("senm", "paired"):
        return in_brief(options)
    session = Session(options, device)
    session.run()
    print(session.text())
    return 0


def in_brief(options: argparse.Namespace) -> int:
    """What training and sampling with a noise model of any kind cost, without arms to compare; writes costs.json.

    Raises:
        UsageError: no noise model of this name.
        MachineError: it could not be measured.
    """
    from benchmarks.core import environment
    from benchmarks.profiling.costs import measure
    from benchmarks.profiling.throughput import NOISE, convolution_peak, line, write

    if options.model not in (*NOISE, "all"):
        raise unknown("noise model", options.model, ("senm", "paired", *NOISE, "all"))
    scale = options.scale or ("paper" if options.device.startswith("cuda") else "short")
    peak, file = convolution_peak(options.device), options.out / "costs.json"
    options.out.mkdir(parents=True, exist_ok=True)
    for name in NOISE if options.model == "all" else [options.model]:
        for rate in (rates := measure(name, scale, options.device, (5, 25))):
            pixels = f"  {rate.per_second * 256**2 / 1e6:.3g} Mpixel/s" if rate.unit == "images" else ""
            print(line(rate, peak) + pixels, flush=True)
        write(file, rates, environment.machine(options.device), peak)
    print(f"written: {file}")
    return 0


def one(what: dict[str, Any], device: torch.device) -> dict[str, float]:
    """Memory and time of a single arm in this process: what the child processes of a profile do."""
    from benchmarks.profiling.arms import Case, alone

    case = Case(**{**what["case"], "nls": None})
    return alone(what["arm"], case, device, what["training"])


class Session:
    """One run of the profiler: measures part after part, and writes the record after each."""

    def __init__(self, options: argparse.Namespace, device: torch.device) -> None:
        from benchmarks.core import environment
        from benchmarks.profiling.arms import SAMPLERS, TRAINERS, Case

        self.options, self.device, self.clock = options, device, environment.Clock()
        self.deadline = time.monotonic() + options.seconds
        cuda = device.type == "cuda"
        scale = options.scale or ("paper" if cuda else "short")
        preset = "authors" if scale == "paper" else scale
        batch, size, self.crop = (32, 256, 64) if cuda else CPU_SIZES[preset]
        self.case: Case = Case(options.model, preset, options.batch or batch, options.size or size)
        self.samplers = list(SAMPLERS[device.type])
        self.trainers = list(TRAINERS[device.type]) if options.model == "senm" else []
        if options.model == "paired":
            self.samplers = [name for name in self.samplers if name.startswith("fast")]
        if options.compile and not cuda:
            self.samplers.append("fast float32 compiled")
        self.record: dict[str, Any] = {"version": 1, "model": options.model, "scale": scale, "clock": options.clock,
                                       "case": asdict(self.case), "failures": []}

    def run(self) -> None:
        """Everything, most wanted first."""
        from benchmarks.profiling.timing import denormals_flushed

        if self.device.type == "cpu" and self.options.clock == "processor":
            import torch

            torch.set_num_threads(1)
        with denormals_flushed() if self.device.type == "cpu" else nullcontext():
            self.measure()

    def measure(self) -> None:
        """The measurements in the order of `run`."""
        from benchmarks.profiling.timing import peaks

        steps: list[tuple[str, Callable[[], Any]]] = [
            ("peaks", lambda: peaks(self.device)), ("arms", self.arms), ("training", self.training),
            ("parts", self.parts), ("memory", self.memory),
        ]
        if self.options.sweep:
            steps += [("sweep", self.sweep), ("scaling", self.scaling)]
        for name, measure in steps:
            self.attempt(name, measure)
            self.write()
        self.attempt("plots", self.plots)
        self.write()

    def attempt(self, name: str, measure: Callable[[], Any]) -> None:
        """Add one part to the record, or the reason why it is missing."""
        from benchmarks.profiling.timing import free, reason

        print(f"profile: {name} ({self.clock.seconds:.0f} s)", file=sys.stderr, flush=True)
        try:
            found = measure()
            if found is not None:
                self.record[name] = found
        except FAILURES as error:
            self.record["failures"].append({"name": name, "reason": reason(error)})
        free(self.device)

    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self.deadline

    def race(self, names: list[str], make: Callable[[str], Any], rounds: int, share: float = 0.3) -> dict[str, Any]:
        """Race arms that are made one by one; an arm that cannot be made is recorded as failed."""
        from benchmarks.profiling import timing

        works, failed = {}, {}
        for name in names:
            try:
                works[name] = make(name)
            except FAILURES as error:
                failed[name] = {"status": "failed", "reason": timing.reason(error)}
        limit = min(self.deadline, time.monotonic() + share * self.options.seconds)
        clock = time.process_time if self.options.clock == "processor" else time.perf_counter
        found = timing.race(works, self.device, rounds, deadline=limit, clock=clock) | failed
        return {name: found[name] for name in names}

    def arms(self) -> list[dict[str, Any]]:
        """Sampling a batch by every arm: rates, utilisation and difference to float32."""
        from benchmarks.profiling.arms import sampling_work
        from benchmarks.profiling.quality import differences, flops_per_pixel

        case = self.case
        found = self.race(self.samplers, lambda name: sampling_work(name, case, self.device), self.options.rounds)
        quality = differences(self.samplers, replace(case, batch=2, size=min(case.size, 128)), self.device)
        work = self.record["mflop_per_pixel"] = {k: v / 1e6 for k, v in flops_per_pixel(case).items()}
        rows = []
        for name, measured in found.items():
            row = {"name": name, "batch": case.batch, "size": case.size, **measured, **quality.get(name, {})}
            if measured["status"] == "ok":
                pixels = case.batch * case.size**2
                rate = pixels / measured["seconds"]
                peak = self.peak(name)
                row |= {"images_per_s": case.batch / measured["seconds"], "megapixels_per_s": rate / 1e6,
                        "utilisation": work["executed"] * rate / 1e6 / peak if peak else 0.0,
                        "model_flop_utilisation": work["plain"] * rate / 1e6 / peak if peak else 0.0}
            rows.append(row)
        return rows

    def peak(self, arm: str, kind: str = "") -> float:
        """TFLOP/s that an arm's utilisation refers to: matrix products on a GPU, convolutions on a CPU."""
        kind = kind or ("matmul" if self.device.type == "cuda" else "conv")
        return float(self.record.get("peaks", {}).get(f"{kind}_{arm.split()[1]}", 0.0))

    def training(self) -> list[dict[str, Any]]:
        """The training step by every arm, at this network's training size and, on a GPU, at that of `short` too."""
        from benchmarks.profiling.arms import Case, training_work

        cases = [Case("senm", self.case.scale, 6 if self.case.scale == "smoke" else 8, self.crop)]
        if self.device.type == "cuda" and self.case.scale == "authors":
            cases.append(Case("senm", "short", 8, 32))
        rows: list[dict[str, Any]] = []
        for case in cases if self.trainers else []:
            found = self.race(self.trainers, partial(training_work, case=case, device=self.device),
                              self.options.rounds, 0.15)
            rows += [{"name": name, "scale": case.scale, "batch": case.batch, "size": case.size, **measured}
                     for name, measured in found.items()]
        return rows

    def parts(self) -> list[dict[str, Any]]:
        """Layers and parts of the fastest arm that is not compiled (compiled code has no seams to measure at)."""
        from benchmarks.profiling.quality import part_rows

        ok = [row for row in self.record.get("arms", []) if row["status"] == "ok" and "compiled" not in row["name"]
              and row["name"].startswith("fast")]
        name = min(ok, key=lambda row: row["seconds"])["name"] if ok else "fast float32"
        self.record["parts_arm"], self.record["parts_peak"] = name, self.peak(name)
        return part_rows(name, self.case, self.device, self.peak(name))

    def memory(self) -> list[dict[str, Any]]:
        """Peak memory of each arm in a fresh process, and its time there: each with its own use of the C library."""
        jobs = [(name, self.case, False) for name in self.samplers]
        if self.trainers:
            case = replace(self.case, batch=8, size=self.crop)
            jobs += [(name, case, True) for name in self.trainers]
        rows = []
        for name, case, training in jobs:
            if self.late():
                rows.append({"name": name, "training": training, "status": "not run", "reason": "out of time"})
                continue
            what = json.dumps({"arm": name, "case": asdict(case), "training": training})
            module = "benchmarks.profiling.profiler"
            command = [sys.executable, "-m", module, "--one", what, "--device", str(self.device)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
                rows.append({"name": name, "training": training, "status": "ok", "batch": case.batch,
                             "size": case.size, **json.loads(done.stdout.strip().splitlines()[-1])})
            except (subprocess.SubprocessError, json.JSONDecodeError, IndexError) as error:
                detail = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1:]
                rows.append({"name": name, "training": training, "status": "failed", "reason": "".join(detail)[:200]})
        return rows

    def sweep(self) -> list[dict[str, Any]]:
        """Batch, size and depth, one at a time, for the plain arm and the faster ones."""
        from benchmarks.profiling.arms import sampling_work

        cuda = self.device.type == "cuda"
        names = ["plain tf32", "fast bf16"] if cuda else ["plain float32", "fast float32"]
        names = names[-1:] if self.options.model == "paired" else names
        base = replace(self.case, size=self.case.size if cuda else 128)
        cases = [("batch", replace(base, batch=n)) for n in ((1, 4, 8, 16, 64) if cuda else (1, 2, 4))]
        cases += [("size", replace(base, batch=4 if cuda else 1, size=n))
                  for n in ((64, 128, 256, 512, 1024) if cuda else (64, 128, 256))]
        cases += [("layers", replace(base, batch=min(base.batch, 8), nls=nls)) for nls in ((1, 1), (2, 4), (4, 8))]
        rows = []
        for varied, case in cases:
            if self.late():
                break
            found = self.race(names, partial(sampling_work, case=case, device=self.device), 3, 0.03)
            layers = sum(case.nls) + 1 if case.nls else ""
            for name, measured in found.items():
                rate = case.batch * case.size**2 / measured["seconds"] / 1e6 if measured["status"] == "ok" else 0.0
                rows.append({"name": name, "varied": varied, "batch": case.batch, "size": case.size,
                             "layers": layers, **measured, "megapixels_per_s": rate})
        return rows

    def scaling(self) -> list[dict[str, Any]]:
        """Whole-image sampling, tiles included, from 64x64 to 4096x4096 pixels."""
        from benchmarks.profiling.quality import scaling_rows

        return scaling_rows(self.case, self.device, self.late)

    def plots(self) -> None:
        """Plots beside the record."""
        from benchmarks.profiling.plots import write_plots

        write_plots(self.record, self.options.out)

    def write(self) -> None:
        """The record as JSON, each of its lists as CSV."""
        import csv

        from benchmarks.core import environment

        out: Path = self.options.out
        out.mkdir(parents=True, exist_ok=True)
        self.record["provenance"] = environment.provenance(str(self.device), self.clock).model_dump(mode="json")
        (out / "profile.json").write_text(json.dumps(self.record, indent=1) + "\n", encoding="utf-8")
        for name, rows in self.record.items():
            if isinstance(rows, list) and rows and name != "failures":
                fields = list(dict.fromkeys(key for row in rows for key in row))
                with (out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                    writer = csv.DictWriter(file, fields)
                    writer.writeheader()
                    writer.writerows(rows)

    def text(self) -> str:
        """The main table for a terminal."""
        lines = [f"{'':24}{'ms':>10}{'speed-up':>10}{'MP/s':>9}{'MFU':>7}{'max diff':>10}"]
        for row in self.record.get("arms", []):
            if row["status"] != "ok":
                lines.append(f"{row['name']:24}{row['status']}: {row['reason']}")
                continue
            lines.append(f"{row['name']:24}{row['seconds'] * 1e3:10.1f}{row['speedup']:9.2f}x"
                         f"{row['megapixels_per_s']:9.3g}{row['model_flop_utilisation']:7.0%}"
                         f"{row.get('max_difference', float('nan')):10.2g}")
        for row in self.record.get("training", []):
            rest = f"{row['seconds'] * 1e3:10.1f}{row['speedup']:9.2f}x" if row["status"] == "ok" else row["reason"]
            lines.append(f"{row['scale'] + ' step ' + row['name']:32}{rest}")
        for row in self.record.get("memory", []):
            if row["status"] == "ok":
                kind = f"{self.case.scale} step " if row["training"] else ""
                lines.append(f"{kind + row['name'] + ', alone':36}{row['seconds'] * 1e3:6.1f} ms"
                             f"{row['process_mib']:8.0f} MiB")
        lines += [f"failed: {item['name']}: {item['reason']}" for item in self.record["failures"]]
        return "\n".join([*lines, f"written: {self.options.out}"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

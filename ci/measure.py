"""What the gate needs, measured now: `python -m ci.measure --scale smoke` runs a table, golden numbers and speed.

Each is a process of its own, so that nothing of one can change the other. `python -m ci.gate` judges the records.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.metrics.chosen import RANDOM, VARIABLE
from ci.gate import GOLDEN, RUNS, SPEED, TABLES

ROOT = Path(__file__).resolve().parents[1]


def commands(
    scale: str, seeds: str, runs: Path, store: Path | None, device: str, only: Sequence[str]
) -> list[list[str]]:
    """The command lines that measure the given gates ('golden', 'drift', 'speed')."""
    python = [sys.executable, "-m"]
    found = []
    if "golden" in only:
        found.append([*python, "ci.golden", str(runs / "gate" / GOLDEN)])
    if "drift" in only:
        place = ["--out", str(runs), *(["--store", str(store)] if store else [])]
        for table in TABLES:
            found.append(
                [
                    *python,
                    "benchmarks.run",
                    table,
                    "--scale",
                    scale,
                    "--seeds",
                    seeds,
                    "--device",
                    device,
                    *place,
                ]
            )
    if "speed" in only:
        found.append([*python, "benchmarks.profiling.speed", str(runs / "gate" / SPEED)])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurements in turn; the first that fails ends it with its exit code.

    The FID column holds FD-random, with or without Inception weights, so that drift is judged in one convention.
    """
    parser = argparse.ArgumentParser(prog="python -m ci.measure", description="Measure what the gate judges.")
    parser.add_argument("--scale", default="smoke")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder for records")
    parser.add_argument("--store", type=Path, default=None, help="folder of finished steps")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="golden,drift,speed")
    given = parser.parse_args(arguments)
    (given.runs / "gate").mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, VARIABLE: RANDOM}
    for command in commands(given.scale, given.seeds, given.runs, given.store, given.device, given.only.split(",")):
        started = time.monotonic()
        code = subprocess.run(
            command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL, env=environment
        ).returncode
        print(f"{' '.join(command[1:])}: exit {code} after {time.monotonic() - started:.0f} s", file=sys.stderr)
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())

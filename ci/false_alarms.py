"""Does the gate cry wolf? `python -m ci.false_alarms --seeds 10-19` judges fresh seeds, and one run on other threads.

Nothing is planted here: every failure is a false alarm. The accepted records are left as they are.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.core import environment
from benchmarks.core.options import seeds
from ci import accepted as kept
from ci.gate import judge
from ci.judge import Finding
from senm.support.errors import SenmError

ROOT = Path(__file__).resolve().parents[1]
THREADS = "2"


def measure(runs: Path, store: Path, scale: str, seed: int, only: str, threads: str) -> int:
    """Measure with this many threads; the exit code."""
    command = [sys.executable, "-m", "ci.measure", "--scale", scale, "--seeds", str(seed), "--runs", str(runs)]
    command += ["--store", str(store), "--only", only]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": threads}, check=False).returncode


def alarms(findings: Sequence[Finding], gates: Sequence[str]) -> list[str]:
    """Failures of the gates that were measured."""
    return [finding.text for finding in findings if finding.kind == "failure" and finding.gate in gates]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 where nothing failed."""
    parser = argparse.ArgumentParser(prog="python -m ci.false_alarms", description="Judge fresh seeds.")
    parser.add_argument("--scale", default="smoke")
    parser.add_argument("--seeds", default="10-19")
    parser.add_argument("--accepted", type=Path, default=kept.ROOT)
    given = parser.parse_args(arguments)
    machine, failed = environment.machine_key(), 0
    try:
        with tempfile.TemporaryDirectory(prefix="alarms-") as folder:
            runs, store = Path(folder) / "runs", Path(folder) / "store"
            plan = [(seed, "golden,drift,speed", "1") for seed in seeds(given.seeds)]
            plan.append((plan[0][0], "golden,drift,speed", THREADS))
            for number, (seed, only, threads) in enumerate(plan):
                if threads != "1":
                    store = Path(folder) / "store-threads"  # what is stored was made on one thread
                code = measure(runs, store, given.scale, seed, only, threads)
                found = alarms(judge(runs, given.accepted, given.scale, machine), only.split(",")) if not code else []
                failed += bool(code or found)
                words = f"measuring ended with {code}" if code else "; ".join(found) or "passed"
                print(f"{number + 1}/{len(plan)}: seed {seed} on {threads} threads: {words}", flush=True)
    except SenmError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{failed} of {len(plan)} runs raised a false alarm")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

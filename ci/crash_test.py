"""Does a run survive being killed? `python -m ci.crash_test --kills 20` kills `table1 --scale smoke` at random moments.

With `--on ray` it runs on three nodes of one core on this machine, and the driver, a worker or a node is killed.
A run is killed with SIGKILL again and again until it gets through; its records and stored artefacts must then equal
those of an uninterrupted run, except for time fields, and the store must verify. Then the next run starts from nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.core.record import without_time
from benchmarks.store.store import Store, artefact
from ci.ray_nodes import Nodes

ROOT = Path(__file__).resolve().parents[1]
TIMED = ("provenance.json", "record.json", "log.jsonl")
"""Files of artefacts that hold wall times: compared by content without them."""


class Run:
    """One command line on a store of its own."""

    def __init__(self, place: Path, table: str, extra: Sequence[str]) -> None:
        self.place, self.store, self.runs = place, place / "store", place / "runs"
        self.command = [sys.executable, "-m", "benchmarks.run", table, "--scale", "smoke", *extra]
        self.command += ["--store", str(self.store), "--out", str(self.runs)]

    def start(self) -> subprocess.Popen[bytes]:
        """Start it in a process group of its own; progress goes to a file."""
        self.place.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with (self.place / "progress.txt").open("wb") as progress:
            return subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=environment,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=progress,
            )

    def steps(self) -> list[str]:
        """What the run said so far that it does: the first word of each step's label."""
        text = (self.place / "progress.txt").read_text(errors="replace")
        return re.findall(r"\[\d+/\d+\] (\w+)", text)

    def result(self) -> dict[str, Any]:
        """Everything that must repeat: tables and records without time fields, hashes of all other stored files."""
        found: dict[str, Any] = {}
        for path in sorted(self.runs.glob("*/*/**/*.json")):
            found[str(path.relative_to(self.runs))] = without_time(json.loads(path.read_text()))
        for entry in Store(self.store).ls():
            files = artefact.manifest(entry.path)["files"]
            for name, file in files.items():
                place = f"{entry.kind} {entry.key[:12]} {name}"
                if name == "log.jsonl":
                    lines = [json.loads(line) for line in (entry.path / name).read_text().splitlines()]
                    found[place] = [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
                elif name == "record.json":
                    found[place] = without_time(json.loads((entry.path / name).read_text()))
                elif Path(name).name not in TIMED:
                    found[place] = file["sha256"]
        return found


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Names whose content differs or that only one side has."""
    return sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the whole group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def crash_until_done(run: Run, moments: random.Random, pause: float, left: int, where: Counter[str],
                     nodes: Nodes | None = None) -> tuple[int, int]:
    """Start, kill at a random moment and start again until the run ends by itself or no kill is left.

    A moment is a random step among the next three and a random time of up to `pause` seconds after it began, so that
    short steps (writing, measuring) are hit as well as long ones (training). On `nodes` the victim is the driver, a
    worker or a node by turns; only a driver has to be started again.

    Returns:
        Number of kills, and the exit code of the run that ended.
    """
    kills = 0
    process = run.start()
    while True:
        steps = moments.randint(0 if kills else 1, 3)
        while kills < left and process.poll() is None and len(run.steps()) < steps:
            time.sleep(0.02)
        if kills < left and process.poll() is None:
            try:
                process.wait(moments.uniform(0, pause))
            except subprocess.TimeoutExpired:
                step = (run.steps() or ["start"])[-1]  # before a new run empties the log
                victim = moments.choice(("driver", "worker", "node")) if nodes else "driver"
                if victim == "driver" or not (nodes and nodes.kill(victim)):
                    victim = "driver"
                    kill(process)
                    process = run.start()
                where[f"{victim}: " * bool(nodes) + step] += 1
                kills += 1
                continue
        return kills, process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 where every run came out equal and every store verified."""
    parser = argparse.ArgumentParser(prog="python -m ci.crash_test", description="Kill runs, rerun them, compare.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--table", default="table1")
    parser.add_argument("--on", default="local", choices=("local", "ray"))
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "runs" / "crash.json")
    given, extra = parser.parse_known_args(arguments)
    moments, where = random.Random(given.seed), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        reference = Run(Path(folder) / "whole", given.table, extra)
        started = time.monotonic()
        if code := reference.start().wait():
            print((reference.place / "progress.txt").read_text()[-2000:], file=sys.stderr)
            print(f"the uninterrupted run failed with {code}", file=sys.stderr)
            return code
        whole, expected = time.monotonic() - started, reference.result()
        pause = 2 * whole / max(1, len(reference.steps()))
        print(f"uninterrupted: {whole:.0f} s, {len(expected)} things to compare", file=sys.stderr, flush=True)
        kills, runs, bad = 0, 0, []
        while kills < given.kills:
            nodes = Nodes() if given.on == "ray" else None
            run = Run(Path(folder) / "killed", given.table, [*extra, *(nodes.options() if nodes else [])])
            more, code = crash_until_done(run, moments, pause, given.kills - kills, where, nodes)
            if nodes:
                nodes.close()
            kills, runs = kills + more, runs + 1
            if code:
                bad.append(f"run {runs}: exit code {code} after {more} kills")
            damaged = Store(run.store).verify()
            bad += [f"run {runs}: {entry.label}: {entry.fault}" for entry in damaged]
            unequal = differences(run.result(), expected)
            bad += [f"run {runs}: {name} differs" for name in unequal]
            print(
                f"run {runs}: {more} kills, {len(unequal)} differences, {len(damaged)} damaged",
                file=sys.stderr,
                flush=True,
            )
            shutil.rmtree(run.place)
    summary = {"kills": kills, "runs": runs, "killed while": dict(where), "compared": len(expected), "problems": bad}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

"""`run gpu-day`: what only a GPU can show, in pieces of at most ten minutes that the same command goes on with.

Each piece is a command of its own, so that one that fails or runs out of time takes no other with it. What is finished
is kept in `<out>/done.json`; a training that was cut off goes on from its checkpoint when its piece comes again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.core.options import ROOT, RUNS, check_device
from senm.support.errors import UsageError
from senm.support.files import writable, write_text
from senm.support.progress import duration

LIMIT = 600.0
"""Seconds after which a piece is ended; it comes again with the next command."""
ENOUGH = 30.0
"""With fewer seconds left no piece is begun."""
TIMED = ("senm-vae", "senm-paired", "c2n", "dncnn", "drunet", "deflow", "lud-vae", "danet", "flow-srgb")
TABLES = {
    "table1": ("senm-10", "senm-all", "real"),
    "table6": ("with-recon-x", "without-recon-x"),
    "table7": (),
}


@dataclass(frozen=True)
class Piece:
    """One command: its name in the list of what is done, and its words after `python`."""

    name: str
    words: tuple[str, ...]


def pieces(device: str, scale: str, out: Path) -> list[Piece]:
    """The day's plan, the cheapest and most telling first."""
    run = ("-m", "benchmarks.run")
    where = ("--store", str(out / "store"), "--out", str(out / "runs"), "--device", device)
    network = "paper" if scale != "smoke" else "smoke"
    profile = (*run, "profile", "--device", device, "--scale", network)
    found = [
        Piece("equality", ("-m", "benchmarks.profiling.equality", "--device", device, "--out", str(out))),
        Piece("profile", (*profile, "--out", str(out / "profile"))),
        *(
            Piece(f"throughput {system}", (*run, "throughput", "--device", device, "--scale", network,
                                           "--systems", system, "--out", str(out / "accepted")))
            for system in TIMED
        ),
        Piece("sweep", (*profile, "--sweep", "--seconds", "500", "--out", str(out / "sweep"))),
    ]
    for table, rows in TABLES.items():
        for row in rows or (None,):
            some = ("--rows", row) if row else ()
            found.append(Piece(" ".join(filter(None, (table, row))),
                               (*run, table, "--scale", scale, "--retrain", *some, *where)))
    return found


def finished(out: Path) -> dict[str, float]:
    """Name of a finished piece -> its seconds."""
    path = out / "done.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def spend(todo: Sequence[Piece], out: Path, minutes: float, limit: float = LIMIT) -> dict[str, str]:
    """Run pieces until the time is up; returns what became of each of them, in words."""
    end, said = time.monotonic() + 60 * minutes, {}
    done = finished(out)
    for piece in todo:
        left = end - time.monotonic()
        if piece.name in done:
            said[piece.name] = f"done before, in {duration(done[piece.name])}"
            continue
        if left < ENOUGH:
            said[piece.name] = "waits for the next time"
            continue
        started = time.monotonic()
        print(f"{piece.name}: python {' '.join(piece.words)}", file=sys.stderr, flush=True)
        log = out / "logs" / f"{piece.name.replace(' ', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            code = _run([sys.executable, *piece.words], min(limit, left), file)
        seconds = time.monotonic() - started
        if code == 0:
            done[piece.name] = round(seconds, 1)
            write_text(out / "done.json", json.dumps(done, indent=1) + "\n")
        said[piece.name] = _outcome(code, seconds, log)
        print(f"{piece.name}: {said[piece.name]}", file=sys.stderr, flush=True)
    return said


def _run(words: list[str], seconds: float, log: object) -> int | None:
    """The exit code of a command, None where its time was up: it is asked to stop, so that its state is kept."""
    process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)  # type: ignore[call-overload]
    try:
        return int(process.wait(seconds))
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return None


def _outcome(code: int | None, seconds: float, log: Path) -> str:
    if code == 0:
        return f"done in {duration(seconds)}"
    why = "its time was up" if code is None else f"exit code {code}"
    return f"{why} after {duration(seconds)}; it comes again ({log})"


def main(arguments: Sequence[str]) -> int:
    """Spend the time; exit code 0 where every piece is done, 1 where one is left."""
    parser = argparse.ArgumentParser("python -m benchmarks.run gpu-day", description=__doc__.splitlines()[0],
                                     epilog="Example: python -m benchmarks.run gpu-day --minutes 40")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--scale", default="short", choices=("smoke", "short"), help="smoke rehearses the day")
    parser.add_argument("--only", default="", help="pieces whose name begins so, separated by commas")
    parser.add_argument("--list", action="store_true", help="print the plan and what is done of it")
    parser.add_argument("--out", type=Path, default=RUNS / "gpu-day")
    given = parser.parse_args(arguments)
    if given.minutes <= 0:
        raise UsageError(f"--minutes {given.minutes:g}", "more than 0")
    todo = pieces(given.device, given.scale, given.out)
    if given.only:
        todo = [piece for piece in todo if piece.name.startswith(tuple(given.only.split(",")))]
        if not todo:
            raise UsageError(f"--only {given.only}", "the beginning of a piece's name", "--list prints them")
    if given.list:
        done = finished(given.out)
        for piece in todo:
            state = f"done in {duration(done[piece.name])}" if piece.name in done else "to do"
            print(f"{piece.name:24} {state:16} python {' '.join(piece.words)}")
        return 0
    check_device(given.device)
    out = writable(given.out)
    said = spend(todo, out, given.minutes)
    for name, words in said.items():
        print(f"{name:24} {words}")
    return 0 if all(piece.name in finished(out) for piece in todo) else 1

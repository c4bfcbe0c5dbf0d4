"""Do gate and tests catch defects? `python -m ci.mutation_test` plants them one at a time in a copy of the tree.

For each defect the gate measures and judges (golden numbers always; drift of the main table with --drift), then the
tests run until the first failure, those nearest to the defect first. A defect that no longer fits its file is an error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ci.defects import Defect
from ci.more_defects import ALL
from senm.support.errors import DataError, SenmError

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("senm", "baselines", "benchmarks", "ci", "tests", "results/reference", "results/accepted", "pyproject.toml")
TESTS = ("tests/senm", "tests/baselines", "tests/benchmarks")


@dataclass
class Caught:
    """What saw a defect: failing lines of each gate, and the first failing test."""

    defect: str
    golden: str = ""
    drift: str = ""
    test: str = ""
    seconds: float = 0.0

    @property
    def by_gate(self) -> bool:
        """Whether the gate alone fails."""
        return bool(self.golden or self.drift)


def plant(defect: Defect, tree: Path) -> str:
    """Apply a defect to a tree and return the file's former text.

    Raises:
        DataError: the text to be replaced does not occur exactly once.
    """
    path = tree / defect.file
    text = path.read_text(encoding="utf-8")
    if text.count(defect.old) != 1:
        raise DataError(
            f"defect {defect.name!r} no longer fits {defect.file} ({text.count(defect.old)} places)",
            "exactly one place",
            "adapt ci/defects.py",
        )
    path.write_text(text.replace(defect.old, defect.new), encoding="utf-8")
    return text


def copy_tree(target: Path) -> None:
    """Copy what gate and tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)


def call(tree: Path, *arguments: str) -> tuple[int, str]:
    """Run Python in the tree on one thread; exit code and output."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def first_failure(output: str, gate: str) -> str:
    """The first failing line of a gate, or ''."""
    lines = [line for line in output.splitlines() if line.startswith(f"FAIL  {gate}:")]
    return (
        lines[0].removeprefix(f"FAIL  {gate}: ") + (f" (and {len(lines) - 1} more)" if lines[1:] else "")
        if lines
        else ""
    )


def run_gate(tree: Path, drift: bool) -> tuple[str, str]:
    """What the golden and the drift gate say of the tree; a measurement that stops counts as caught."""
    only = "golden,drift" if drift else "golden"
    runs = tree / "gate-runs"
    shutil.rmtree(runs, ignore_errors=True)
    code, output = call(tree, "-m", "ci.measure", "--only", only, "--runs", str(runs), "--store", str(tree / "store"))
    if code:
        return f"the measurement stopped: {output.strip().splitlines()[-2:]}", ""
    _, output = call(tree, "-m", "ci.gate", "--runs", str(runs))
    return first_failure(output, "golden"), first_failure(output, "drift") if drift else ""


def run_tests(tree: Path, tests: Sequence[str]) -> str:
    """The first failing test, or ''."""
    present = [name for name in tests if (tree / name).exists()]
    code, output = call(tree, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *present)
    if code in (0, 5):
        return ""
    failing = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
    return failing.group(1) if failing else f"pytest ended with {code}"


def examine(tree: Path, defect: Defect | None, gate: bool, drift: bool, tests: Sequence[str]) -> Caught:
    """Plant one defect (None: none, a check of the check), run gate and tests, and take it out again."""
    started = time.monotonic()
    before = plant(defect, tree) if defect else ""
    try:
        found = Caught(defect.name if defect else "(none)")
        if gate:
            found.golden, found.drift = run_gate(tree, drift)
        if tests and defect:
            found.test = run_tests(tree, [defect.near])
        if tests and not found.test:
            found.test = run_tests(tree, tests)
    finally:
        if defect:
            (tree / defect.file).write_text(before, encoding="utf-8")
    found.seconds = round(time.monotonic() - started, 1)
    return found


def report(results: Sequence[Caught]) -> str:
    """A Markdown table of what caught what."""
    lines = ["| defect | golden gate | drift gate | tests |", "|---|---|---|---|"]
    for each in results:
        cells = (each.defect, each.golden, each.drift, each.test)
        lines.append("| " + " | ".join(cell.replace("|", "/")[:110] or "-" for cell in cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Examine all defects; exit code 0 where gate and tests together catch all and the gate alone 9 at least."""
    parser = argparse.ArgumentParser(
        prog="python -m ci.mutation_test", description="Plant defects, see what catches them."
    )
    parser.add_argument(
        "--drift", action="store_true", help="measure the main table at smoke scale for every defect too"
    )
    parser.add_argument("--no-gate", action="store_true", help="only see what the tests catch")
    parser.add_argument("--only", default="", help="names of defects, separated by commas")
    parser.add_argument("--tests", default=",".join(TESTS), help="tests to run, separated by commas; empty for none")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "runs" / "mutation.json")
    given = parser.parse_args(arguments)
    wanted = [name.strip() for name in given.only.split(",") if name.strip()]
    defects = [defect for defect in ALL if not wanted or defect.name in wanted]
    tests = [name for name in given.tests.split(",") if name]
    try:
        with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
            tree = Path(folder)
            copy_tree(tree)
            for defect in defects:  # all must fit before anything runs
                (tree / defect.file).write_text(plant(defect, tree), encoding="utf-8")
            results = []
            for each in (None, *defects):
                results.append(examine(tree, each, not given.no_gate, given.drift, tests))
                print(asdict(results[-1]), file=sys.stderr, flush=True)
    except SenmError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps([asdict(each) for each in results], indent=1) + "\n")
    print(report(results))
    clean, planted = results[0], results[1:]
    caught = sum(each.by_gate or bool(each.test) for each in planted)
    alone = sum(each.by_gate for each in planted)
    print(f"{caught} of {len(planted)} caught, {alone} by the gate alone")
    if clean.by_gate or clean.test:
        print("without any defect something fails already: nothing is shown", file=sys.stderr)
        return 1
    enough = given.no_gate or alone >= min(9, len(planted))
    return 0 if caught == len(planted) and enough else 1


if __name__ == "__main__":
    sys.exit(main())

"""The gate: `python -m ci.gate --scale smoke` judges what `python -m ci.measure` measured, and runs nothing itself.

Exit code 0: passed; 1: a number drifted, vanished, is new or empty, or speed was lost; 2 or 3: wrong use, no record.
`python -m ci.gate accept --reason "..."` makes the present records the accepted ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from statistics import median, stdev

from benchmarks.core import environment
from benchmarks.core.record import GoldenRecord, Provenance, SpeedRecord, TableResult, read
from ci import accepted as kept
from ci.accepted import SLACK, AcceptedGolden, AcceptedSpeed, AcceptedTable
from ci.judge import Finding, Gate, failure, judge_golden, judge_speed, judge_table, note
from ci.recompute import contradictions
from senm.support.errors import DataError, SenmError

RUNS = Path(__file__).resolve().parents[1] / "results" / "runs"
GOLDEN, SPEED = "golden.json", "speed.json"
TABLES = ("table1",)
"""Tables that must be there whatever is accepted: a gate without its main table has slept."""


def tables(runs: Path, scale: str) -> dict[str, Path]:
    """The table records of a scale under a folder of runs, by name such as 'table1-embedded'."""
    ending = f"-{scale}"
    found = {
        f"{path.parent.parent.name}-{path.parent.name.removesuffix(ending)}": path
        for path in sorted(runs.glob(f"*/*{ending}/table.json"))
    }
    return found


def judge(runs: Path, root: Path, scale: str, machine: str) -> list[Finding]:
    """All findings on the records under `runs` against the accepted ones under `root`.

    Args:
        runs: folder with gate/golden.json, gate/speed.json and <table>/<data>-<scale>/table.json.
        root: the accepted records.
        machine: kind of machine, see `benchmarks.core.environment.machine_key`.

    Raises:
        DataError: nothing was accepted for this scale on any machine, or a record cannot be read.
    """
    findings: list[Finding] = []
    golden = runs / "gate" / GOLDEN
    if golden.is_file():
        known = [read(path, AcceptedGolden) for path in sorted((root / "golden").glob("*.json"))]
        measured: GoldenRecord = read(golden, GoldenRecord)
        findings += [*judge_golden(measured, known), *made_by("golden", "the golden record", measured.provenance)]
    else:
        findings.append(failure("golden", f"no golden numbers at {golden}: python -m ci.measure --scale {scale}"))
    name, folder = kept.nearest_machine(root, machine, scale)
    if name != machine:
        findings.append(note("drift", f"nothing was accepted on {machine}: compared with {name}"))
    ours = tables(runs, scale)
    theirs = {path.stem: path for path in sorted(folder.glob("*.json")) if path.name != SPEED}
    for required in TABLES:
        if not any(known.startswith(required + "-") for known in theirs):
            findings.append(failure("drift", f"no accepted record of {required} for {name}"))
    for table, path in theirs.items():
        if table in ours:
            found: TableResult = read(ours[table], TableResult)
            findings += [*judge_table(found, read(path, AcceptedTable)), *made_by("drift", table, found.provenance)]
            findings += [failure("drift", f"{table}: {each}") for each in contradictions(found, ours[table].parent)]
        else:
            findings.append(failure("drift", f"{table} vanished: python -m ci.measure --scale {scale}"))
    findings += [note("drift", f"{table} has no accepted record") for table in sorted(set(ours) - set(theirs))]
    speed = runs / "gate" / SPEED
    if not speed.is_file():
        findings.append(failure("speed", f"no speed record at {speed}: python -m ci.measure --scale {scale}"))
    elif (folder / SPEED).is_file():
        timed: SpeedRecord = read(speed, SpeedRecord)
        findings += judge_speed(timed, read(folder / SPEED, AcceptedSpeed))
        findings += made_by("speed", "the speed record", timed.provenance)
    else:
        findings.append(failure("speed", f"no accepted speed for {name}"))
    return findings


@lru_cache(maxsize=1)
def code() -> str:
    """The version of this code."""
    return environment.git_state()


def made_by(gate: Gate, what: str, provenance: Provenance) -> list[Finding]:
    """A failure where a record was made by another version of the code."""
    if provenance.git == code():
        return []
    words = [version or "an unknown version" for version in (provenance.git, code())]
    return [failure(gate, f"{what} was made by {words[0]}, this is {words[1]}: measure again (python -m ci.measure)")]


def accept(runs: Path, root: Path, scale: str, machine: str, reason: str, what: Sequence[str]) -> list[Path]:
    """Make the present records the accepted ones and return the files written.

    Args:
        what: of 'golden', 'drift' and 'speed'.

    Raises:
        UsageError: no reason, or a table without enough replicates to measure its spread.
        DataError: there is nothing to accept, or a table contradicts its records.
    """
    reason, when = kept.checked_reason(reason), kept.now()
    folder = root / machine / scale
    planned: list[tuple[Path, GoldenRecord | AcceptedGolden | AcceptedTable | AcceptedSpeed]] = []
    golden = runs / "gate" / GOLDEN
    if "golden" in what and golden.is_file():
        record: GoldenRecord = read(golden, GoldenRecord)
        planned.append(
            (root / "golden" / f"{record.platform}.json", AcceptedGolden(accepted=when, reason=reason, record=record))
        )
    if "drift" in what:
        for name, path in tables(runs, scale).items():
            table: TableResult = read(path, TableResult)
            if wrong := contradictions(table, path.parent):
                raise DataError(f"{path} contradicts its records: {wrong[0]}", "a table as it was measured",
                                "measure it again")
            planned.append(
                (
                    folder / f"{name}.json",
                    AcceptedTable(
                        accepted=when,
                        reason=reason,
                        margins=kept.margins(table),
                        record=table,
                    ),
                )
            )
    speeds = [read(path, SpeedRecord) for path in sorted((runs / "gate").glob("speed*.json"))]
    if "speed" in what and speeds:
        planned.append((folder / SPEED, accepted_speed(speeds, reason, when)))
    if not planned:
        raise DataError(
            f"nothing to accept in {runs}", "records of a gate run", f"python -m ci.measure --scale {scale} --seeds 0-9"
        )
    return [kept.write(path, each) for path, each in planned]


def accepted_speed(records: list[SpeedRecord], reason: str, when: str) -> AcceptedSpeed:
    """The least ratios that pass: below the mean of the medians by their spread over runs, and by 10 % at least."""
    ratios = {name: tuple(median(r.cases[name].ratios) for r in records) for name in records[0].cases}
    least = {}
    for name, values in ratios.items():
        mean = sum(values) / len(values)
        spread = stdev(values) if len(values) > 1 else 0.0
        least[name] = round(mean - max(SLACK * mean, 4 * spread), 3)
    return AcceptedSpeed(accepted=when, reason=reason, ratios=ratios, least=least, runs=len(records), record=records[0])


def show(findings: list[Finding]) -> int:
    """Print the findings and return the exit code."""
    failures = [finding for finding in findings if finding.kind == "failure"]
    for finding in findings:
        print(f"{'FAIL' if finding.kind == 'failure' else 'note'}  {finding.gate}: {finding.text}")
    by_gate = {gate: sum(f.gate == gate for f in failures) for gate in ("golden", "drift", "speed")}
    counts = ", ".join(f"{gate} {count}" for gate, count in by_gate.items())
    print(f"gate failed: {counts}" if failures else "gate passed")
    return 1 if failures else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m ci.gate", description="Judge measured records against accepted ones."
    )
    parser.add_argument("command", nargs="?", choices=("check", "accept"), default="check")
    parser.add_argument("--scale", default="smoke")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of measured records")
    parser.add_argument("--accepted", type=Path, default=kept.ROOT, help="folder of accepted records")
    parser.add_argument("--machine", default="", help="kind of machine; this one's by default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--reason", default="", help="why the numbers changed (accept)")
    parser.add_argument("--only", default="golden,drift,speed", help="what to accept")
    given = parser.parse_args(arguments)
    try:
        machine = given.machine or environment.machine_key(given.device)
        if given.command == "check":
            return show(judge(given.runs, given.accepted, given.scale, machine))
        for path in accept(given.runs, given.accepted, given.scale, machine, given.reason, given.only.split(",")):
            print(f"accepted {path}")
        return 0
    except SenmError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())

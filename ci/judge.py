"""The gate's judgement: records against accepted records. Pure functions that run and read nothing.

A finding is a failure or a note. Nothing passes by being absent: empty, vanished and unknown numbers are failures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal, TypeVar

from benchmarks.core.record import GoldenRecord, SpeedRecord, TableResult
from ci.accepted import AcceptedGolden, AcceptedSpeed, AcceptedTable, key_of, measured, shared

T = TypeVar("T")
Gate = Literal["golden", "drift", "speed"]

ELSEWHERE: dict[str, float] = {"train dncnn": 2e-3, "sample, uint8": 1e-3, "metrics": 1e-5}
ELSEWHERE_FLOAT64 = 1e-6
"""Relative tolerance of golden numbers on a platform without a golden file of its own (float32 cases by name).

Between the AVX-512, AVX2 and plain kernels of one processor float64 cases were seen to differ by 5e-15, sampling by
1e-9 and the float32 training by 3e-5.
"""


@dataclass(frozen=True)
class Finding:
    """One thing the gate saw: `gate` is golden, drift or speed."""

    gate: Gate
    kind: Literal["failure", "note"]
    text: str


def failure(gate: Gate, text: str) -> Finding:
    """A finding that fails the gate."""
    return Finding(gate, "failure", text)


def note(gate: Gate, text: str) -> Finding:
    """A finding to be read."""
    return Finding(gate, "note", text)


def judge_golden(record: GoldenRecord, accepted: list[AcceptedGolden]) -> list[Finding]:
    """Golden numbers: equal to the last bit on a known platform, within a tolerance of the nearest one elsewhere."""
    if not record.cases or not all(record.cases.values()):
        return [failure("golden", "the golden record is empty")]
    if not accepted:
        return [failure("golden", "no golden numbers were ever accepted")]
    best = max(accepted, key=lambda a: (shared(a.record.platform, record.platform), a.record.platform))
    exact = best.record.platform == record.platform
    found = []
    if not exact:
        text = f"no golden file for {record.platform}: compared with {best.record.platform} within a tolerance"
        found.append(note("golden", text))
    pairs, lacking = _joined(record.cases, best.record.cases)
    found += [failure("golden", f"case {text}") for text in lacking]
    for case, (ours, theirs) in pairs.items():
        inner, lacking = _joined(ours, theirs)
        found += [failure("golden", f"{case}: {text}") for text in lacking]
        tolerance = 0.0 if exact else ELSEWHERE.get(case, ELSEWHERE_FLOAT64)
        for name, (new, old) in inner.items():
            problem = series_problem(new, old, tolerance)
            if problem:
                found.append(failure("golden", f"{case}: {name} {problem}"))
    return found


def series_problem(new: tuple[float, ...], old: tuple[float, ...], tolerance: float) -> str:
    """How two series differ, or ''. The tolerance is relative to the largest value of the old series; 0 is exact."""
    if not new:
        return "has no values"
    if len(new) != len(old):
        return f"has {len(new)} values, accepted {len(old)}"
    scale = max(abs(value) for value in old)
    for step, (a, b) in enumerate(zip(new, old, strict=True)):
        if not math.isfinite(a):
            return f"is {a} at {step}"
        if abs(a - b) > tolerance * scale:
            return f"differs first at {step}: {a!r}, accepted {b!r}" + (f" within {tolerance:g}" if tolerance else "")
    return ""


def judge_table(record: TableResult, accepted: AcceptedTable) -> list[Finding]:
    """Every measured number against its margin, two-sided; vanished, new and empty numbers are failures."""
    where = f"{record.table} on {record.data} at {record.scale}"
    old = accepted.record
    if (old.table, old.data, old.scale) != (record.table, record.data, record.scale):
        return [failure("drift", f"{where} is held against {old.table} on {old.data} at {old.scale}")]
    cells, found = measured(record), []
    if not cells:
        return [failure("drift", f"{where}: nothing was measured")]
    columns = {column.id: column for column in record.columns}
    states = {key_of(c, columns[c.column]): f"{c.state}: {c.reason}" for c in record.cells}
    for key, margin in accepted.margins.items():
        if key not in cells:
            found.append(failure("drift", f"{where}: {key} vanished ({states.get(key, 'no such cell')})"))
            continue
        cell = cells[key]
        if not cell.values or cell.images < 1 or not all(map(math.isfinite, cell.values)):
            found.append(failure("drift", f"{where}: {key} is empty or not finite"))
        elif cell.images != margin.images:
            found.append(failure("drift", f"{where}: {key} on {cell.images} images, accepted on {margin.images}"))
        else:
            mean = math.fsum(cell.values) / len(cell.values)
            gap, width = mean - margin.mean, margin.width(len(cell.values))
            if abs(gap) > width:
                found.append(
                    failure(
                        "drift",
                        (
                            f"{where}: {key} is {mean:.5g}, accepted {margin.mean:.5g} +- {width:.3g} "
                            f"(spread {margin.spread:.3g} over {margin.replicates} seeds)"
                        ),
                    )
                )
    fresh = sorted(set(cells) - set(accepted.margins))
    found += [failure("drift", f"{where}: {key} is new and has no accepted number") for key in fresh]
    if not found:
        text = f"{where}: {len(cells)} numbers within their margins over {len(record.seeds)} seeds"
        found.append(note("drift", text))
    return found


def judge_speed(record: SpeedRecord, accepted: AcceptedSpeed) -> list[Finding]:
    """Median time ratios against the least accepted, FLOPs against the accepted count."""
    pairs, lacking = _joined(record.cases, accepted.record.cases)
    found = [failure("speed", text) for text in lacking]
    if not record.cases:
        return [failure("speed", "the speed record is empty")]
    for name, (new, old) in pairs.items():
        if not new.ratios or not all(map(math.isfinite, new.ratios)):
            found.append(failure("speed", f"{name}: nothing was timed"))
            continue
        ratio, least = median(new.ratios), accepted.least[name]
        text = f"{name}: {new.fast} is {ratio:.2f} times as fast as {new.slow}, at least {least:.2f} is asked"
        found.append(failure("speed", text) if ratio < least else note("speed", text))
        for arm, count, before in (
            (new.slow, new.slow_flops, old.slow_flops),
            (new.fast, new.fast_flops, old.fast_flops),
        ):
            if count <= 0 or abs(count - before) > 1e-3 * before:
                found.append(failure("speed", f"{name}: {arm} takes {count:.4g} FLOPs, accepted {before:.4g}"))
    return found


def _joined(new: Mapping[str, T], old: Mapping[str, T]) -> tuple[dict[str, tuple[T, T]], list[str]]:
    pairs = {name: (new[name], old[name]) for name in new if name in old}
    lacking = [f"{name!r} vanished" for name in old if name not in new]
    return pairs, lacking + [f"{name!r} is new and was never accepted" for name in new if name not in old]

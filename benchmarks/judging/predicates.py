"""Predicates over the cells of a table: sums of cells that must be positive, decided within the spread."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.core.record import ClaimState

Place = tuple[str, str]
Values = Mapping[Place, Sequence[float]]
LOWER = ("fid", "kld", "lpips")
SLACK = 1e-9


def direction(column: str) -> int:
    """1 where a larger number is better, -1 where a smaller one is."""
    return -1 if column.split("-")[0] in LOWER else 1


@dataclass(frozen=True)
class Comparison:
    """One statement about one column: the signed sum of its cells, larger being better, is above zero.

    Attributes:
        column: column id.
        terms: (coefficient, row id); better(a, b) is ((1, a), (-1, b)).
        allowance: how much the sum may fall short, for "comes within"; 0 asks for strictly more than zero.
    """

    column: str
    terms: tuple[tuple[int, str], ...]
    allowance: float = 0.0

    @property
    def places(self) -> tuple[Place, ...]:
        """The cells it needs."""
        return tuple(dict.fromkeys((row, self.column) for _, row in self.terms))


@dataclass(frozen=True)
class Decision:
    """A comparison decided: its state, how far from zero in units of the column, and the cells in words."""

    comparison: Comparison
    state: ClaimState
    margin: float
    text: str
    lone: bool


def better(a: str, b: str, columns: Iterable[str], allowance: float = 0.0) -> tuple[Comparison, ...]:
    """Row a is better than row b on each column, or worse by no more than `allowance`."""
    return tuple(Comparison(column, ((1, a), (-1, b)), allowance) for column in columns)


def better_than_all(a: str, others: Iterable[str], columns: Sequence[str]) -> tuple[Comparison, ...]:
    """Row a is better than each of the others on each column."""
    return tuple(one for b in others for one in better(a, b, columns))


def improving(rows: Sequence[str], columns: Sequence[str]) -> tuple[Comparison, ...]:
    """Each row is better than the one before it on each column."""
    return tuple(one for worse, good in itertools.pairwise(rows) for one in better(good, worse, columns))


def shrinking(pairs: Sequence[tuple[str, str]], columns: Iterable[str]) -> tuple[Comparison, ...]:
    """The gain of (with, without) is larger for each pair of rows than for the next one."""
    steps = list(itertools.pairwise(pairs))
    return tuple(
        Comparison(column, ((1, a), (-1, b), (-1, c), (1, d))) for column in columns for (a, b), (c, d) in steps
    )


def decide(comparison: Comparison, values: Values) -> Decision | None:
    """Decide a comparison, or None where a cell has no values.

    The sum of means must clear the root of the summed squared spreads over replicates. A cell with one replicate
    takes the largest spread of the others; where every cell has one, the sign alone decides, as on printed numbers.
    """
    if any(not values.get(place) for place in comparison.places):
        return None
    totals: dict[str, int] = {}
    for coefficient, row in comparison.terms:
        totals[row] = totals.get(row, 0) + coefficient
    cells = {row: list(values[row, comparison.column]) for row in totals}
    spreads = {row: statistics.stdev(found) for row, found in cells.items() if len(found) > 1}
    unknown = max(spreads.values(), default=0.0)
    sign = direction(comparison.column)
    total = sign * math.fsum(c * statistics.fmean(cells[row]) for row, c in totals.items()) + comparison.allowance
    spread = math.sqrt(math.fsum((c * spreads.get(row, unknown)) ** 2 for row, c in totals.items()))
    reached = total > SLACK or (comparison.allowance > 0 and total >= -SLACK)
    state: ClaimState = "holds" if reached else "fails"
    if not math.isfinite(total) or (spread and abs(total) <= spread):
        state = "undecided"
    return Decision(comparison, state, total, _words(comparison, cells, spread), len(spreads) < len(cells))


def _words(comparison: Comparison, cells: Mapping[str, Sequence[float]], spread: float) -> str:
    shown = {row: f"{row} {statistics.fmean(found):.4g}" for row, found in cells.items()}
    if len(shown) == len(comparison.terms) == 2:
        text = " against ".join(shown.values())
    else:
        text = " ".join(f"{'+' if c > 0 else '-'} {shown[row]}" for c, row in comparison.terms).removeprefix("+ ")
    allowance = f", within {comparison.allowance:g}" if comparison.allowance else ""
    return f"{comparison.column}: {text}{allowance}{f' (spread {spread:.2g})' if spread else ''}"


Rule = Callable[[Sequence[ClaimState]], ClaimState]


def every(states: Sequence[ClaimState]) -> ClaimState:
    """Holds if all hold, fails if one fails."""
    if "fails" in states:
        return "fails"
    return "holds" if states and set(states) == {"holds"} else "undecided"


def some(states: Sequence[ClaimState]) -> ClaimState:
    """Holds if one holds, fails if all fail."""
    if "holds" in states:
        return "holds"
    return "fails" if states and set(states) == {"fails"} else "undecided"

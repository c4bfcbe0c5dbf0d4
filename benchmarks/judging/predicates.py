"""Predicates over the cells of a table: sums of cells that must be positive, decided within the spread."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.core.record import ClaimState

Place = tuple[str, str]
Values = Mapping[Place, Sequence[float]]
LOWER = ("fid", "kld", "lpips")
SLACK = 1e-9
LEVEL = 0.05
"""Probability below which a difference is not taken for luck."""


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
    """A comparison decided: its state, how far from zero in units of the column, the cells in words, whether one of
    them has a single replicate, and the probability of such a difference by chance."""

    comparison: Comparison
    state: ClaimState
    margin: float
    text: str
    lone: bool
    chance: float


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


def decide(comparison: Comparison, values: Values, printed: bool = False) -> Decision | None:
    """Decide a comparison by itself, or None where a cell has no values; see `corrected` for several.

    Printed numbers are decided by their sign. Measured ones by Welch's t-test of the sum of means against zero, two
    sided, at 5 %; where a cell has one replicate its spread is unknown and nothing is decided.
    """
    if any(not values.get(place) for place in comparison.places):
        return None
    totals: dict[str, int] = {}
    for coefficient, row in comparison.terms:
        totals[row] = totals.get(row, 0) + coefficient
    cells = {row: list(values[row, comparison.column]) for row in totals}
    sign = direction(comparison.column)
    total = sign * math.fsum(c * statistics.fmean(cells[row]) for row, c in totals.items()) + comparison.allowance
    lone = any(len(found) < 2 for found in cells.values())
    parts = {row: (c**2 * statistics.variance(cells[row]) / len(cells[row]), len(cells[row]) - 1)
             for row, c in totals.items() if len(cells[row]) > 1}
    error = math.sqrt(math.fsum(part for part, _ in parts.values()))
    if not math.isfinite(total) or (lone and not printed):
        chance = 1.0
    else:
        chance = 0.0 if printed else two_sided(total, error, parts.values())
    reached = total > SLACK or (comparison.allowance > 0 and total >= -SLACK)
    state: ClaimState = "undecided" if chance > LEVEL else "holds" if reached else "fails"
    return Decision(comparison, state, total, _words(comparison, cells, error), lone, chance)


def two_sided(total: float, error: float, parts: Iterable[tuple[float, int]]) -> float:
    """Probability of a sum this far from zero by chance: Student's t with Welch and Satterthwaite's degrees.

    Args:
        total: the sum of means.
        error: its standard error.
        parts: of each mean its squared standard error and its degrees of freedom.
    """
    if error <= SLACK * max(abs(total), SLACK):
        return 0.0  # replicates that agree to the last digit
    from scipy.stats import t as student

    degrees = error**4 / math.fsum(part**2 / freedom for part, freedom in parts if part)
    return float(2 * student.sf(abs(total) / error, degrees))


def corrected(decisions: Sequence[Decision | None]) -> list[Decision | None]:
    """The decisions of one claim together: Holm's correction, so that many comparisons do not decide by luck.

    Comparisons that could not be made (None) stay so and do not count.

    From the least probable on, each must stay below 5 % divided by how many are left; the first that does not, and
    all after it, are undecided.
    """
    found, open_ = list(decisions), True
    order = sorted((one.chance, i, one) for i, one in enumerate(decisions) if one)
    for rank, (chance, i, one) in enumerate(order):
        open_ = open_ and chance <= LEVEL / (len(order) - rank)
        if not open_:
            found[i] = replace(one, state="undecided")
    return found


def _words(comparison: Comparison, cells: Mapping[str, Sequence[float]], error: float) -> str:
    shown = {row: f"{row} {statistics.fmean(found):.4g}" for row, found in cells.items()}
    if len(shown) == len(comparison.terms) == 2:
        text = " against ".join(shown.values())
    else:
        text = " ".join(f"{'+' if c > 0 else '-'} {shown[row]}" for c, row in comparison.terms).removeprefix("+ ")
    allowance = f", within {comparison.allowance:g}" if comparison.allowance else ""
    return f"{comparison.column}: {text}{allowance}{f' (standard error {error:.2g})' if error else ''}"


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

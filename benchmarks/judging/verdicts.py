"""Claims as predicates: the cells they need, and how they are decided when cells are missing or stand in for others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.core.record import ClaimState
from benchmarks.judging.predicates import Comparison, Decision, Place, Rule, Values, corrected, decide, every

SUBSTITUTES = {"fid": ("fd_random", "fd-random")}
SHOWN = 4


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper in our words, with its place and the comparisons that make it true.

    `comparisons` may depend on which rows there are (figure 7); `rule` says whether every one must hold or some one.
    """

    id: str
    table: str
    place: str
    text: str
    comparisons: tuple[Comparison, ...] | Callable[[Iterable[str]], tuple[Comparison, ...]]
    rule: Rule = every

    def over(self, rows: Iterable[str]) -> tuple[Comparison, ...]:
        """The comparisons for a table with these rows."""
        return self.comparisons(rows) if callable(self.comparisons) else self.comparisons


@dataclass(frozen=True)
class Judged:
    """A claim judged on one set of cells: its state, the deciding cells in words, and what to know beside them."""

    state: ClaimState
    deciding: tuple[str, ...]
    notes: tuple[str, ...]
    lone: bool


def judge_cells(claim: Claim, given: Values, reasons: Mapping[Place, str], metrics: Mapping[str, str],
                printed: bool = False) -> Judged:
    """Judge a claim on the cells of its table.

    Args:
        claim: the claim.
        given: values by replicate of each cell that has some.
        reasons: why another cell has none.
        metrics: column id -> the metric it holds.
        printed: the cells are the paper's, one number each, decided by their signs.
    """
    if not given:
        return Judged("undecided", (), (f"{claim.table} has no measured cells",), False)
    values, substitutes = _with_substitutes(given, metrics)
    comparisons = claim.over({row for row, _ in values})
    found_for_each = corrected([decide(one, values, printed) for one in comparisons])
    decided = list(zip(comparisons, found_for_each, strict=True))
    decisions = [found for found in found_for_each if found]
    state = claim.rule([found.state if found else "undecided" for _, found in decided])
    absent = dict.fromkeys(p for one, found in decided if not found for p in one.places if not values.get(p))
    notes = []
    if state == "undecided" and absent:
        holding = sum(found.state == "holds" for found in decisions)
        notes.append(_missing(tuple(absent), reasons))
        notes.append(f"{len(decisions)} of {len(decided)} comparisons can be made, of which {holding} hold")
    elif not comparisons:
        notes.append("there are no rows on both sides of the comparison")
    elif state == "undecided" and not any(found.lone for found in decisions):
        open_ = sum(found.state == "undecided" for found in decisions)
        notes.append(f"{open_} of {len(decisions)} differences may be chance at 5 % (Welch's test, Holm's correction)")
    notes += [note for column, note in substitutes.items() if any(one.column == column for one in comparisons)]
    return Judged(state, _deciding(state, decisions), tuple(notes), any(found.lone for found in decisions))


def _with_substitutes(values: Values, metrics: Mapping[str, str]) -> tuple[Values, dict[str, str]]:
    """The cells with a substitute in place of a column that has none, and a note for each column that is one."""
    merged, notes = dict(values), {}
    for column, names in SUBSTITUTES.items():
        if metrics.get(column) in names:
            notes[column] = f"the {column} column holds {metrics[column]}"
        elif not any(found for (_, other), found in values.items() if other == column):
            stand_ins = {row: (name, found) for (row, name), found in values.items() if name in names and found}
            merged |= {(row, column): found for row, (_, found) in stand_ins.items()}
            notes.update((column, f"judged on {name} in place of {column}") for name, _ in stand_ins.values())
    return merged, notes


def _missing(absent: Sequence[Place], reasons: Mapping[Place, str]) -> str:
    """The cells without values, grouped by reason."""
    groups: dict[str, list[str]] = {}
    for place in absent:
        groups.setdefault(reasons.get(place, "not run"), []).append(" ".join(place))
    return "; ".join(f"{reason}: {_some(cells)}" for reason, cells in groups.items())


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")


def _deciding(state: ClaimState, decisions: Sequence[Decision]) -> tuple[str, ...]:
    """The cells that decide, in words: those in the claim's state, or the closest of each column where all hold."""
    chosen = [found for found in decisions if found.state == state]
    if not chosen or state == "holds":
        closest: dict[str, Decision] = {}
        for found in sorted(chosen or decisions, key=lambda one: one.margin):
            closest.setdefault(found.comparison.column, found)
        chosen = list(closest.values())
    return tuple(found.text for found in chosen)

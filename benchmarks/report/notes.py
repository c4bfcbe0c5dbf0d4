"""Reasons as footnotes, each said once: under the table, at a column, at a row, or at the one cell it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.core.record import Cell

MARKS = "abcdefghijklmnopqrstuvwxyz"
UNCOMPARED = "not comparable"


class Notes:
    """Footnotes of one table.

    A reason is a list of clauses. Clauses that all cells of one word (a state, or "not comparable") share are a remark
    on that word; what is left belongs to the column or row whose cells share it, and else to the cell. How far a
    compared cell lies from the printed one is not a footnote: the long form of the table says it.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.used: dict[str, str] = {}
        self._marks: dict[str, str] = {}
        self._given = {(c.row, c.column): _reasons(c) for c in cells}
        words = {word for reasons in self._given.values() for word in reasons}
        self._general = {word: _shared(r[word] for r in self._given.values() if word in r) for word in sorted(words)}
        self._columns = {c: self._left_of(UNCOMPARED, column=c) for c in {cell.column for cell in cells}}
        self._rows = {
            row: {reason for word in words if word != UNCOMPARED if (reason := self._left_of(word, row=row))}
            for row in {cell.row for cell in cells}
        }

    @property
    def remarks(self) -> tuple[tuple[str, str], ...]:
        """(words, clauses) that hold for all cells of these words."""
        words: dict[str, list[str]] = {}
        for word, clauses in self._general.items():
            if clauses:
                words.setdefault("; ".join(clauses), []).append(word)
        return tuple((", ".join(found), reason) for reason, found in words.items())

    def of_column(self, column: str) -> tuple[str, ...]:
        """Marks of a column: why none of its cells is compared."""
        return self._mark([self._columns.get(column, "")])

    def of_row(self, row: str, note: str) -> tuple[str, ...]:
        """Marks of a row: its own note, and why none of its cells holds a number of ours."""
        said = {"; ".join(clauses) for clauses in self._general.values()}
        return self._mark([*({note} - said), *sorted(self._rows.get(row, ()))])

    def of_cell(self, cell: Cell) -> tuple[str, ...]:
        """Marks of a cell: what neither the table, its column nor its row says already."""
        said = {self._columns.get(cell.column, ""), *self._rows.get(cell.row, ())}
        left = [self._left(word, reason) for word, reason in self._given[cell.row, cell.column].items()]
        return self._mark(reason for reason in left if reason not in said)

    def _left(self, word: str, reason: tuple[str, ...]) -> str:
        return "; ".join(clause for clause in reason if clause not in self._general[word])

    def _left_of(self, word: str, row: str = "", column: str = "") -> str:
        """What all cells of a row or column that have this word say beyond the remark; '' where they differ."""
        here = [each for at, each in self._given.items() if row in ("", at[0]) and column in ("", at[1])]
        left = [self._left(word, reasons[word]) for reasons in here if word in reasons]
        return left[0] if len(left) > 1 and len(set(left)) == 1 else ""

    def _mark(self, reasons: Iterable[str]) -> tuple[str, ...]:
        found = []
        for reason in dict.fromkeys(reason for reason in reasons if reason):
            if reason not in self._marks:
                count = len(self._marks)
                self._marks[reason] = MARKS[count % 26] * (1 + count // 26)
                self.used[self._marks[reason]] = reason
            found.append(self._marks[reason])
        return tuple(found)


def _reasons(cell: Cell) -> dict[str, tuple[str, ...]]:
    """Word -> clauses, for the state of a cell and for a comparison that was refused."""
    found: dict[str, tuple[str, ...]] = {cell.state: _clauses(cell.reason)} if cell.reason else {}
    if cell.verdict == UNCOMPARED and cell.paper is not None and cell.state != "quoted":
        found[UNCOMPARED] = _clauses(cell.verdict_reason)
    return found


def _clauses(reason: str) -> tuple[str, ...]:
    return tuple(part for part in reason.split("; ") if part)


def _shared(reasons: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The clauses that all of at least two reasons have, in the order of the first."""
    every = list(reasons)
    if len(every) < 2:
        return ()
    return tuple(clause for clause in every[0] if all(clause in reason for reason in every))

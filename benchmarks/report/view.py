"""A table as the page shows it: cells as text, footnotes in place of repeated reasons, counts for the summary."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from benchmarks.core.record import Cell, Column, Row, TableResult
from benchmarks.core.statistics import ENOUGH
from benchmarks.report.notes import UNCOMPARED, Notes
from benchmarks.report.parts.profiles import ProfileTable
from benchmarks.report.terminal import printed_as
from benchmarks.report.text import best

EXTRA = 3
"""Columns beside the paper's for which a page of 1280 pixels has room."""


@dataclass(frozen=True)
class CellView:
    """One cell: `main` is our number, or the printed one where we have none; `beside` stands right of it (the spread
    or the state), `printed` and `verdict` below. `ours` and `paper` are the numbers that sorting uses; `best` says that
    no other number of ours in the column is better.
    """

    column: Column
    state: str
    main: str
    beside: str = ""
    printed: str = ""
    verdict: str = ""
    marks: tuple[str, ...] = ()
    ours: float | None = None
    paper: float | None = None
    best: bool = False


@dataclass(frozen=True)
class RowView:
    """A row with its cells; `rule` says that a new group of paired data begins here, as ruled in the paper."""

    row: Row
    cells: tuple[CellView, ...]
    rule: bool
    marks: tuple[str, ...]

    @property
    def verdicts(self) -> str:
        """The distinct verdicts and states of the row, separated by bars, for the filter."""
        return "|".join(sorted({c.verdict for c in self.cells if c.verdict} | {c.state for c in self.cells if c.state}))


@dataclass(frozen=True)
class FullCell:
    """One line of the long form: everything a record says about one cell."""

    row: str
    paired: str
    column: str
    state: str
    mean: str
    spread: str
    replicates: str
    interval: str
    images: str
    printed: str
    verdict: str
    reason: str


@dataclass(frozen=True)
class TableView:
    """A table ready for the template. `groups` are (label, number of columns, beside the paper) spans of the header,
    `heads` the footnote marks of the columns, `widths` the characters of their longest numbers.
    """

    result: TableResult
    title: str
    groups: tuple[tuple[str, int, bool], ...]
    columns: tuple[Column, ...]
    more: ProfileTable | None
    heads: dict[str, tuple[str, ...]]
    widths: dict[str, int]
    rows: tuple[RowView, ...]
    spreads: frozenset[str]
    footnotes: tuple[tuple[str, str], ...]
    remarks: tuple[tuple[str, str], ...]
    full: tuple[FullCell, ...]
    filled: tuple[str, ...]
    outcomes: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether the numbers may stand beside the printed ones at all."""
        return self.result.scale == "paper"

    @property
    def paired(self) -> bool:
        """Whether any row says how much paired data it uses."""
        return any(row.row.paired for row in self.rows)

    def count(self, **wanted: str) -> int:
        """Number of cells with this state or verdict, such as count(state="quoted")."""
        return sum(all(getattr(c, key) == value for key, value in wanted.items()) for c in self.result.cells)

    @property
    def deviations(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Deviations by the system that they name before a colon; those that name none come first, under ''."""
        groups: dict[str, list[str]] = {"": []}
        for line in self.result.deviations:
            head, _, rest = line.partition(": ")
            named = bool(rest) and " " not in head
            groups.setdefault(head if named else "", []).append(rest if named else line)
        return tuple((head, tuple(lines)) for head, lines in groups.items() if lines)

    @property
    def uncompared(self) -> int:
        """Number of cells that stand beside a printed number without being compared with it."""
        return sum(c.verdict == UNCOMPARED and c.paper is not None for c in self.result.cells)

    def claims(self, state: str) -> int:
        """Number of claims that came out so on our cells."""
        return sum(claim.ours == state for claim in self.result.claims)


def number(value: float | None, digits: int) -> str:
    """A number with a true minus sign; an empty string for None, words for what is not finite.

    >>> number(-0.5, 2), number(None, 2), number(float("nan"), 2)
    ('−0.50', '', 'not finite')
    """
    if value is None:
        return ""
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else "not finite"


def ours(cell: Cell, digits: int) -> str:
    """Our number of a cell with its spread, as one text."""
    return number(cell.mean, digits) + ("" if cell.spread is None else f" ±{number(cell.spread, digits)}")


def title(name: str) -> str:
    """The name of a table as a reader writes it.

    >>> title("table1"), title("figure7"), title("own")
    ('Table 1', 'Figure 7', 'own')
    """
    for word in ("table", "figure"):
        if name.startswith(word) and name[len(word) :].isdigit():
            return f"{word.capitalize()} {name[len(word) :]}"
    return name


def table_view(result: TableResult) -> TableView:
    """Arrange a result for the page: paper columns first, then the first few of those the paper lacks."""
    extra = [column for column in result.columns if column.extra]
    columns = [*(column for column in result.columns if not column.extra), *extra[:EXTRA]]
    notes = Notes(result.cells)
    heads = {column.id: notes.of_column(column.id) for column in columns}
    leaders = {column.id: best(result, column) for column in columns}
    rows: list[RowView] = []
    for row in result.rows:
        contest = leaders if row.id != "real" else dict.fromkeys(leaders)
        cells = tuple(_cell(result.cell(row.id, c.id), c, notes, contest[c.id]) for c in columns)
        rule = bool(rows) and _part(rows[-1].row) != _part(row)
        rows.append(RowView(row, cells, rule, notes.of_row(row.id, row.note)))
    shown = [(column.group, column.extra) for column in columns]
    return TableView(
        result=result,
        title=title(result.table),
        groups=tuple((group, len(list(items)), extra) for (group, extra), items in groupby(shown)),
        columns=tuple(columns),
        more=_more(result, extra[EXTRA:]),
        heads=heads,
        widths={c.id: max(len(row.cells[i].main) for row in rows) if rows else 0 for i, c in enumerate(columns)},
        rows=tuple(rows),
        spreads=frozenset(cell.column for cell in result.cells if cell.spread is not None),
        footnotes=tuple(notes.used.items()),
        remarks=notes.remarks,
        full=tuple(_full(result)),
        filled=tuple(dict.fromkeys(row.filled for row in result.rows)),
        outcomes=tuple(dict.fromkeys(word for c in result.cells for word in (c.verdict, c.state) if word)),
    )


def _more(result: TableResult, columns: list[Column]) -> ProfileTable | None:
    """The columns for which the table has no room."""
    if not columns:
        return None
    arrows = {"lower": "↓", "higher": "↑"}
    heads = [f"{column.label} {arrows[column.better]}" for column in columns]

    def text(row: Row, column: Column) -> str:
        cell = result.cell(row.id, column.id)
        return ours(cell, column.digits) if cell is not None and cell.mean is not None else "–"

    measured = [row for row in result.rows if row.filled not in ("quoted", "none")]
    lines = tuple((row.label, row.paired, *(text(row, column) for column in columns)) for row in measured)
    return ProfileTable("more measures that the paper does not print", ("System", "Pairs", *heads), lines)


def _part(row: Row) -> str:
    """The part of the table a row belongs to: the paper rules off rows without, with few and with all pairs."""
    if not row.paper:
        return "added"
    return row.paired if row.paired in ("", "0", "all") else "few"


def _printed(cell: Cell, column: Column) -> str:
    """The paper's number, with its metric where that is not the column's."""
    mark = printed_as(column) if cell.paper is not None else ""
    return f"{mark} {number(cell.paper, column.digits)}".strip()


def _cell(cell: Cell | None, column: Column, notes: Notes, leader: float | None) -> CellView:
    if cell is None:
        return CellView(column, "", "")
    printed = _printed(cell, column)
    common: dict[str, Any] = {"column": column, "state": cell.state, "marks": notes.of_cell(cell)}
    common |= {"ours": cell.mean, "paper": cell.paper}
    if cell.mean is None:
        hollow = cell.state == "quoted" and not printed
        return CellView(main=printed or "–", beside="" if hollow else cell.state, **common)
    spread = "" if cell.spread is None else f"±{number(cell.spread, column.digits)}"
    return CellView(
        main=number(cell.mean, column.digits),
        beside=spread if cell.state == "measured" else cell.state,
        printed=printed,
        verdict=cell.verdict if printed else "",
        best=cell.mean == leader,
        **common,
    )


def _full(result: TableResult) -> Iterable[FullCell]:
    for row in result.rows:
        for column in result.columns:
            cell = result.cell(row.id, column.id)
            if cell is None:
                continue
            digits = column.digits + 1
            low_high = [number(bound, digits) for bound in cell.interval or ()]
            yield FullCell(
                row=row.label,
                paired=row.paired,
                column=" ".join(filter(None, (column.group, column.label))),
                state=cell.state,
                mean=number(cell.mean, digits),
                spread=number(cell.spread, digits),
                replicates=", ".join(number(value, digits) for value in cell.values),
                interval=" to ".join(low_high) + (" (rough)" if low_high and cell.images < ENOUGH else ""),
                images=str(cell.images or ""),
                printed=_printed(cell, column),
                verdict=cell.verdict,
                reason="; ".join(filter(None, (cell.reason, cell.verdict_reason))),
            )

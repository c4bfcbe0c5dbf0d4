"""Tables in a terminal: one screen of 80 columns, the reading last, colours only where the terminal wants them.

Notes, deviations and the columns that the paper lacks are counted here and read in the files.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from benchmarks.core.record import Cell, ClaimResult, Column, Row, TableResult
from benchmarks.core.units import counted
from benchmarks.report.escape import plain, throughout

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

MARKS = {"match": "=", "within spread": "~", "differs": "!", "not comparable": "", "": ""}
STATES = {"quoted": "quoted", "needs server": "server", "not run": "-"}
FILLED = {
    "trained": "trained",
    "released checkpoint": "released",
    "released weights": "weights",
    "external": "external",
    "plugin": "plugin",
    "quoted": "quoted",
    "none": "not run",
}
COLOURS = {"match": "green", "within spread": "green", "differs": "red", "not comparable": "", "": ""}
PRINTED_AS = {"fd_random": "FID"}
"""Metric of a column -> the metric that the paper prints there, where the two may not be taken for one another."""
LABEL = 24
CLAIM_COLOURS = {"holds": "green", "fails": "red", "undecided": "yellow"}


def console(out: TextIO | None = None) -> Console:
    """A rich console on a stream; plain text of 80 columns where it is no terminal, no colours with NO_COLOR."""
    from rich.console import Console

    stream = out or sys.stdout
    width = None if stream.isatty() else int(os.environ.get("COLUMNS", "") or 80)
    return Console(file=stream, width=width, no_color=bool(os.environ.get("NO_COLOR")) or None, highlight=False)


def number(value: float, digits: int) -> str:
    """A number with the digits of its column; tiny ones keep two significant digits."""
    return f"{value:.{digits}f}" if value == 0 or abs(value) >= 0.5 * 10**-digits else f"{value:.1e}"


def cell_text(cell: Cell | None, column: Column) -> str:
    """Our value with its spread, or the state of the cell, without the printed number."""
    if cell is None:
        return "-"
    if cell.mean is None:
        return STATES.get(cell.state, cell.state)
    spread = f"±{number(cell.spread, column.digits)}" if cell.spread is not None else ""
    return number(cell.mean, column.digits) + spread + MARKS[cell.verdict]


def printed_as(column: Column) -> str:
    """The metric of the paper's numbers in a column where it is not the column's own, or nothing; escaped names too."""
    return PRINTED_AS.get(column.metric.replace("\\", ""), "")


def printed_text(cell: Cell | None, column: Column) -> str:
    """The paper's number, with its metric where that is not the column's; or nothing."""
    if cell is None or cell.paper is None:
        return ""
    return f"{printed_as(column)} {number(cell.paper, column.digits)}".strip()


def show(result: TableResult, out: TextIO | None = None, where: str = "") -> None:
    """Print a table: for each row ours above the paper's, then the claims; `where` names the files with the rest."""
    from rich.table import Table
    from rich.text import Text

    result = throughout(result, plain)
    screen = console(out)
    seeds = f"{'seed' if len(result.seeds) == 1 else 'seeds'} {', '.join(str(s) for s in result.seeds)}"
    screen.print(Text(f"{result.table}: {result.caption}", style="bold"))
    small = "" if result.scale == "paper" else ": no cell is compared with the paper"
    screen.print(Text(f"{result.data} data, {result.scale} scale, {seeds}{small}", style="dim"))
    lines = [(row, [result.cell(row.id, column.id) for column in _columns(result)]) for row in result.rows]
    widths = _widths(result, lines)
    for first, last in _parts(widths, screen.width - _label_width(result)):
        part = _columns(result)[first:last]
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        table.add_column("row", overflow="fold", width=_label_width(result))
        table.add_column("pairs", no_wrap=True)
        table.add_column("", no_wrap=True)
        for column, width in zip(part, widths[first:last], strict=True):
            table.add_column(Text(_head(column)), justify="right", overflow="fold", width=width)
        for row, all_cells in lines:
            pairs = list(zip(all_cells[first:last], part, strict=True))
            ours = [
                Text(cell_text(cell, column), style=COLOURS[cell.verdict] if cell else "") for cell, column in pairs
            ]
            quoted = row.filled == "quoted"
            if not quoted:
                table.add_row(Text(row.label), row.paired, FILLED[row.filled], *ours)
            if any(cell is not None and cell.paper is not None for cell, _ in pairs):
                paper = [Text(printed_text(cell, column), style="dim") for cell, column in pairs]
                table.add_row(Text(row.label if quoted else ""), row.paired if quoted else "", "paper", *paper)
        screen.print(table)
    for line in (*_comparison(result), *_claims(result), *_not_run(result)):
        screen.print(line)
    screen.print(Text(_elsewhere(result, where), style="dim"))


def _columns(result: TableResult) -> list[Column]:
    """The paper's columns; all where the paper has none of them."""
    return [column for column in result.columns if not column.extra] or list(result.columns)


def _head(column: Column) -> str:
    return f"{column.group} {column.label}{'↓' if column.better == 'lower' else '↑'}".strip()


def _widths(result: TableResult, lines: Sequence[tuple[Row, Sequence[Cell | None]]]) -> list[int]:
    """Characters of the longest word of each column."""
    found = []
    for place, column in enumerate(_columns(result)):
        words = _head(column).split()
        for _, cells in lines:
            words += [cell_text(cells[place], column), printed_text(cells[place], column)]
        found.append(max(map(len, words)))
    return found


def _label_width(result: TableResult) -> int:
    return max(3, min(LABEL, max((len(row.label) for row in result.rows), default=0)))


def _parts(widths: Sequence[int], width: int) -> list[tuple[int, int]]:
    """Ranges of columns that fit the width right of the rows' names."""
    whole = width - len("pairs") - len("released") - 3
    found, start, room = [], 0, whole
    for place, need in enumerate(widths):
        if place > start and room < need + 1:
            found.append((start, place))
            start, room = place, whole
        room -= need + 1
    return [*found, (start, len(widths))] if widths else []


def _comparison(result: TableResult) -> list[Text]:
    """The cells' verdicts in numbers, or why none is compared."""
    from rich.text import Text

    verdicts = [cell.verdict for cell in result.cells if cell.verdict and cell.verdict != "not comparable"]
    if verdicts:
        counts = ", ".join(
            f"{verdicts.count(v)} {v} {MARKS[v]}" for v in ("match", "within spread", "differs") if v in verdicts
        )
        return [Text(f"verdicts: {counts}")]
    if result.scale != "paper":
        return []
    reasons = [cell.verdict_reason for cell in result.cells if cell.verdict == "not comparable"
               and cell.paper is not None and cell.verdict_reason]
    shared = [clause for clause in reasons[0].split("; ") if all(clause in each for each in reasons)] if reasons else []
    return [Text(f"no cell is compared with the paper: {shared[-1]}", style="dim")] if shared else []


def _claims(result: TableResult) -> list[Text]:
    """Each claim that is decided with what decides it; those that are not by their reason, in words."""
    from rich.text import Text

    found = [claim_text(claim) for claim in result.claims if claim.ours != "undecided"]
    open_: dict[str, list[str]] = {}
    for claim in result.claims:
        if claim.ours == "undecided":
            reason, count = _why(claim)
            open_.setdefault(reason, []).append(claim.id + count)
    for reason, names in open_.items():
        text = Text()
        text.append("undecided", style=CLAIM_COLOURS["undecided"])
        text.append(f" {', '.join(names)}" + (f": {reason}" if reason else ""))
        found.append(text)
    return found


def _why(claim: ClaimResult) -> tuple[str, str]:
    """The reason without what is said of the column, and without its count, which comes second."""
    clauses = [part for part in claim.reason.split("; ") if not re.match(r"the \S+ column holds|judged on", part)]
    match = re.match(r"(\d+ of \d+) (?=differences)", clauses[0]) if clauses else None
    return (clauses[0][match.end() :], f" ({match[1]})") if match else (clauses[0] if clauses else "", "")


def _not_run(result: TableResult) -> list[Text]:
    """Why cells are empty: the first reasons, and the number of the others."""
    from rich.text import Text

    failed = why_empty(result, ("not run",))
    more = [f"and {counted(len(failed) - 2, 'more reason')}"] if len(failed) > 2 else []
    return [Text(f"not run: {'; '.join((*failed[:2], *more))}")] if failed else []


def why_empty(result: TableResult, states: tuple[str, ...]) -> list[str]:
    """Each reason for empty cells of these states once, with the rows that it keeps empty."""
    rows: dict[str, dict[str, None]] = {}
    for cell in result.cells:
        if cell.state in states and cell.reason:
            rows.setdefault(cell.reason, {})[cell.row] = None
    return sorted(f"{', '.join(names)}: {reason}" for reason, names in rows.items())


def _elsewhere(result: TableResult, where: str) -> str:
    """What the files hold beside this."""
    extra = len(result.columns) - len(_columns(result))
    counts = [(len(result.notes), "note"), (len(result.deviations), "deviation"), (extra, "more column")]
    said = ", ".join(counted(count, word) for count, word in counts if count)
    return f"in full{f', with {said}' if said else ''}: {where or 'report.html, table.md'}"


def claim_text(claim: ClaimResult) -> Text:
    """One claim: its verdict here, the sentence, its verdict on the printed cells, and the cells that decide it."""
    from rich.text import Text

    text = Text()
    text.append(f"{claim.ours:9}", style=CLAIM_COLOURS[claim.ours])
    text.append(f" {claim.id}: {claim.text}")
    if claim.printed != claim.ours:
        text.append(f" (on the printed cells: {claim.printed})", style="dim")
    if claim.deciding:
        text.append(f" [{claim.deciding[0]}{'; ...' if len(claim.deciding) > 1 else ''}]", style="dim")
    return text


def overview(results: Sequence[TableResult], page: str, out: TextIO | None = None) -> None:
    """Print one line a table, with its cells and claims, and where the page over all of them is."""
    from rich.table import Table
    from rich.text import Text

    screen = console(out)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    heads = ("table", "measured", "quoted", "server", "not run", "hold", "fail", "undecided")
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left", no_wrap=True)
    for result in results:
        states = [cell.state for cell in result.cells]
        claims = [claim.ours for claim in result.claims]
        counts = [states.count("measured"), states.count("quoted"),
                  states.count("needs server") + states.count("server score"), states.count("not run"),
                  *(claims.count(word) for word in ("holds", "fails", "undecided"))]
        table.add_row(Text(plain(result.table)), *(str(count) for count in counts))
    totals = {"table": len(results), "cell": sum(len(r.cells) for r in results),
              "claim": sum(len(r.claims) for r in results)}
    screen.print(Text(", ".join(counted(count, word) for word, count in totals.items()), style="bold"))
    screen.print(table)
    screen.print(Text(f"page: {page}"))

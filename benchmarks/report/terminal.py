"""Tables and plans in a terminal: 80 columns are enough, colours only where the terminal wants them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from benchmarks.core.record import Cell, ClaimResult, Column, TableResult
from benchmarks.report.escape import plain, throughout

if TYPE_CHECKING:
    from rich.console import Console

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


def printed_text(cell: Cell | None, column: Column) -> str:
    """The paper's number, or nothing."""
    return number(cell.paper, column.digits) if cell is not None and cell.paper is not None else ""


def show(result: TableResult, out: TextIO | None = None, extras: bool = True) -> None:
    """Print a table: for each row ours above the paper's, then claims, notes and deviations."""
    from rich.table import Table
    from rich.text import Text

    result = throughout(result, plain)
    screen = console(out)
    screen.print(Text(f"{result.table}: {result.caption}", style="bold"))
    seeds = f"seeds {', '.join(str(s) for s in result.seeds)}"
    screen.print(Text(f"data {result.data}, scale {result.scale}, {seeds}", style="dim"))
    for part in _parts(result, extras, screen.width):
        table = Table(box=None, pad_edge=False, padding=(0, 1), show_edge=False)
        table.add_column("row", overflow="fold", min_width=8)
        table.add_column("pairs", no_wrap=True)
        table.add_column("", no_wrap=True)
        for column in part:
            arrow = "↓" if column.better == "lower" else "↑"
            head = f"{column.group} {column.label}{arrow}".strip()
            table.add_column(Text(head, style="dim" if column.extra else ""), justify="right", overflow="fold")
        for row in result.rows:
            cells = [result.cell(row.id, column.id) for column in part]
            pairs = list(zip(cells, part, strict=True))
            ours = [
                Text(cell_text(cell, column), style=COLOURS[cell.verdict] if cell else "") for cell, column in pairs
            ]
            quoted = row.filled == "quoted"
            if not quoted:
                table.add_row(Text(row.label), row.paired, FILLED[row.filled], *ours)
            if any(cell is not None and cell.paper is not None for cell in cells):
                paper = [Text(printed_text(cell, column), style="dim") for cell, column in pairs]
                table.add_row(Text(row.label if quoted else ""), row.paired if quoted else "", "paper", *paper)
        screen.print(table)
    _foot(result, screen)


def _parts(result: TableResult, extras: bool, width: int) -> list[list[Column]]:
    """Columns in groups that fit the width: the paper's columns first, then the extra ones."""
    room = max(2, (width - 34) // 11)
    found = []
    for extra in (False, True):
        columns = [column for column in result.columns if column.extra == extra and (extras or not extra)]
        found += [columns[i : i + room] for i in range(0, len(columns), room)]
    return found


def _foot(result: TableResult, screen: Console) -> None:
    from rich.text import Text

    verdicts = [cell.verdict for cell in result.cells if cell.verdict and cell.verdict != "not comparable"]
    if verdicts:
        counts = ", ".join(
            f"{verdicts.count(v)} {v} {MARKS[v]}" for v in ("match", "within spread", "differs") if v in verdicts
        )
        screen.print(Text(f"verdicts: {counts}"))
    else:
        reasons = sorted({cell.verdict_reason for cell in result.cells if cell.verdict == "not comparable"})
        if reasons:
            screen.print(Text(f"no cell is comparable with the paper: {reasons[0]}", style="dim"))
    if result.claims:
        screen.print(Text("claims of the paper", style="bold"))
        for claim in result.claims:
            screen.print(claim_text(claim))
    for title, lines in (("notes", result.notes), ("not as in the paper", result.deviations)):
        if lines:
            screen.print(Text(title, style="bold"))
            for line in lines:
                screen.print(Text(f"- {line}", style="dim"))
    failed = sorted({f"{cell.row}: {cell.reason}" for cell in result.cells if cell.state == "not run" and cell.reason})
    if failed:
        screen.print(Text("not run", style="bold"))
        for line in failed:
            screen.print(Text(f"- {line}", style="dim"))


def claim_text(claim: ClaimResult) -> object:
    """One claim on one or two lines: its verdict here and on the printed cells, and the cells that decide it."""
    from rich.text import Text

    text = Text()
    text.append(f"{claim.ours:9}", style=CLAIM_COLOURS[claim.ours])
    text.append(f" {claim.id}: {claim.text}")
    if claim.printed != claim.ours:
        text.append(f" (on the printed cells: {claim.printed})", style="dim")
    if claim.reason and claim.ours == "undecided":
        text.append(f" ({claim.reason})", style="dim")
    if claim.deciding:
        text.append(f" [{'; '.join(claim.deciding[:3])}{'; ...' if len(claim.deciding) > 3 else ''}]", style="dim")
    return text

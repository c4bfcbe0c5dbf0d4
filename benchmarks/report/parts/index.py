"""One page over all finished runs of a folder: what came out where, and tables that were run on several data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.core.record import TableResult, read
from benchmarks.report.html import TEMPLATES, environment
from benchmarks.report.view import ours, title
from senm.support.errors import DataError
from senm.support.files import write_text

PAGE = "index.html"


@dataclass(frozen=True)
class Run:
    """A finished run, and where its own page is, from the folder of runs."""

    result: TableResult
    page: str

    @property
    def name(self) -> str:
        """Data and scale, and that it has only some rows."""
        return f"{self.result.data}, {self.result.scale}" + (", some rows" if self.page.split("/")[1].endswith("-rows")
                                                              else "")

    def count(self, state: str) -> int:
        """Claims that came out so."""
        return sum(claim.ours == state for claim in self.result.claims)

    @property
    def measured(self) -> int:
        """Cells with a number of ours."""
        return sum(cell.state == "measured" for cell in self.result.cells)


@dataclass(frozen=True)
class Side:
    """A table over the runs that it has: lines are (system, pairs, a text for each run and printed column)."""

    title: str
    runs: tuple[Run, ...]
    columns: tuple[str, ...]
    lines: tuple[tuple[str, str, tuple[str, ...]], ...]


def runs_in(folder: Path) -> list[Run]:
    """The finished runs below a folder, by table, data and scale; what is no readable record is passed over."""
    found = []
    for path in sorted(folder.glob("*/*/table.json")):
        try:
            found.append(Run(read(path, TableResult), f"{path.parent.parent.name}/{path.parent.name}/report.html"))
        except DataError:
            continue
    return found


def sides(runs: Sequence[Run]) -> list[Side]:
    """The tables that were run more than once, each with its runs beside each other."""
    found = []
    for table in dict.fromkeys(run.result.table for run in runs):
        mine = tuple(run for run in runs if run.result.table == table)
        if len(mine) < 2:
            continue
        rows = {row.id: row for run in mine for row in run.result.rows}
        columns = [column for column in mine[0].result.columns if not column.extra]
        lines = []
        for row in rows.values():
            texts = tuple(_text(run.result, row.id, column.id, column.digits) for run in mine for column in columns)
            if any(texts):
                lines.append((row.label, row.paired, texts))
        heads = tuple(f"{column.group} {column.label}".strip() for column in columns)
        found.append(Side(title(table), mine, heads, tuple(lines)))
    return found


def _text(result: TableResult, row: str, column: str, digits: int) -> str:
    cell = result.cell(row, column)
    if cell is None or cell.state != "measured":
        return ""
    return ours(cell, digits)


def write_index(folder: Path) -> Path | None:
    """Write `index.html` over the runs of a folder; None where there is none."""
    runs = runs_in(folder)
    if not runs:
        return None
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    text = environment().get_template("index.html.j2").render(runs=runs, sides=sides(runs), style=style)
    target = folder / PAGE
    write_text(target, text)
    return target

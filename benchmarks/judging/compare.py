"""Measured cells against printed ones: match, within spread, differs, or not comparable and why."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from benchmarks.core.record import Cell, Column, Frozen, TableResult, Verdict
from benchmarks.core.units import counted
from senm.support.errors import DataError

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "paper.json"
PAPER_SCALE = "paper"
LEVEL = 0.05
"""Probability that a run of the same law as the printed one is called different."""
SERVER = "server"


class Convention(Frozen):
    """A metric convention of the paper: which of our metrics measure it, and how that is known."""

    accepts: tuple[str, ...]
    certain: bool
    evidence: str


class PrintedCell(Frozen):
    """One number as the paper prints it, with everything that must be equal before it may be compared."""

    table: str
    row: str
    column: str
    value: float
    digits: int
    better: Literal["lower", "higher"]
    convention: str
    split: str
    images: int
    data: str
    note: str = ""


class Reference(Frozen):
    """All printed cells and the conventions they are in."""

    version: Literal[1]
    source: str
    conventions: dict[str, Convention]
    cells: tuple[PrintedCell, ...]

    def cell(self, table: str, row: str, column: str) -> PrintedCell | None:
        """The printed cell, or None where the paper prints none."""
        return _index(self).get((table, row, column))

    def table(self, name: str) -> dict[tuple[str, str], PrintedCell]:
        """The printed cells of a table by (row id, column id)."""
        return {(row, column): cell for (table, row, column), cell in _index(self).items() if table == name}


def _index(reference: Reference) -> dict[tuple[str, str, str], PrintedCell]:
    return {(cell.table, cell.row, cell.column): cell for cell in reference.cells}


@functools.lru_cache(maxsize=4)
def printed(path: Path = REFERENCE) -> Reference:
    """The paper's numbers.

    Raises:
        DataError: the file is missing or not in this version's form.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing", "the paper's numbers, kept in the repository", f"git checkout -- {path}")
    try:
        return Reference.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"{path} is not the paper's numbers: {place}: {first['msg']}") from None


def obstacles(
    convention: str, split: str, images: int, scale: str, data: str, reference: PrintedCell, source: Reference
) -> list[str]:
    """Why a measured number may not be held against the printed one, a clause each; empty if nothing hinders."""
    accepted = source.conventions[reference.convention].accepts
    found = []
    if convention not in accepted:
        found.append(f"measured as {convention}, printed as {reference.convention}")
    if split != reference.split:
        found.append(f"measured on the {split} split, printed for {reference.split}")
    if data.partition(":")[0] != reference.data:
        found.append(f"measured on {data.partition(':')[0]}, printed for {reference.data}")
    if images != reference.images and reference.convention != SERVER:
        found.append(f"measured on {counted(images, 'image')}, printed for {reference.images}")
    if scale != PAPER_SCALE:
        found.append(f"run at scale {scale}, printed at the paper's")
    return found


def verdict(
    values: Sequence[float],
    spread: float | None,
    convention: str,
    split: str,
    images: int,
    scale: str,
    data: str,
    reference: PrintedCell | None,
    source: Reference | None = None,
) -> tuple[Verdict, str]:
    """Hold the mean over replicates against a printed cell.

    A match rounds to the printed digits. Within spread: no farther than Student's t, two sided at 5 %, times the
    standard deviation of (mean of our n replicates - one more run), which is spread * sqrt(1 + 1/n), since the printed
    number is one run. One replicate has no spread, so that what is no match cannot be compared.

    Args:
        values: our number by replicate.
        spread: standard deviation over replicates, None where there is one.
        convention: name of the metric in `benchmarks.metrics.METRICS`, or 'server'.
        split: the images it was measured on.
        images: how many those are.
        scale: smoke, short or paper.
        data: name of the data set, with or without ':PATH'.
        reference: the printed cell, None where the paper prints none.
        source: the paper's numbers, for their conventions; those of the repository by default.

    Returns:
        The verdict and its reason. An empty verdict means that nothing was measured.
    """
    if not values:
        return "", "nothing was measured"
    if reference is None:
        return "not comparable", "the paper prints no such number"
    source = source or printed()
    hindered = obstacles(convention, split, images, scale, data, reference, source)
    if hindered:
        return "not comparable", "; ".join(hindered)
    mean = math.fsum(values) / len(values)
    if not math.isfinite(mean):
        return "not comparable", f"the measured value is {mean}"
    gap = mean - reference.value
    rounding = 0.5 * 10.0**-reference.digits + 1e-9
    caveats = (
        [] if source.conventions[reference.convention].certain else [source.conventions[reference.convention].evidence]
    )
    caveats += [reference.note] if reference.note else []
    side = "better" if (gap > 0) == (reference.better == "higher") else "worse"
    text = f"{gap:+.{reference.digits + 1}f} ({side})"
    if abs(gap) <= rounding:
        return "match", "; ".join(["rounds to the printed number", *caveats])
    if spread is None:
        return "not comparable", "one replicate, whose spread is unknown: run with --seeds 0,1,2"
    from scipy.stats import t as student

    quantile = float(student.ppf(1 - LEVEL / 2, len(values) - 1))
    allowed = quantile * spread * math.sqrt(1 + 1 / len(values)) + rounding
    words = f"{text}, allowed {allowed:.{reference.digits + 1}f} by the spread over {len(values)} replicates"
    return ("within spread" if abs(gap) <= allowed else "differs"), "; ".join([words, *caveats])


def compared(cell: Cell, column: Column, table: str, scale: str, data: str, source: Reference | None = None) -> Cell:
    """The cell with the printed number, the verdict and its reason filled in."""
    source = source or printed()
    reference = source.cell(table, cell.row, column.id)
    if cell.state == "quoted":
        return cell.model_copy(update={"paper": reference.value if reference else None})
    convention = SERVER if cell.state == "server score" else column.metric
    found, reason = verdict(
        cell.values, cell.spread, convention, column.split, cell.images, scale, data, reference, source
    )
    paper = reference.value if reference else None
    return cell.model_copy(update={"paper": paper, "verdict": found, "verdict_reason": reason if cell.values else ""})


def compare_table(result: TableResult, source: Reference | None = None) -> TableResult:
    """The table with every cell held against the paper."""
    columns = {column.id: column for column in result.columns}
    cells = tuple(
        compared(cell, columns[cell.column], result.table, result.scale, result.data, source) for cell in result.cells
    )
    return result.model_copy(update={"cells": cells})

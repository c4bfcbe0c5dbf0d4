"""Every number of a table made again from the records it names: what was edited by hand is named.

A cell's values must be those of its records, a record's value the mean over its images, mean, spread and interval those
of the values, verdicts and claims those of the cells. Metrics of a whole set (FID) have no values by image: theirs are
held against the record alone.
"""

from __future__ import annotations

import math
from pathlib import Path

from benchmarks.core.record import Cell, Column, EvaluationRecord, Measurement, TableResult, read
from benchmarks.core.statistics import interval, mean_and_spread
from benchmarks.judging.claims import judge_result
from benchmarks.judging.compare import compare_table
from senm.support.errors import DataError

CLOSE = 1e-9


def contradictions(result: TableResult, folder: Path) -> list[str]:
    """What of a table its own records do not say, a sentence each; empty where all agrees.

    Args:
        result: the table.
        folder: what its `records` are relative to.
    """
    try:
        records = {name: _read(folder, file) for name, file in result.records.items()}
    except DataError as error:
        return [str(error)]
    columns = {column.id: column for column in result.columns}
    found = []
    for cell in result.cells:
        if cell.state == "measured" and cell.values:
            found += [f"{cell.row} {cell.column}: {each}" for each in _of_cell(cell, columns[cell.column], records)]
    again = compare_table(result)
    for ours, theirs in zip(result.cells, again.cells, strict=True):
        if (ours.paper, ours.verdict) != (theirs.paper, theirs.verdict):
            said, made = (f"{each.verdict or 'none'} of {each.paper}" for each in (ours, theirs))
            found.append(f"{ours.row} {ours.column}: the verdict is {said}, by its cells {made}")
    judged = {claim.id: claim.ours for claim in judge_result(again)}
    for claim in result.claims:
        if judged.get(claim.id) != claim.ours:
            found.append(f"claim {claim.id} is said to be {claim.ours}, by its cells {judged.get(claim.id, 'unknown')}")
    return found


def _read(folder: Path, file: str) -> EvaluationRecord:
    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"the table names a record outside its folder: {file}")
    record: EvaluationRecord = read(path, EvaluationRecord)
    return record


def _of_cell(cell: Cell, column: Column, records: dict[str, EvaluationRecord]) -> list[str]:
    measured = _measurements(cell.row, column, records)
    values = tuple(each.value for each in measured)
    if not same(cell.values, values):
        return [f"the table has the values {_list(cell.values)}, its records {_list(values)}"]
    found = []
    mean, spread = mean_and_spread(values)
    if cell.mean is not None and not same([cell.mean], [mean]):
        found.append(f"the mean is {cell.mean:.6g}, of its values {mean:.6g}")
    if cell.spread is not None and not same([cell.spread], [spread or 0.0]):
        found.append(f"the spread is {cell.spread:.6g}, of its values {spread or 0.0:.6g}")
    if cell.images != measured[0].images:
        found.append(f"{cell.images} images, in its record {measured[0].images}")
    bounds = interval(list(measured[0].per_image.values())) if measured[0].per_image else None
    if cell.interval is not None and not same(cell.interval, bounds or ()):
        found.append(f"the interval is {_list(cell.interval)}, over its images {_list(bounds or ())}")
    return found


def _measurements(row: str, column: Column, records: dict[str, EvaluationRecord]) -> list[Measurement]:
    """The measurements of a cell by replicate; one that no seed changes was measured once."""
    found, seen = [], []
    for name, record in records.items():
        if name.rpartition("-")[0].rpartition("-")[0] == row and record not in seen:
            chosen = [m for m in record.measurements if (m.metric, m.split) == (column.metric, column.split)]
            seen += [record] if chosen else []
            found += chosen
    return found


def same(a: tuple[float, ...] | list[float], b: tuple[float, ...] | list[float]) -> bool:
    """Whether numbers are equal up to the rounding of a sum; infinite ones of one sign are."""
    if len(a) != len(b):
        return False
    return all(x == y or math.isclose(x, y, rel_tol=CLOSE, abs_tol=CLOSE) for x, y in zip(a, b, strict=True))


def _list(values: tuple[float, ...] | list[float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"

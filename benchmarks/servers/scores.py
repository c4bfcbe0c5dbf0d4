"""Scores that the benchmark servers returned, kept with their date and source; a table's server columns show them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from benchmarks.core.options import SCALES
from benchmarks.core.record import Frozen
from benchmarks.data import datasets
from benchmarks.tables import table
from senm.support.errors import DataError, UsageError, unknown
from senm.support.files import changing, write_text

FILE = Path(__file__).resolve().parents[2] / "results" / "scores.json"


class Score(Frozen):
    """One returned score. `date` is ISO 8601; `source` says where it can be looked up."""

    table: str
    row: str
    column: str
    value: float
    date: str
    source: str
    scale: str = "paper"
    data: str = "sidd"


def read_scores(path: Path = FILE) -> list[Score]:
    """All stored scores, oldest first.

    Raises:
        DataError: the file is not readable.
    """
    if not path.exists():
        return []
    try:
        scores = [Score.model_validate(item) for item in json.loads(path.read_text(encoding="utf-8"))]
        latest(scores)
    except (ValueError, TypeError, OSError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}", "a list of scores") from error
    return scores


def add(score: Score, path: Path = FILE) -> None:
    """Store a score; an older one of the same cell, data and scale is kept and no longer shown.

    Of its data the kind is kept, by which tables look it up: 'sidd' of 'sidd:PATH'.

    Raises:
        UsageError: a table, row or column that does not exist or is not a server's, a scale or data set on which the
            table never runs, a bad date, an impossible value.
    """
    spec = table(score.table)
    spec.row(score.row)
    columns = {column.id: column for column in spec.columns if column.metric.endswith("_server")}
    if score.column not in columns:
        raise unknown(f"server column of {score.table}", score.column, columns)
    if score.scale not in SCALES:
        raise unknown("scale", score.scale, SCALES)
    kind = score.data.partition(":")[0]
    kinds = [known for known in datasets.KINDS if datasets.fits(datasets.Spec(known), spec.task)]
    if kind not in kinds:
        raise unknown(f"data set of {score.table}", kind, kinds)
    try:
        day = date.fromisoformat(score.date).isoformat()
    except ValueError:
        raise UsageError(f"--date {score.date!r}", "a date such as 2024-06-17") from None
    low, high = (0.0, 100.0) if score.column.endswith("psnr") else (0.0, 1.0)
    if not low < score.value < high:
        raise UsageError(f"{score.column} of {score.value:g}", f"a value between {low:g} and {high:g}")
    if not score.source.strip():
        raise UsageError("the score has no source", "where it can be looked up, such as the server's page")
    with changing(path):
        scores = [*read_scores(path), score.model_copy(update={"data": kind, "date": day})]
        write_text(path, json.dumps([item.model_dump() for item in scores], indent=1) + "\n")



def known_scores(name: str, data: str, scale: str, path: Path = FILE) -> dict[tuple[str, str], float]:
    """The latest score of each cell of a table: (row, column) -> value."""
    return latest(score for score in read_scores(path) if (score.table, score.data, score.scale) == (name, data, scale))


def latest(scores: Iterable[Score]) -> dict[tuple[str, str], float]:
    """The score of the latest date for each (row, column); of two on one day the one stored last."""
    by_date = sorted(scores, key=lambda score: date.fromisoformat(score.date))
    return {(score.row, score.column): score.value for score in by_date}

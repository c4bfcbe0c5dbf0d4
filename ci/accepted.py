"""Accepted records: what later runs are held against, each with its margins and the reason why it was accepted.

results/accepted/<machine>/<scale>/ holds one file a table and speed.json, results/accepted/golden/ one file a platform.
A replaced file moves to earlier/ beside it, so that reasons are kept.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.core.record import VERSION, Cell, Column, Frozen, GoldenRecord, SpeedRecord, TableResult
from benchmarks.core.statistics import mean_and_spread
from senm.support.errors import DataError, UsageError
from senm.support.files import changing, writable, write_bytes, write_text

ROOT = Path(__file__).resolve().parents[1] / "results" / "accepted"
FALSE_ALARMS = 0.01
"""Probability that one gate run over all cells of a table raises a false alarm, if cells are normal over seeds."""
LEAST_REPLICATES = 3
SLACK = 0.10
"""A speed ratio may fall by this share at least: other processors gain differently from the same savings."""


class Margin(Frozen):
    """How far the mean of new replicates may be from the accepted mean, and what that was made from.

    `spread` is the standard deviation over `replicates` seeds, `quantile` Student's t for the false-alarm rate,
    `floor` what rounding and other processors may change at least.
    """

    mean: float
    spread: float
    replicates: int
    quantile: float
    floor: float
    images: int

    def width(self, replicates: int) -> float:
        """The margin for the mean of this many new replicates."""
        return self.floor + self.quantile * self.spread * math.sqrt(1 / replicates + 1 / self.replicates)


class AcceptedTable(Frozen):
    """An accepted table with the margins of its measured cells by key (`key_of`)."""

    version: int = VERSION
    accepted: str
    reason: str
    margins: dict[str, Margin]
    record: TableResult


class AcceptedSpeed(Frozen):
    """Accepted speed ratios: the least that passes, from the spread over `runs` runs."""

    version: int = VERSION
    accepted: str
    reason: str
    ratios: dict[str, tuple[float, ...]]
    least: dict[str, float]
    runs: int
    record: SpeedRecord


class AcceptedGolden(Frozen):
    """Accepted golden numbers of one platform."""

    version: int = VERSION
    accepted: str
    reason: str
    record: GoldenRecord


def key_of(cell: Cell, column: Column) -> str:
    """What identifies a number: row, column, metric with its convention, split."""
    return f"{cell.row} | {cell.column} | {column.metric} | {column.split}"


def measured(table: TableResult) -> dict[str, Cell]:
    """The measured cells of a table by key."""
    columns = {column.id: column for column in table.columns}
    return {key_of(c, columns[c.column]): c for c in table.cells if c.state == "measured"}


def margins(table: TableResult) -> dict[str, Margin]:
    """Margins from the measured spread over the replicates of a table.

    Raises:
        UsageError: too few replicates, an empty measurement, or a value that is not finite.
    """
    from scipy.stats import t as student

    cells = measured(table)
    if not cells:
        raise UsageError(f"{table.table} has no measured cell", "a run that measured something")
    digits = {column.id: column.digits for column in table.columns}
    found = {}
    for key, cell in cells.items():
        n = len(cell.values)
        if n < LEAST_REPLICATES:
            raise UsageError(
                f"{key} has {n} replicates", f"at least {LEAST_REPLICATES} to measure a spread", "run with --seeds 0-9"
            )
        if not all(map(math.isfinite, cell.values)) or cell.images < 1:
            raise UsageError(f"{key} is an empty or not finite measurement", "finite values on at least one image")
        mean, spread = mean_and_spread(cell.values)
        found[key] = Margin(
            mean=mean,
            spread=spread or 0.0,
            replicates=n,
            quantile=float(student.ppf(1 - FALSE_ALARMS / (2 * len(cells)), n - 1)),
            floor=max(0.5 * 10.0 ** -digits[cell.column], 1e-3 * abs(mean)),
            images=cell.images,
        )
    return found


def now() -> str:
    """The date of acceptance, for readers only: nothing is decided by it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def checked_reason(reason: str) -> str:
    """The reason, which must say something.

    Raises:
        UsageError: it is shorter than ten characters.
    """
    if len(reason.strip()) < 10:
        raise UsageError(f"--reason {reason!r}", "a sentence on why the numbers changed")
    return reason.strip()


def write(path: Path, record: Frozen) -> Path:
    """Write an accepted record; one that was there moves to earlier/<name>-<n>.json."""
    with changing(path):
        if path.exists():
            folder = writable(path.parent / "earlier")
            count = sum(1 for _ in folder.glob(f"{path.stem}-*.json"))
            write_bytes(folder / f"{path.stem}-{count + 1:03d}.json", path.read_bytes())
        write_text(path, record.model_dump_json(indent=1) + "\n")
    return path


def nearest_machine(root: Path, machine: str, scale: str) -> tuple[str, Path]:
    """The accepted folder of this machine, or of the one whose name shares most parts with it.

    Raises:
        DataError: there is none for this scale.
    """
    folders = {path.parent.name: path for path in root.glob(f"*/{scale}") if path.parent.name != "golden"}
    if not folders:
        raise DataError(
            f"no accepted records for scale {scale} in {root}",
            "at least one machine",
            'python -m ci.gate accept --reason "..."',
        )
    name = machine if machine in folders else max(folders, key=lambda other: (shared(other, machine), other))
    return name, folders[name]


def shared(a: str, b: str) -> int:
    """How many parts, separated by dashes, two platform names have in common."""
    return len(set(a.split("-")) & set(b.split("-")))

"""Records: the one typed, versioned form in which every measured number is kept, compared and reported.

`EvaluationRecord` is what an evaluate step measured (per-image values, seeds, versions, machine);
`TableResult` is a table assembled from such records: rows, columns and one `Cell` for each pair.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmarks.core.means import finite_mean
from senm.support.errors import DataError

VERSION = 2

CellState = Literal["measured", "quoted", "needs server", "server score", "not run"]
Verdict = Literal["match", "within spread", "differs", "not comparable", ""]
ClaimState = Literal["holds", "fails", "undecided"]
Filled = Literal["trained", "released checkpoint", "released weights", "quoted", "external", "plugin", "none"]


class Frozen(BaseModel):
    """Base of all record parts: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Provenance(Frozen):
    """Where and when a record was made. `TIME_FIELDS` are the ones that may differ between identical runs."""

    started: str = ""
    wall_seconds: float = 0.0
    git: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, str] = Field(default_factory=dict)
    command: str = ""
    deterministic: bool = False


TIME_FIELDS = ("started", "wall_seconds", "git", "command", "machine")


class Measurement(Frozen):
    """One metric on one split. `metric` is a name of `benchmarks.metrics.METRICS` and carries its convention.

    A value with values by image is their mean, of the finite ones where some are infinite; a record that says otherwise
    is refused.
    """

    metric: str
    value: float
    split: str
    images: int
    per_image: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_the_mean(self) -> Measurement:
        if self.per_image:
            values = list(self.per_image.values())
            mean, infinite = finite_mean(values)
            if len(values) != self.images:
                raise ValueError(f"{self.metric} on {self.images} images has values of {len(values)}")
            whole = self.value == sum(values) / len(values) and infinite > 0
            if not (whole or math.isclose(self.value, mean, rel_tol=1e-9, abs_tol=1e-12)
                    or (math.isnan(self.value) and math.isnan(mean))):
                raise ValueError(f"{self.metric} is {self.value:.6g}, but {mean:.6g} by its values of images")
        return self


class EvaluationRecord(Frozen):
    """What one evaluate step measured, for one row and one replicate."""

    version: int = VERSION
    kind: Literal["noise", "restoration"]
    system: str
    description: dict[str, Any] = Field(default_factory=dict)
    data: str
    scale: str
    seed: int
    measurements: tuple[Measurement, ...]
    health: dict[str, Any] = Field(default_factory=dict)
    provenance: Provenance = Provenance()


class Column(Frozen):
    """A column of a table: a metric with its convention, on one split."""

    id: str
    label: str
    metric: str
    split: str
    better: Literal["lower", "higher"]
    group: str = ""
    digits: int = 3
    extra: bool = False


class Row(Frozen):
    """A row as the reader sees it. `paper` says whether the paper prints this row."""

    id: str
    label: str
    paired: str = ""
    filled: Filled
    note: str = ""
    paper: bool = True


class Cell(Frozen):
    """One cell: our values by replicate, the printed number, and the verdict with its reason.

    `mean` and `spread` are over replicates (seeds); `interval` is the 95 % interval over images of the first
    replicate. They answer different questions and are never mixed.
    """

    row: str
    column: str
    state: CellState
    reason: str = ""
    values: tuple[float, ...] = ()
    mean: float | None = None
    spread: float | None = None
    interval: tuple[float, float] | None = None
    images: int = 0
    paper: float | None = None
    verdict: Verdict = ""
    verdict_reason: str = ""


class ClaimResult(Frozen):
    """A sentence of the paper as a predicate, judged on the printed cells and on ours."""

    id: str
    place: str
    text: str
    printed: ClaimState
    ours: ClaimState
    deciding: tuple[str, ...] = ()
    reason: str = ""


class Price(Frozen):
    """What a row costs: hours of training, numbers in the noise model (else the restorer), megapixels a second.

    None where it is not known. Seconds of other machines than this one say so in `trained_on` and `sampled_on`.
    """

    row: str
    training_hours: float | None = None
    restorer_hours: float | None = None
    parameters: int | None = None
    megapixels_per_second: float | None = None
    trained_on: str = ""
    sampled_on: str = ""


class TableResult(Frozen):
    """A table (or figure) as run: everything a report or a gate needs, without running anything."""

    version: int = VERSION
    table: str
    caption: str
    data: str
    scale: str
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    cells: tuple[Cell, ...]
    claims: tuple[ClaimResult, ...] = ()
    deviations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    prices: tuple[Price, ...] = ()
    records: dict[str, str] = Field(default_factory=dict)
    images: dict[str, str] = Field(default_factory=dict)
    curves: dict[str, str] = Field(default_factory=dict)
    provenance: Provenance = Provenance()

    def cell(self, row: str, column: str) -> Cell | None:
        """The cell at (row id, column id), or None where the table has none."""
        return next((c for c in self.cells if c.row == row and c.column == column), None)


class GoldenRecord(Frozen):
    """Numbers that must repeat: losses of short trainings, outputs of the sampler, metrics of fixed images.

    Values are by case and name, in the order of the steps. On one `platform` they repeat to the last bit.
    """

    version: int = VERSION
    platform: str
    cases: dict[str, dict[str, tuple[float, ...]]]
    provenance: Provenance = Provenance()


class SpeedCase(Frozen):
    """Two arms timed alternately in one run: `ratio` is time of `slow` over time of `fast`, one value a pair."""

    slow: str
    fast: str
    ratios: tuple[float, ...]
    slow_flops: float = 0.0
    fast_flops: float = 0.0


class SpeedRecord(Frozen):
    """Speed comparisons by name."""

    version: int = VERSION
    cases: dict[str, SpeedCase]
    provenance: Provenance = Provenance()


def _to_2(old: dict[str, Any]) -> dict[str, Any]:
    """Version 2 says in the provenance whether the run was deterministic; before, nobody asked for it."""
    return {**old, "provenance": {"deterministic": False, **old.get("provenance", {})}}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _to_2}
"""Version -> function that brings a record of that version to the next one."""


def current(data: dict[str, Any], path: str) -> dict[str, Any]:
    """The JSON form of a record brought up to this version.

    Raises:
        DataError: it was written by a newer version of the project; `path` is named.
    """
    version = data.get("version", 1)
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= VERSION:
        raise DataError(f"{path} has version {version}", f"1 to {VERSION}", "update this project")
    if isinstance(data.get("record"), dict):  # an accepted record: what changes between versions is what it holds
        return {**data, "version": VERSION, "record": current(data["record"], path)}
    while version < VERSION:
        data = MIGRATIONS[version](data)
        version += 1
        data["version"] = version
    return data


def read(path: str | Path, kind: type[BaseModel]) -> Any:
    """Read a record of the given kind; older versions are brought up to date first.

    Raises:
        DataError: the file is missing, is no such record, or was written by a newer version of the project.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"no record at {path}", f"a {kind.__name__} as JSON") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})", f"a {kind.__name__} as JSON") from None
    except (ValueError, RecursionError):
        raise DataError(f"{path} is not JSON", f"a {kind.__name__}") from None
    if not isinstance(data, dict):
        raise DataError(f"{path} is not a record", f"a {kind.__name__}")
    data = current(data, str(path))
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path} is not a {kind.__name__}: {place}: {first['msg']}") from None


def without_time(record: Any) -> Any:
    """A record (or its JSON form) without the fields that may differ between identical runs.

    Dropped everywhere: the keys of `TIME_FIELDS` inside a `provenance` object, and of prices all but row and size.
    """
    data = record.model_dump(mode="json") if isinstance(record, BaseModel) else record
    if isinstance(data, dict):
        cleaned = {key: without_time(value) for key, value in data.items()}
        if isinstance(cleaned.get("provenance"), dict):
            cleaned["provenance"] = {k: v for k, v in cleaned["provenance"].items() if k not in TIME_FIELDS}
        if isinstance(prices := cleaned.get("prices"), list):
            cleaned["prices"] = [{k: each[k] for k in ("row", "parameters")} for each in prices]
        return cleaned
    if isinstance(data, list | tuple):
        return [without_time(value) for value in data]
    return data

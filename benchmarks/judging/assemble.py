"""From records in the store to a table: cells with spread, verdicts, claims, deviations, and pictures beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.core.record import Cell, Column, EvaluationRecord, Measurement, Provenance, Row, TableResult, read
from benchmarks.core.scale import Scale
from benchmarks.core.statistics import ENOUGH, interval, mean_and_spread
from benchmarks.judging.price import prices
from benchmarks.planning.deviations import deviations
from benchmarks.planning.plan import SERVER, RowPlan, TablePlan
from benchmarks.running.health import health_notes, training_health
from benchmarks.running.measure import RECORD

if TYPE_CHECKING:
    from benchmarks.core.step import Step
    from benchmarks.running.runner import Outcome
    from benchmarks.store.store import Store


@dataclass(frozen=True)
class Assembly:
    """What a table is put together from. `scores` holds returned server scores by (row, column)."""

    plan: TablePlan
    scale: Scale
    seeds: tuple[int, ...]
    store: Store
    outcome: Outcome
    scores: Mapping[tuple[str, str], float]
    fd: str = "fid"


def assemble(given: Assembly, provenance: Provenance) -> TableResult:
    """The table with every cell judged; nothing is run."""
    from benchmarks.judging.claims import judge_result
    from benchmarks.judging.compare import compare_table

    spec = given.plan.spec
    columns = tuple(_column(column, given.fd) for column in spec.columns)
    by_row: dict[str, list[RowPlan]] = {}
    for planned in given.plan.rows:
        by_row.setdefault(planned.row.id, []).append(planned)
    records = {planned.row.id: _records(by_row[planned.row.id], given) for planned in given.plan.rows}
    cells = tuple(_cell(plans, column, records[row], given) for row, plans in by_row.items() for column in columns)
    result = TableResult(
        table=spec.id,
        caption=spec.caption,
        data=given.plan.data.name,
        scale=given.scale.name,
        seeds=given.seeds,
        rows=tuple(_row(plans, cells) for plans in by_row.values()),
        columns=columns,
        cells=cells,
        deviations=deviations(given.plan, given.scale, _substitutes(spec.columns, columns)),
        notes=(*spec.notes, *_notes(columns), *_health(records, given), *_rough(cells)),
        prices=prices(given.plan, given.store),
        provenance=provenance,
    )
    result = compare_table(result)
    return result.model_copy(update={"claims": judge_result(result)})


def _column(column: Column, fd: str) -> Column:
    if column.metric != "fid" or fd == "fid":
        return column
    return column.model_copy(update={"metric": fd, "label": "FD-random"})


def _substitutes(before: tuple[Column, ...], after: tuple[Column, ...]) -> dict[str, str]:
    return {new.id: new.metric for old, new in zip(before, after, strict=True) if old.metric != new.metric}


def _notes(columns: tuple[Column, ...]) -> list[str]:
    from benchmarks.metrics import METRICS
    from benchmarks.metrics.chosen import why_random

    lacking = []
    if any(column.metric == "fd_random" for column in columns):
        reason = portable(why_random())
        lacking.append(f"FD-random stands in for FID and is never compared with a printed FID. {reason}.")
    for column in columns:
        if column.metric in METRICS and (missing := METRICS[column.metric].missing()):
            lacking.append(f"{column.label} is not measured: {portable(missing)}.")
    return lacking


def _health(records: Mapping[str, list[tuple[RowPlan, dict[str, EvaluationRecord]]]], given: Assembly) -> list[str]:
    """What the trainings behind the numbers noted, the released ones too."""
    found: list[tuple[str, str, int, Mapping[str, Any]]] = []
    for planned, kinds in (each for of_row in records.values() for each in of_row):
        row = planned.row.label + (f" ({planned.row.paired} pairs)" if planned.row.paired else "")
        found += [(row, kind, planned.seed, record.health) for kind, record in kinds.items()]
        noise = given.store.get(planned.fit) if planned.fit and "noise" not in kinds else None
        if noise is not None:
            found.append((row, "noise", planned.seed, {"training": training_health(noise)}))
    return health_notes(found, len(given.seeds) > 1)


def _rough(cells: tuple[Cell, ...]) -> list[str]:
    """What to know of intervals over few images."""
    few = [cell.images for cell in cells if cell.interval is not None and cell.images < ENOUGH]
    if not few:
        return []
    said = f"Intervals over fewer than {ENOUGH} images (here {min(few)}) are rough: they cover less than 95 %."
    return [said]


def portable(text: str) -> str:
    """A sentence without this machine's home folder, for records that others read."""
    return text.replace(str(Path.home()), "~")


def _records(plans: list[RowPlan], given: Assembly) -> list[tuple[RowPlan, dict[str, EvaluationRecord]]]:
    """The records of each replicate; what does not depend on the seed is one measurement, not several replicates."""
    found, seen = [], set()
    for planned in plans:
        records = {}
        for kind, step in planned.evaluations.items():
            path = given.store.get(step)
            if path is not None and step.key not in seen:
                seen.add(step.key)
                records[kind] = read(path / RECORD, EvaluationRecord)
        found.append((planned, records))
    return found


def _row(plans: list[RowPlan], cells: tuple[Cell, ...]) -> Row:
    row, planned = plans[0].row, plans[0]
    mine = [cell for cell in cells if cell.row == row.id]
    filled = planned.filled
    if filled not in ("quoted", "none") and not any(cell.state == "measured" for cell in mine):
        filled = "none"
    start = "goes on from published weights" if planned.start is not None else ""
    note = "; ".join(part for part in (row.note, start) if part)
    return Row(id=row.id, label=row.label, paired=row.paired, filled=filled, note=note, paper=row.paper)


def _cell(
    plans: list[RowPlan], column: Column, records: list[tuple[RowPlan, dict[str, EvaluationRecord]]], given: Assembly
) -> Cell:
    planned = plans[0]
    place: dict[str, Any] = {"row": planned.row.id, "column": column.id}
    if column.split in SERVER:
        score = given.scores.get((planned.row.id, column.id))
        if score is not None:
            return Cell(**place, state="server score", values=(score,), mean=score)
        if not planned.evaluations:
            return Cell(**place, state="quoted", reason=planned.reason)
        site = "SIDD" if column.split == "bench" else "DND"
        mend = f"python -m benchmarks.run submit {site.lower()} --rows {planned.row.id}"
        return Cell(**place, state="needs server", reason=f"only the {site} server can score it: {mend}")
    if not planned.evaluations:
        state = "quoted" if planned.filled == "quoted" else "not run"
        return Cell(**place, state=state, reason=planned.reason)
    found = [m for _, each in records for r in each.values() if (m := _measurement(r, column)) is not None]
    if not found:
        return Cell(**place, state="not run", reason=_why(plans, records, column, given))
    values = tuple(m.value for m in found)
    mean, spread = mean_and_spread(values)
    per_image = list(found[0].per_image.values())
    over_images = interval(per_image) if per_image else None
    wanted = len({step.key for planned in plans for step in planned.evaluations.values() if _measures(step, column)})
    said = [] if len(found) == wanted else [f"{len(found)} of {wanted} replicates"]
    if infinite := sum(map(math.isinf, per_image)):
        said.append(f"{infinite} of {len(per_image)} images have an infinite value and are not in the mean")
    return Cell(
        **place,
        state="measured",
        reason="; ".join(said),
        values=values,
        mean=mean,
        spread=spread,
        interval=over_images,
        images=found[0].images,
    )


def _measures(step: Step, column: Column) -> bool:
    return column.metric in step.params["metrics"]


def _measurement(record: EvaluationRecord, column: Column) -> Measurement | None:
    return next((m for m in record.measurements if m.metric == column.metric and m.split == column.split), None)


def _why(
    plans: list[RowPlan], records: list[tuple[RowPlan, dict[str, EvaluationRecord]]], column: Column, given: Assembly
) -> str:
    for _, each in records:
        for record in each.values():
            missing: dict[str, str] = record.description.get("missing", {})
            if column.metric in missing:
                return missing[column.metric]
    problems = [given.outcome.problem(step) for planned in plans for step in planned.evaluations.values()]
    return next((problem for problem in problems if problem), plans[0].reason or "not measured for this row")

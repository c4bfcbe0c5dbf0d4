"""What a report can show beside its tables, and how it is gathered from a run folder.

Every part is optional: the page leaves out an absent part with a sentence that says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.core.record import TableResult, read
from benchmarks.report.noise_stats import NoiseStats, noise_stats
from benchmarks.report.parts.history import HistoryEntry, history
from benchmarks.report.strips import Strip, load_strip
from senm.support.errors import DataError


@dataclass(frozen=True)
class Sweep:
    """One panel of figure 7: a metric against the KL weight. `points` holds (weight, values by replicate)."""

    label: str
    better: str
    points: tuple[tuple[float, tuple[float, ...]], ...]


@dataclass(frozen=True)
class ReportContext:
    """The optional parts of a report.

    strips: photographs side by side (`benchmarks.report.strips.save_strip` writes them).
    noise_stats: one for the real noise and one for each generator.
    curves: label -> logged steps, each a flat or nested dict of numbers with a key "step".
    figure7: one sweep for each metric.
    profile: the record of the sampler profiler.
    history: accepted records, oldest first.
    table: the table whose run was gathered, which tells runs of one name apart in a report over several tables.
    """

    strips: tuple[Strip, ...] = ()
    noise_stats: tuple[NoiseStats, ...] = ()
    curves: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    figure7: tuple[Sweep, ...] = ()
    profile: dict[str, Any] | None = None
    history: tuple[HistoryEntry, ...] = ()
    table: str = ""

    def merged(self, other: ReportContext) -> ReportContext:
        """Both contexts in one, for a report over several tables; a log that both have appears once."""
        curves = dict(self.curves)
        for label, steps in other.curves.items():
            own = label if curves.get(label, steps) == steps else f"{label}, {other.table}"
            curves[own] = steps
        return ReportContext(
            strips=self.strips + other.strips,
            noise_stats=self.noise_stats + other.noise_stats,
            curves=curves,
            figure7=self.figure7 + other.figure7,
            profile=self.profile or other.profile,
            history=self.history or other.history,
        )


def collect(run_folder: str | Path, accepted: str | Path | None = None) -> ReportContext:
    """Gather what a finished run left in its folder.

    Read are `table.json` (its `images`, `curves` and cells), strips named there, `noise_stats.json` (a list of
    `NoiseStats`; without it they are computed from the noise strips), the profile (`profile.json` here, else
    `profile/profile.json` beside `accepted`), and the accepted records under `accepted`. Paths in `table.json` are
    relative to the run folder; one that leads outside it is refused, unless it is absolute.

    Raises:
        DataError: `table.json` is missing or a file named there is not readable.
    """
    folder = Path(run_folder)
    if not (folder / "table.json").is_file():
        raise DataError(f"no table.json in {folder}", "the folder of a finished run", "python -m benchmarks.run table1")
    result: TableResult = read(folder / "table.json", TableResult)
    files = [_inside(folder, path) for path in result.images.values() if path.endswith(".npz")]
    strips = tuple(load_strip(path, result.table) for path in files)
    stored = folder / "noise_stats.json"
    if stored.is_file():
        stats = tuple(NoiseStats.model_validate(item) for item in json.loads(stored.read_text()))
    else:
        stats = from_strips(strips)
    profile = _profile(folder, accepted)
    return ReportContext(
        strips=strips,
        noise_stats=stats,
        curves={label: read_log(_inside(folder, path)) for label, path in result.curves.items()},
        figure7=sweeps(result) if result.table == "figure7" else (),
        profile=profile,
        history=history(accepted) if accepted is not None else (),
        table=result.table,
    )


def from_strips(strips: Iterable[Strip]) -> tuple[NoiseStats, ...]:
    """Noise statistics of every label of the noise strips of one table, the real noise first."""
    noise = [strip for strip in strips if strip.kind == "noise"]
    labels = list(dict.fromkeys(label for strip in noise for label in strip.panels if label != "clean"))
    labels.sort(key=lambda label: label != "noisy")
    return tuple(
        noise_stats(
            "real noise" if label == "noisy" else label,
            ((strip.clean, strip.panels[label]) for strip in noise if label in strip.panels),
            real=label == "noisy",
            table=noise[0].title,
        )
        for label in labels
    )


def sweeps(result: TableResult) -> tuple[Sweep, ...]:
    """The panels of figure 7: the KL weight of a row of the paper is the first number of its label or id."""
    found = []
    for column in result.columns:
        points = []
        for row in (row for row in result.rows if row.paper):
            cell, weight = result.cell(row.id, column.id), _number(row.label) or _number(row.id)
            if cell is not None and cell.values and weight:
                points.append((weight, cell.values))
        if points:
            found.append(Sweep(column.label, column.better, tuple(sorted(points))))
    return tuple(found)


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """Read a log.jsonl; a last line cut short by a kill is passed over. Raises DataError where there is no file."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError as error:
        raise DataError(f"cannot read the log {path} ({error.strerror})", "a log.jsonl of a training") from error
    steps = []
    for line in lines:
        try:
            step = json.loads(line)
        except ValueError:
            continue
        if isinstance(step, dict):
            steps.append(step)
    return steps


def _profile(folder: Path, accepted: str | Path | None) -> dict[str, Any] | None:
    """The sampler profile of the run, else the latest one of this checkout; None where there is none to read."""
    places = [folder / "profile.json"]
    if accepted is not None:
        places.append(Path(accepted).parent / "profile" / "profile.json")
    for place in places:
        if place.is_file():
            try:
                record = json.loads(place.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DataError(f"{place} is not JSON", "a record of the profiler", f"rm {place}") from error
            return dict(record)
    return None


def _number(text: str) -> float | None:
    match = re.search(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", text, re.IGNORECASE)
    return float(match.group()) if match else None


def _inside(folder: Path, path: str) -> Path:
    given = Path(path)
    if given.is_absolute():
        return given
    full = (folder / given).resolve()
    if not full.is_relative_to(folder.resolve()):
        raise DataError(f"table.json names a file outside its run folder: {path!r}", "a path within the folder")
    return full

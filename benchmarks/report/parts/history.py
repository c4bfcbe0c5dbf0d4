"""History of accepted records: what was accepted when, on which machine, and for which reason."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks.core.record import TableResult, current
from senm.support.errors import DataError


@dataclass(frozen=True)
class HistoryEntry:
    """One accepted record. `values` maps a row and column to the accepted mean, for the tables that have cells."""

    when: str
    machine: str
    table: str
    data: str
    scale: str
    reason: str = ""
    git: str = ""
    file: str = ""
    values: dict[str, float] = field(default_factory=dict)


def history(root: str | Path) -> tuple[HistoryEntry, ...]:
    """Every record under `results/accepted/<machine>/`, oldest first; other files are passed over."""
    base = Path(root)
    entries = [entry for path in sorted(base.glob("*/**/*.json")) if (entry := _entry(path, base)) is not None]
    return tuple(sorted(entries, key=lambda entry: (entry.when, entry.file)))


def _entry(path: Path, base: Path) -> HistoryEntry | None:
    try:
        content: Any = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    body = content.get("record", content)
    if not isinstance(body, dict) or "table" not in body:
        return None
    try:
        result = TableResult.model_validate(current(body, path.name))
    except (ValidationError, DataError):
        return None
    relative = path.relative_to(base)
    return HistoryEntry(
        when=str(content.get("accepted", "")) or result.provenance.started,
        machine=relative.parts[0],
        table=result.table,
        data=result.data,
        scale=result.scale,
        reason=str(content.get("reason", "")),
        git=result.provenance.git,
        file=str(relative),
        values={f"{c.row} / {c.column}": c.mean for c in result.cells if c.state == "measured" and c.mean is not None},
    )

"""The sampler profile on the page: the record's tables as they are, and where the time goes as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHARES = ("share", "time_share", "share_of_time")
NAMES = ("name", "part", "layer", "label")


@dataclass(frozen=True)
class ProfileTable:
    """A list of equal-keyed measurements: column names and rows of text. `bars` are shares in percent, or empty."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[float, ...] = ()


@dataclass(frozen=True)
class ProfileView:
    """Facts (name, value) and tables of a profile record."""

    facts: tuple[tuple[str, str], ...]
    tables: tuple[ProfileTable, ...]


def profile_view(record: Mapping[str, Any]) -> ProfileView:
    """Arrange a profile record: scalars become facts, nested ones too, and lists of objects become tables."""
    facts: list[tuple[str, str]] = []
    tables: list[ProfileTable] = []
    _gather(record, "", facts, tables)
    return ProfileView(tuple(facts), tuple(tables))


def _gather(
    record: Mapping[str, Any], prefix: str, facts: list[tuple[str, str]], tables: list[ProfileTable]
) -> None:
    for key, value in record.items():
        name = f"{prefix} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            _gather(value, name, facts, tables)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            items = [item for item in value if isinstance(item, Mapping)]
            if items:
                tables.append(_table(name, items))
            elif value:
                facts.append((name, ", ".join(_text(item) for item in value)))
        elif value not in (None, ""):
            facts.append((name, _text(value)))


def _table(title: str, items: Sequence[Mapping[str, Any]]) -> ProfileTable:
    flat = [{k: v for k, v in item.items() if not isinstance(v, Mapping | list | tuple)} for item in items]
    columns = list(dict.fromkeys(key for item in flat for key in item))
    columns.sort(key=lambda key: key not in NAMES)
    rows = tuple(tuple(_text(item.get(column)) for column in columns) for item in flat)
    share = next((key for key in SHARES if all(isinstance(item.get(key), int | float) for item in flat)), None)
    bars = tuple(100.0 * min(1.0, max(0.0, float(item[share]))) for item in flat) if share else ()
    return ProfileTable(title, tuple(column.replace("_", " ") for column in columns), rows, bars)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)

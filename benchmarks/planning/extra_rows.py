"""Rows that the paper does not have: a user's own systems (`--plugin`) and folders made elsewhere (`--external`)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.core.options import Options
from benchmarks.tables import ALL, Mix, Noise, Restoration, RowSpec, TableSpec
from benchmarks.tables.table1 import DNCNN
from senm.support.errors import UsageError


def with_extra_rows(specs: list[TableSpec], options: Options) -> list[TableSpec]:
    """The tables with a row for each plugin, entry point and external folder that suits them.

    Raises:
        UsageError: a plugin that cannot be imported or suits none of the tables, or a row id that is taken.
    """
    systems = _systems(options)
    if not systems and not options.external:
        return specs
    found = []
    used: set[str] = set()
    for spec in specs:
        rows: list[RowSpec] = []
        for name, system in systems.items():
            row = _own_row(name, system, spec)
            if row is not None:
                rows.append(row)
                used.add(name)
        rows += [_external_row(name, folder) for name, folder in options.external.items()]
        _check_ids(spec, rows)
        found.append(replace(spec, rows=(*spec.rows, *rows)))
    for name, system in systems.items():
        if name not in used and options.plugins:
            kind = "noise model" if _is_noise(system) else "restorer"
            fitting = "tables 1, 6 and 7" if _is_noise(system) else "tables 2 to 5"
            raise UsageError(f"{name!r} is a {kind}, which suits none of the tables asked for", fitting)
    return found


def slug(name: str) -> str:
    """A row id from a free name.

    >>> slug("My model (v2)")
    'my-model-v2'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "row"


def _systems(options: Options) -> dict[str, Any]:
    import baselines

    found = {}
    for target in options.plugins:
        system = baselines.load_plugin(target)
        found[str(system.name)] = system
    for name in baselines.names():
        if name not in baselines.REGISTRY and name not in found:
            found[name] = baselines.get(name)
    return found


def _is_noise(system: Any) -> bool:
    return hasattr(system, "sample")


def _own_row(name: str, system: Any, spec: TableSpec) -> RowSpec | None:
    """A plugin's row: a noise model sees all domains and DnCNN follows it; a restorer is trained on all pairs."""
    label = str(getattr(system, "label", name))
    domains = getattr(system, "domains", (ALL, ALL, ALL))
    if spec.task == "noise" and _is_noise(system):
        mix = Mix(*domains)
        paired = "all" if mix.paired is None else str(mix.paired)
        return RowSpec(slug(name), label, paired, Noise(name, mix), DNCNN, paper=False, plugin=True)
    factor = int(getattr(getattr(system, "capabilities", None), "factor", 1))
    if spec.task != "noise" and not _is_noise(system) and (factor > 1) == (spec.task == "sr"):
        return RowSpec(slug(name), label, "all", restorer=Restoration(name, pairs=ALL), paper=False, plugin=True)
    return None


def _check_ids(spec: TableSpec, rows: list[RowSpec]) -> None:
    """Refuse a row whose id another row has: their replicates would be averaged into one."""
    labels = {row.id: row.label for row in spec.rows}
    for row in rows:
        if row.id in labels:
            found = f"{row.label!r} becomes the row {row.id!r}, which {spec.id} has already ({labels[row.id]!r})"
            raise UsageError(found, "a name of its own", f"for example '{row.label} of mine'")
        labels[row.id] = row.label


def _external_row(name: str, folder: Path) -> RowSpec:
    return RowSpec(slug(name), name, "", external=str(folder), paper=False, note="a folder of images made elsewhere")

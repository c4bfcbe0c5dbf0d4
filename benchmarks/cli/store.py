"""The store from the command line: list, verify, clean, and export of trained networks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.core.options import Options
from benchmarks.core.units import size
from benchmarks.store.store import Entry, Store
from senm.support.errors import UsageError

if TYPE_CHECKING:
    from benchmarks.core.step import Step
    from benchmarks.planning.plan import Plan


def ls(root: Path) -> None:
    """Print every artefact: key, size, kind, label."""
    entries = Store(root).ls()
    for entry in entries:
        print(f"{entry.key[:12]}  {size(entry.bytes):>9}  {entry.kind:12}  {entry.label}{_fault(entry)}")
    print(f"{len(entries)} results, {size(sum(entry.bytes for entry in entries))}", file=sys.stderr)


def verify(root: Path) -> int:
    """Hash every file; prints damaged artefacts and returns 3 where there is one."""
    damaged = Store(root).verify()
    for entry in damaged:
        print(f"{entry.key[:12]}  {entry.kind:12}  {entry.label}{_fault(entry)}")
    print(
        "the store is sound" if not damaged else f"{len(damaged)} damaged: the next run makes them again",
        file=sys.stderr,
    )
    return 3 if damaged else 0


def gc(root: Path, everything: bool = False) -> None:
    """Remove left-overs, or everything that is stored."""
    removed = Store(root).gc(keep=() if everything else None)
    print(
        f"{len(removed.keys)} results and {removed.leftovers} left-overs removed, {size(removed.bytes)} freed",
        file=sys.stderr,
    )


def export(root: Path, key: str, name: str) -> None:
    """Copy a trained network into results/checkpoints.

    Raises:
        UsageError: no training has this key, or several have.
    """
    from benchmarks.store.released import export as copy

    found = [entry for entry in Store(root).ls() if entry.key.startswith(key)]
    if len(found) != 1:
        raise UsageError(f"{len(found)} results have a key that begins with {key!r}", "one", "run store ls")
    out = copy(found[0].path, name)
    print(
        f"{found[0].label}: {size(sum(p.stat().st_size for p in out.rglob('*') if p.is_file()))} in {out}",
        file=sys.stderr,
    )


def release(tables: list[str], options: Options, half: bool = True) -> int:
    """Export every training that these tables need and the store holds; 0, or 3 where one is not trained yet."""
    options.refuse_container("store release")
    from dataclasses import replace

    from benchmarks.cli.session import prepare
    from benchmarks.store.released import export as copy
    from benchmarks.store.released import names
    from senm.support.progress import NullProgress

    ready = prepare(tables, replace(options, retrain=True), NullProgress(), run=False)
    total = lacking = 0
    for name, step in names(_trainings(ready.plan)).items():
        path = ready.store.get(step)
        if path is None:
            print(f"{name}: not trained yet ({step.label})", file=sys.stderr)
            lacking += 1
            continue
        out = copy(path, name, half=half)
        bytes_ = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
        total += bytes_
        print(f"{name}: {size(bytes_)}")
    print(f"{size(total)} in all, {lacking} not trained yet", file=sys.stderr)
    return 3 if lacking else 0


def _fault(entry: Entry) -> str:
    return f"  DAMAGED: {entry.fault}" if entry.fault else ""


def _trainings(plan: Plan) -> Iterator[tuple[str, Step]]:
    """Every training of a plan with the name of the place that it fills: 'table1-senm-10-noise-0'."""
    for table in plan.tables:
        for row in table.rows:
            for what, step in (("noise", row.fit), ("restorer", row.network)):
                if step is not None and step.kind in ("fit", "fit-restorer"):
                    yield f"{table.spec.id}-{row.row.id}-{what}-{row.seed}", step

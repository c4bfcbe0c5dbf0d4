"""The HTML report: one self-contained page over one or more tables, readable without network, in print and on a phone.

Its template escapes every name; a content security policy forbids requests and any script but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.core.record import TableResult
from benchmarks.report.context import ReportContext
from benchmarks.report.view import TableView, number, table_view, title
from senm.support.files import write_text

if TYPE_CHECKING:
    from jinja2 import Environment

    from benchmarks.report.plots import Plot, Series

TEMPLATES = Path(__file__).parent / "templates"
STRIPS = 11


@dataclass(frozen=True)
class Figure:
    """Plots that share a legend; `series` may be empty, `left_out` names what was logged and is not drawn."""

    id: str
    plots: tuple[Plot, ...]
    series: tuple[Series, ...] = ()
    left_out: tuple[str, ...] = ()


def page(results: Sequence[TableResult], context: ReportContext | None = None) -> str:
    """The page for these tables, in the given order.

    Args:
        results: at least one table.
        context: strips, statistics, curves and so on; what it lacks the page names as absent.

    Raises:
        ValueError: `results` is empty.
    """
    if not results:
        raise ValueError("a report needs at least one table")
    from benchmarks.report.parts.price import price_view
    from benchmarks.report.parts.profiles import profile_view
    from benchmarks.report.pictures import picture_strips

    context = context or ReportContext()
    tables = [table_view(result) for result in results]
    style, script = _source("style.css"), _source("script.js")
    return environment().get_template("report.html.j2").render(
        tables=tables,
        heading=tables[0].title if len(tables) == 1 else "Tables of the paper",
        runs=_runs(results),
        banners=_banners(tables),
        strips=picture_strips(context.strips[:STRIPS]),
        strips_left_out=max(0, len(context.strips) - STRIPS),
        noise=_noise(context),
        prices=[view for result in results if (view := price_view(result)) is not None],
        sweeps=_sweeps(context),
        training=_training(context),
        profile=profile_view(context.profile) if context.profile else None,
        history=_history(context),
        provenance=results[0].provenance,
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def write_html(results: Sequence[TableResult], path: str | Path, context: ReportContext | None = None) -> Path:
    """Write the page; a reader sees the old page or the new one, never half of one. Returns the path."""
    target = Path(path)
    write_text(target, page(results, context))
    return target


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates that escape every name and refuse one that was not handed in."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["title_of"] = title
    return environment


def _source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _runs(results: Sequence[TableResult]) -> list[tuple[str, str]]:
    """Facts for the head of the page: (name, value)."""
    first = results[0]
    seeds = sorted({seed for result in results for seed in result.seeds})
    machine = first.provenance.machine
    hardware = machine.get("gpu") or machine.get("processor") or ""
    cores = f"{machine['threads']} threads" if "threads" in machine and "gpu" not in machine else ""
    facts = {
        "Data": ", ".join(dict.fromkeys(result.data for result in results)),
        "Scale": ", ".join(dict.fromkeys(result.scale for result in results)),
        "Seeds": ", ".join(map(str, seeds)),
        "Run": first.provenance.started.replace("T", " ")[:16],
        "Machine": ", ".join(filter(None, (hardware, cores))),
        "Code": first.provenance.git,
    }
    return [(name, value) for name, value in facts.items() if value]


def _banners(tables: Sequence[TableView]) -> list[tuple[str, str]]:
    """(scale, data) of every kind of run on the page whose numbers may not stand beside the paper's."""
    return list(dict.fromkeys((t.result.scale, t.result.data) for t in tables if not t.comparable))


def _noise(context: ReportContext) -> list[dict[str, Any]]:
    """Plots and numbers for each table that left noise statistics."""
    from benchmarks.report import plots
    from benchmarks.report.noise_stats import NoiseStats, total_variation

    groups: dict[str, list[NoiseStats]] = {}
    for item in context.noise_stats:
        groups.setdefault(item.table, []).append(item)
    found = []
    for place, (table, stats) in enumerate(groups.items()):
        real = next((item for item in stats if item.real), None)
        named = plots.series([item.label for item in stats], real=stats[0].real)
        drawn = plots.noise_plots(f"noise-{place}", stats)
        rows = [(item, total_variation(item, real) if real and item is not real else None) for item in stats]
        figure = Figure(f"noise-figure-{place}", drawn, named)
        found.append({"table": table, "figure": figure, "rows": rows, "images": stats[0].images})
    return found


def _sweeps(context: ReportContext) -> Figure | None:
    from benchmarks.report import plots

    drawn = tuple(plots.sweep_plot(f"sweep-{i}", sweep) for i, sweep in enumerate(context.figure7))
    return Figure("sweep-figure", drawn) if drawn else None


def _training(context: ReportContext) -> list[Figure]:
    from benchmarks.report import plots
    from benchmarks.report.parts.curves import families

    figures = []
    for place, family in enumerate(families(context.curves)):
        named = plots.series(family.labels)
        drawn = tuple(
            plots.curve_plot(f"curve-{place}-{i}", name, [(named[index].index, points) for index, points in runs])
            for i, (name, runs) in enumerate(family.quantities.items())
        )
        figures.append(Figure(f"curves-{place}", drawn, named, family.left_out))
    return figures


def _history(context: ReportContext) -> list[dict[str, Any]]:
    """Newest first; each entry beside the one before it of the same machine, table, data and scale."""
    latest: dict[tuple[str, ...], dict[str, float]] = {}
    lines = []
    seen: Counter[tuple[str, ...]] = Counter()
    for entry in context.history:
        kind = (entry.machine, entry.table, entry.data, entry.scale)
        before: Mapping[str, float] = latest.get(kind, {})
        changed = {k: v - before[k] for k, v in entry.values.items() if k in before and v != before[k]}
        largest = max(changed, key=lambda k: abs(changed[k]) / (abs(before[k]) or 1.0), default="")
        values = f"{number(before.get(largest), 4)} to {number(entry.values.get(largest), 4)}"
        lines.append({
            "entry": entry,
            "first": not seen[kind],
            "changed": len(changed),
            "largest": f"{largest}: {values}" if largest else "",
        })
        latest[kind] = entry.values
        seen[kind] += 1
    return lines[::-1]

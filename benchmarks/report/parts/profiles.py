"""The sampler profile on the page: arms, training step, parts and memory as tables, shares of the time as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.report.plots import Plot

COLUMNS = {
    "name": "arm", "part": "part", "layer": "layer", "varied": "varied", "layers": "layers",
    "training": "training step", "scale": "scale", "batch": "batch", "size": "size", "seconds": "ms", "ms": "ms",
    "q25": "25 %", "q75": "75 %", "speedup": "speed-up", "images_per_s": "images/s", "megapixels_per_s": "MP/s",
    "gflop": "GFLOP", "mib": "MiB moved", "utilisation": "utilisation", "model_flop_utilisation": "MFU",
    "process_mib": "process MiB", "allocated_mib": "allocated MiB", "reserved_mib": "reserved MiB",
    "max_difference": "largest difference", "psnr_to_float32": "PSNR to float32",
    "changed_8bit": "changed 8-bit values", "share": "share", "status": "status", "reason": "reason",
}
"""Keys of a profile's rows that are shown, in this order, and their headings."""
MILLISECONDS = ("seconds", "q25", "q75")
PERCENT = ("share", "utilisation", "model_flop_utilisation", "changed_8bit")
TABLES = {
    "arms": "Sampling one batch", "training": "One training step", "parts": "Time by layer and part",
    "memory": "Peak memory, each arm in a process of its own", "sweep": "Batch, size and depth",
    "scaling": "Time by size",
}
"""Lists of a profile record and their captions."""


@dataclass(frozen=True)
class ProfileTable:
    """A plain table: column names and rows of text; `bars` are shares in percent of the largest one, or empty."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[float, ...] = ()


@dataclass(frozen=True)
class ProfileView:
    """Facts (name, value), tables, plots, and what could not be measured with its reason."""

    facts: tuple[tuple[str, str], ...]
    tables: tuple[ProfileTable, ...]
    plots: tuple[Plot, ...]
    failures: tuple[str, ...]


def profile_view(record: Mapping[str, Any]) -> ProfileView:
    """Arrange the record of `benchmarks.profiling.profiler`; parts that a record lacks are left out."""
    machine = record.get("provenance", {}).get("machine", {})
    case = record.get("case", {})
    size = case.get("size", "")
    facts = {
        "Model": record.get("model"), "Scale": record.get("scale"), "Batch": case.get("batch"),
        "Size": f"{size} × {size}" if size else "", "Machine": machine.get("gpu") or machine.get("processor"),
        "Threads": "" if machine.get("gpu") else machine.get("threads"), "Parts measured with": record.get("parts_arm"),
    }
    peaks = {f"Peak {name.replace('_', ' ')}": f"{rate:.3g} TFLOP/s" for name, rate in record.get("peaks", {}).items()
             if not name.startswith("memory")}
    return ProfileView(
        facts=tuple((name, str(value)) for name, value in (facts | peaks).items() if value not in (None, "")),
        tables=tuple(_table(caption, record[key]) for key, caption in TABLES.items() if record.get(key)),
        plots=tuple(_plots(record)),
        failures=tuple(f"{item['name']}: {item['reason']}" for item in record.get("failures", [])),
    )


def _table(title: str, items: Sequence[Mapping[str, Any]]) -> ProfileTable:
    shown = [key for key in COLUMNS if any(item.get(key) not in (None, "") for item in items)]
    if all(item.get("status", "ok") == "ok" for item in items):
        shown = [key for key in shown if key not in ("status", "reason")]
    rows = tuple(tuple(_text(key, item.get(key)) for key in shown) for item in items)
    shares = [max(0.0, float(item.get("share") or 0.0)) for item in items]
    bars = tuple(100.0 * share / max(shares) for share in shares) if max(shares) > 0 else ()
    return ProfileTable(title, tuple(COLUMNS[key] for key in shown), rows, bars)


def _text(key: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and key in PERCENT:
        return f"{100 * value:.1f} %"
    if isinstance(value, int | float) and key in MILLISECONDS:
        return f"{1000 * value:,.4g}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _plots(record: Mapping[str, Any]) -> list[Plot]:
    from benchmarks.report import plots

    parts = [row for row in record.get("parts", []) if min(row["gflop"], row["mib"], row["tflop_s"]) > 0]
    found = []
    if parts:
        points = [(row["gflop"] * 1e9 / (row["mib"] * 2**20), row["tflop_s"]) for row in parts]
        found.append(plots.roofline_plot(points, float(record.get("parts_peak", 0.0))))
    sizes = [row for row in record.get("scaling", []) if row.get("status") == "ok"]
    if len(sizes) > 1:
        found.append(plots.scaling_plot([(row["pixels"], row["seconds"]) for row in sizes]))
    return found

"""Plots of a profile: roofline of the parts, throughput of the arms, and time against pixels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_plots(record: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write roofline.png, arms.png and scaling.png where the record has what they show; returns the files."""
    import matplotlib

    matplotlib.use("Agg")
    written = []
    for name, draw in (("roofline", roofline), ("arms", arms), ("scaling", scaling)):
        figure = draw(record)
        if figure is not None:
            path = folder / f"{name}.png"
            figure.savefig(path, dpi=110, bbox_inches="tight")
            written.append(path)
    return written


def new_axes(title: str, x: str, y: str) -> tuple[Any, Any]:
    """A figure with one labelled axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(True, alpha=0.3)
    return figure, axes


def roofline(record: Mapping[str, Any]) -> Any:
    """Rate of each part against its FLOPs a byte, under the measured peak and memory rate."""
    rows = [row for row in record.get("parts", []) if row["gflop"] > 0 and row["mib"] > 0 and row["tflop_s"] > 0]
    if not rows:
        return None
    figure, axes = new_axes("Roofline by layer and part", "FLOP a byte, eager operators", "TFLOP/s")
    names = sorted({row["part"] for row in rows})
    for name in names:
        chosen = [row for row in rows if row["part"] == name]
        intensity = [row["gflop"] * 1e9 / (row["mib"] * 2**20) for row in chosen]
        axes.scatter(intensity, [row["tflop_s"] for row in chosen], label=name, s=28)
    peak = record.get("parts_peak", 0.0)
    if peak:
        axes.axhline(peak, color="0.3", linestyle="--", label=f"measured peak {peak:.3g}")
        memory = record.get("peaks", {}).get("memory_tb_s")
        if memory:
            axes.plot([peak / memory / 1000, peak / memory], [peak / 1000, peak], color="0.6", label="memory rate")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend(fontsize=7)
    return figure


def arms(record: Mapping[str, Any]) -> Any:
    """Megapixels a second of each sampling arm."""
    rows = [row for row in record.get("arms", []) if row.get("status") == "ok"]
    if not rows:
        return None
    figure, axes = new_axes("Sampling", "megapixels a second", "")
    axes.barh([row["name"] for row in rows], [row["megapixels_per_s"] for row in rows], color="#3b6ea5")
    axes.invert_yaxis()
    for i, row in enumerate(rows):
        axes.text(row["megapixels_per_s"], i, f" {row['speedup']:.2f}x", va="center", fontsize=8)
    return figure


def scaling(record: Mapping[str, Any]) -> Any:
    """Seconds against pixels with tiling, both logarithmic, beside the line through the largest image."""
    rows = [row for row in record.get("scaling", []) if row.get("status") == "ok"]
    if len(rows) < 2:
        return None
    figure, axes = new_axes("Time against pixels", "pixels", "seconds")
    pixels, times = [row["pixels"] for row in rows], [row["seconds"] for row in rows]
    axes.plot(pixels, times, "o-", label="measured")
    axes.plot(pixels, [times[-1] * n / pixels[-1] for n in pixels], "--", color="0.5", label="in proportion")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.legend()
    return figure

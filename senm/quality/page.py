"""report.html in a model's folder: one page that needs nothing else, with its plots as inline SVG."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from senm.quality.measure import Quality
from senm.support.files import write_bytes

REPORT = "report.html"
WIDTH, HEIGHT, EDGE = 420, 300, 46
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c;
background:#fff}h1{font-size:1.4rem}h2{font-size:1.1rem}svg{max-width:100%;height:auto}
.row{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}img{width:13rem;image-rendering:pixelated}
figcaption,text{font-size:13px;fill:currentColor}.warning{color:#a02000}
@media(prefers-color-scheme:dark){body{background:#161616;color:#e6e6e6}.warning{color:#ff9c80}}"""
COLOURS = ("#1f6fb4", "#d1622b")
Points = Sequence[tuple[float, float]]


def write_page(quality: Quality, name: str, folder: Path) -> Path:
    """Write `report.html` about the model of this name; returns its path.

    Raises:
        MachineError: the folder cannot be written.
    """
    write_bytes(folder / REPORT, page(quality, name).encode())
    return folder / REPORT


def page(quality: Quality, name: str) -> str:
    """The whole page."""
    lines = "".join(f"<li{' class=warning' * line.startswith('warning')}>{escape(line)}</li>"
                    for line in quality.lines())
    low, high = (f(value for pair in quality.levels for value in pair) for f in (min, max))
    rings = len(quality.real)
    curves = {label: [((i + 0.5) / rings / 2, 10 * math.log10(max(power, 1e-12))) for i, power in enumerate(powers)]
              for label, powers in (("real", quality.real), ("generated", quality.made))}
    titles = ("clean", "real noise", "generated noise", "denoised")
    pictures = "".join(f"<figure>{picture(image, title)}<figcaption>{title}</figcaption></figure>"
                       for title, image in zip(titles, quality.pictures, strict=False))
    levels = plot({"pairs": quality.levels}, "level asked", "level made", line=[(low, low), (high, high)])
    return (f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>{escape(name)}</title><style>{STYLE}</style><h1>What the noise model {escape(name)} is worth</h1>"
            f"<ul>{lines}</ul><h2>Level asked against level made</h2>{levels}"
            f"<h2>Spectrum of the noise</h2>{plot(curves, 'cycles a pixel', 'power in dB', joined=True)}"
            f"<h2>The pair of the strongest noise</h2><div class=row>{pictures}</div></html>")


def picture(image: np.ndarray, title: str) -> str:
    """The centre of an image, 128 pixels a side, within the page."""
    top, left = (max(0, (side - 128) // 2) for side in image.shape[:2])
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image[top : top + 128, left : left + 128])).save(stream, "PNG")
    return f"<img alt='{escape(title)}' src='data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}'>"


def plot(series: Mapping[str, Points], across: str, up: str, *, line: Points = (), joined: bool = False) -> str:
    """Points, or joined ones, as SVG; each has its numbers as a title to hover over."""
    every = [point for points in (*series.values(), line) for point in points]
    (left, right), (bottom, top) = (span([point[axis] for point in every]) for axis in (0, 1))

    def at(x: float, y: float) -> tuple[float, float]:
        return (EDGE + (x - left) / (right - left) * (WIDTH - EDGE - 10),
                HEIGHT - EDGE - (y - bottom) / (top - bottom) * (HEIGHT - EDGE - 10))

    def path(points: Points, colour: str, dash: str = "") -> str:
        corners = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in points)
        return f"<polyline points='{corners}' fill=none stroke='{colour}' stroke-width=2 {dash}/>"

    parts = [path(line, "#999", "stroke-dasharray=5")] if line else []
    for i, ((label, points), colour) in enumerate(zip(series.items(), COLOURS, strict=False)):
        parts += [path(points, colour)] if joined else []
        for x, y in points:
            cx, cy = at(x, y)
            parts.append(f"<circle cx='{cx:.1f}' cy='{cy:.1f}' r=4 fill='{colour}'>"
                         f"<title>{escape(label)}: {x:.4g}, {y:.4g}</title></circle>")
        if len(series) > 1:
            parts.append(f"<text x='{EDGE + 12}' y='{24 + 18 * i}' style='fill:{colour}'>{escape(label)}</text>")
    for x in (left, right):
        parts.append(f"<text x='{at(x, bottom)[0]:.0f}' y='{HEIGHT - EDGE + 18}' text-anchor='middle'>{x:.3g}</text>")
    for y in (bottom, top):
        parts.append(f"<text x='{EDGE - 6}' y='{at(left, y)[1] + 4:.0f}' text-anchor='end'>{y:.3g}</text>")
    axes = f"M{EDGE} 10V{HEIGHT - EDGE}H{WIDTH - 10}"
    return (f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' width={WIDTH} role=img aria-label='{escape(up)} by {escape(across)}'>"
            f"<path d='{axes}' fill=none stroke=currentColor />{''.join(parts)}"
            f"<text x='{WIDTH / 2}' y='{HEIGHT - 8}' text-anchor='middle'>{escape(across)}</text>"
            f"<text x=14 y='{HEIGHT / 2}' text-anchor='middle' transform='rotate(-90 14 {HEIGHT / 2})'>{escape(up)}"
            "</text></svg>")


def span(values: Sequence[float]) -> tuple[float, float]:
    """A range that holds the values, with some room."""
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room

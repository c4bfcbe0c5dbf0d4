"""Plots as inline SVG that reads on a light and a dark page: drawn by matplotlib, coloured by the page's own style.

Everything is drawn in stand-in colours that are then replaced by CSS variables, and text stays text in the page's
font. No name from a data set or a log is drawn: labels are set in HTML around the plots, where they are escaped.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from benchmarks.report.context import Sweep
from benchmarks.report.noise_stats import NoiseStats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SERIES = 8
INK, MUTED, GRID = "#00b001", "#00b002", "#00b003"
COLOURS = tuple(f"#00a0{i:02x}" for i in range(1, SERIES + 1))
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--line", **{c: f"--s{i}" for i, c in enumerate(COLOURS, 1)}}
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
POINTS = 80

Draw = Callable[["Axes"], None]


@dataclass(frozen=True)
class Plot:
    """One small plot: its caption, what a screen reader is told, and the SVG."""

    title: str
    description: str
    svg: Markup


@dataclass(frozen=True)
class Series:
    """A name with its place in the colour and dash cycle; 0 is the ink colour, kept for what is real."""

    index: int
    label: str


def series(labels: Sequence[str], real: bool = False) -> tuple[Series, ...]:
    """Number labels for the legend; with `real`, the first one is drawn in ink."""
    return tuple(Series(i if real else i + 1, label) for i, label in enumerate(labels))


def colour(index: int) -> str:
    """Stand-in colour of a series."""
    return INK if index == 0 else COLOURS[(index - 1) % SERIES]


def dash(index: int) -> object:
    """Line style of a series: the second round of colours is dashed."""
    return DASHES[max(0, index - 1) // SERIES % len(DASHES)]


def plot(
    key: str, title: str, description: str, draw: Draw, size: tuple[float, float] = (3.3, 2.3),
    titles: Mapping[int, str] | None = None,
) -> Plot:
    """Run `draw` on empty axes and return the plot. `key` must be unique on the page: ids are derived from it.

    `titles` are shown when the pointer rests on a series.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_style()):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes)
        _plain_powers(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Plot(title, description, Markup(_titled(_page_style(buffer.getvalue(), key), titles or {})))


def _titled(svg: str, titles: Mapping[int, str]) -> str:
    """The drawing with what is said of each series, escaped."""

    def with_title(match: re.Match[str]) -> str:
        said = titles.get(int(match[1]))
        return match[0] + (f"<title>{escape(said)}</title>" if said else "")

    return re.sub(r'<g class="series" data-series="(\d+)">', with_title, svg)


def noise_plots(key: str, stats: Sequence[NoiseStats]) -> tuple[Plot, ...]:
    """The plots of one set of noise statistics; the first one is drawn in ink where it is real."""

    def made(name: str, title: str, what: str, draw: Draw) -> Plot:
        said = f"{what}, for {', '.join(s.label for s in stats)}"
        return plot(f"{key}-{name}", title, said, draw, titles={i: item.label for i, item in _numbered(stats)})

    return (
        made("variance", "Variance against brightness", "noise variance by clean value", partial(_variance, stats)),
        made("histogram", "Histogram of residuals", "share of residual values", partial(_histogram, stats)),
        made("channels", "Correlation between channels", "channel correlations", partial(_channels, stats)),
        *(
            made(name, f"Spatial correlation, {name}", f"{name} autocorrelation by lag", partial(_lags, stats, name))
            for name in ("horizontal", "vertical")
        ),
    )


def _variance(stats: Sequence[NoiseStats], axes: Axes) -> None:
    for index, item in _numbered(stats):
        points = [(x, y) for x, y in zip(item.intensity, item.variance, strict=True) if y is not None]
        _line(axes, index, [p[0] for p in points], [p[1] for p in points])
    axes.set(xlabel="clean value", ylabel="variance", xlim=(0, 255), ylim=(0, None))


def _histogram(stats: Sequence[NoiseStats], axes: Axes) -> None:
    for index, item in _numbered(stats):
        shares = [h if h > 0 else math.nan for h in item.histogram]
        _line(axes, index, [e + 1 for e in item.edges], shares)
    reach = min(100.0, max(12.0, 5 * max(s.std for s in stats)))
    axes.set(xlabel="noisy − clean", ylabel="share", yscale="log", xlim=(-reach, reach))


def _lags(stats: Sequence[NoiseStats], direction: str, axes: Axes) -> None:
    axes.axhline(0, color=GRID, linewidth=0.8)
    for index, item in _numbered(stats):
        values = getattr(item, direction)
        _line(axes, index, range(len(values)), values, marker="o")
    axes.set(xlabel="lag in pixels", ylabel="correlation")


def _channels(stats: Sequence[NoiseStats], axes: Axes) -> None:
    pairs = ((0, 1), (1, 2), (0, 2))
    axes.axhline(0, color=GRID, linewidth=0.8)
    width = 0.7 / len(stats)
    for place, (index, item) in enumerate(_numbered(stats)):
        at = [x + (place - (len(stats) - 1) / 2) * width for x in range(len(pairs))]
        values = [item.channels[a][b] for a, b in pairs]
        axes.plot(at, values, "o", color=colour(index), markersize=4, gid=f"series-{index}")
    axes.set_xticks(range(len(pairs)), ["R-G", "G-B", "R-B"])
    axes.set(ylabel="correlation", xlim=(-0.5, 2.5))


def sweep_plot(key: str, sweep: Sweep) -> Plot:
    """One panel of figure 7: the mean over replicates, every replicate as a dot, logarithmic weight axis."""

    def draw(axes: Axes) -> None:
        weights = [weight for weight, _ in sweep.points]
        axes.plot(weights, [float(np.mean(v)) for _, v in sweep.points], "-o", color=COLOURS[0], markersize=4)
        for weight, values in sweep.points:
            if len(values) > 1:
                axes.plot([weight] * len(values), values, "_", color=INK, markersize=7)
        axes.axvspan(1e-7, 1e-6, color=GRID, alpha=0.5, linewidth=0)
        axes.set(xscale="log", xlabel="KL weight")

    arrow = "lower" if sweep.better == "lower" else "higher"
    return plot(key, f"{sweep.label} ({arrow} is better)", f"{sweep.label} against the KL weight", draw)


def roofline_plot(points: Sequence[tuple[float, float]], peak: float) -> Plot:
    """Arithmetic rate in TFLOP/s of each part against its FLOPs a byte, under the peak measured in the same run."""

    def draw(axes: Axes) -> None:
        axes.plot([x for x, _ in points], [y for _, y in points], "o", color=COLOURS[0], markersize=4)
        if peak > 0:
            axes.axhline(peak, color=INK, linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel="FLOP a byte", ylabel="TFLOP/s")

    return plot("profile-roofline", "Rate of each part, line: measured peak", "arithmetic rate by intensity", draw)


def scaling_plot(points: Sequence[tuple[float, float]]) -> Plot:
    """Seconds of one image against its pixels, beside the line in proportion to the largest one."""

    def draw(axes: Axes) -> None:
        pixels, times = [p for p, _ in points], [t for _, t in points]
        axes.plot(pixels, [times[-1] * p / pixels[-1] for p in pixels], color=MUTED, linewidth=0.8)
        axes.plot(pixels, times, "-o", color=COLOURS[0], markersize=4)
        axes.set(xscale="log", yscale="log", xlabel="pixels", ylabel="seconds")

    return plot("profile-scaling", "Time by pixels, thin line: in proportion", "seconds by number of pixels", draw)


def curve_plot(key: str, name: str, runs: Sequence[tuple[int, Sequence[tuple[float, float]]]]) -> Plot:
    """One logged quantity over steps; `runs` pairs a series index with (step, value) points."""
    values = np.array([v for _, points in runs for _, v in points if math.isfinite(v)])
    logarithmic = bool(values.size) and values.min() > 0 and values.max() / values.min() > 30

    def draw(axes: Axes) -> None:
        for index, points in runs:
            kept = points[:: max(1, math.ceil(len(points) / POINTS))]
            marker = "o" if len(kept) == 1 else None
            _line(axes, index, [p[0] for p in kept], [p[1] for p in kept], marker=marker)
        axes.set(xlabel="step", yscale="log" if logarithmic else "linear")

    return plot(key, name, f"{name} over training steps, {len(runs)} runs", draw)


def _line(axes: Axes, index: int, x: Sequence[float], y: Sequence[float], marker: str | None = None) -> None:
    axes.plot(
        x, y, color=colour(index), linestyle=dash(index), marker=marker, markersize=2.6,  # type: ignore[arg-type]
        linewidth=1.7 if index == 0 else 1.2, zorder=1.9 if index == 0 else 2, gid=f"series-{index}",
    )


def _numbered(stats: Sequence[NoiseStats]) -> Iterator[tuple[int, NoiseStats]]:
    named = series([s.label for s in stats], stats[0].real)
    return ((item.index, stat) for item, stat in zip(named, stats, strict=True))


def _plain_powers(axes: Axes) -> None:
    """Label logarithmic axes with plain characters: mathematical text is placed glyph by glyph for another font."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for axis, scale in ((axes.xaxis, axes.get_xscale()), (axes.yaxis, axes.get_yscale())):
        if scale == "log":
            low, high = sorted(axis.get_view_interval())
            wide = high / max(low, 1e-300) > 10
            axis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
            axis.set_minor_formatter(NullFormatter() if wide else FuncFormatter(lambda value, _: f"{value:g}"))


def power(value: float) -> str:
    """A power of ten in plain characters; other values in short form.

    >>> power(1e-7), power(1.0), power(2e-7)
    ('10⁻⁷', '1', '2e-07')
    """
    exponent = round(math.log10(value)) if value > 0 else 0
    if value <= 0 or not math.isclose(value, 10.0**exponent, rel_tol=1e-6) or 0 <= exponent <= 2:
        return f"{value:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _style() -> Any:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "report",
        "font.size": 8,
        "text.color": INK,
        "axes.labelcolor": MUTED,
        "axes.edgecolor": MUTED,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "axes.formatter.use_mathtext": False,
        "axes.formatter.limits": (-3, 5),
        "axes.unicode_minus": True,
    }


def _page_style(svg: str, key: str) -> str:
    """Cut the prologue, unused ids and far decimals, make ids unique, turn stand-in colours into CSS variables and
    fixed sizes into a view box."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s*\n\s*", " ", svg).replace("xlink:href", "href")
    svg = re.sub(r'id="series-(\d+)"', r'class="series" data-series="\1"', svg)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", svg)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{key}-\1"', svg)
    svg = re.sub(r'(href="|url\()#', rf"\g<1>#{key}-", svg)
    svg = re.sub(r"font-family: [^;]*; ?", "", svg)
    svg = re.sub(r"(\d\.\d)\d+", r"\1", svg)
    svg = re.sub(r' transform="rotate\(-0 [^"]*\)"|; stroke-linecap: square|<defs> </defs> ', "", svg)
    svg = re.sub(r'<path d="[^"]*" style="fill: none"/>', "", svg)
    svg = re.sub(rf'(<use [^>]*) style="[^"]*{MUTED}[^"]*"', r"\1", svg)
    for stand_in, variable in VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    opening = r'<svg viewBox="\1" aria-hidden="true" focusable="false">'
    return re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', opening, svg)

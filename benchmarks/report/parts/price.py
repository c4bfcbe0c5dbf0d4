"""What rows cost, beside what they reach: a table, and quality against training time and against speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.core.record import Column, Price, TableResult
from benchmarks.core.units import counted
from benchmarks.report.parts.profiles import ProfileTable
from benchmarks.report.plots import Plot, Series, colour, plot, series
from benchmarks.report.view import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADS = ("System", "Pairs", "Parameters", "Training, hours", "Restorer, hours", "Mpixel/s", "Trained on")


@dataclass(frozen=True)
class PriceView:
    """The prices of a table as text, plots with their legend, and the machine that sampled."""

    table: str
    grid: ProfileTable
    plots: tuple[Plot, ...]
    series: tuple[Series, ...]
    sampled_on: str
    left_out: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Of the figure on the page."""
        return f"price-{self.table}"


def price_view(result: TableResult) -> PriceView | None:
    """The prices of a table's rows, None where none is known."""
    if not result.prices:
        return None
    rows = {row.id: row for row in result.rows}
    made = "noise made" if any(column.metric.startswith("kld") for column in result.columns) else "images restored"
    machines = sorted({_machine(price.sampled_on) for price in result.prices if price.sampled_on})
    named = series([_name(result, index) for index in range(1, len(result.prices) + 1)])
    return PriceView(
        table=result.table,
        grid=ProfileTable(
            f"one replicate of each row; megapixels a second are those of {made} here",
            HEADS,
            tuple(_line(price, rows[price.row].label, rows[price.row].paired) for price in result.prices),
        ),
        plots=tuple(_plots(result)),
        series=named,
        sampled_on=", ".join(machines),
    )


def _line(price: Price, label: str, paired: str) -> tuple[str, ...]:
    count = f"{price.parameters:,}" if price.parameters is not None else "–"
    numbers = (price.training_hours, price.restorer_hours, price.megapixels_per_second)
    return label, paired, count, *(number(each, 3) or "–" for each in numbers), _machine(price.trained_on)


def _machine(text: str) -> str:
    """Processor and threads in words.

    >>> _machine("AMD EPYC, 1 threads")
    'AMD EPYC, 1 thread'
    """
    name, _, threads = text.rpartition(", ")
    return f"{name}, {counted(int(threads.split()[0]), 'thread')}" if threads.endswith("threads") else text


def _plots(result: TableResult) -> list[Plot]:
    """The last printed column (PSNR in tables of noise) and the first one, against hours and against speed."""
    columns = [column for column in result.columns if not column.extra]
    wanted: list[tuple[Column, str, Callable[[Price], float | None]]] = [
        (columns[-1], "hours of training", lambda price: price.training_hours),
        (columns[0], "megapixels a second", lambda price: price.megapixels_per_second),
    ]
    drawn = []
    for place, (column, axis, cost) in enumerate(wanted):
        points = []
        for index, price in enumerate(result.prices, 1):
            cell, paid = result.cell(price.row, column.id), cost(price)
            if cell is not None and cell.mean is not None and paid:
                points.append((index, paid, cell.mean))
        if len(points) > 1:
            key, caption = f"price-{result.table}-{place}", f"{column.label} ({column.better} is better) by {axis}"
            said = {index: f"{_name(result, index)}: {paid:.3g} {axis}, {reached:.{column.digits}f}"
                    for index, paid, reached in points}
            drawn.append(plot(key, caption, caption, partial(_dots, points, axis, column), titles=said))
    return drawn


def _name(result: TableResult, index: int) -> str:
    """Label and pairs of the row with this price, counted from 1."""
    row = next(row for row in result.rows if row.id == result.prices[index - 1].row)
    return f"{row.label} {row.paired}".strip()


def _dots(points: Sequence[tuple[int, float, float]], axis: str, column: Column, axes: Axes) -> None:
    for index, paid, reached in points:
        marker = "o" if index <= 8 else "^"
        axes.plot([paid], [reached], marker, color=colour(index), markersize=6, gid=f"series-{index}")
    values = [reached for _, _, reached in points]
    wide = min(values) > 0 and max(values) / min(values) > 30
    axes.set(xscale="log", xlabel=axis, ylabel=column.label, yscale="log" if wide else "linear")

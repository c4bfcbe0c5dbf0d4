"""Two rows or two runs as a page of their own: a line for each metric, its difference and its intervals drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.core.units import counted
from benchmarks.judging.differences import LEVEL, Difference
from benchmarks.judging.rows import RowDifference
from benchmarks.report.html import TEMPLATES, environment
from senm.support.files import write_text

WIDTH = 240


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of the difference b - a: what it is over, its bounds, and the corrected p-value."""

    over: str
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Line:
    """One metric; `intervals` may be empty."""

    name: str
    a: float
    b: float
    verdict: str
    intervals: tuple[Interval, ...]

    @property
    def reach(self) -> float:
        """The largest distance from zero that is drawn."""
        bounds = [abs(x) for each in self.intervals for x in (each.low, each.high)]
        return max([abs(self.b - self.a), *bounds]) or 1.0

    def at(self, value: float) -> float:
        """Where a difference is drawn, in units of the plot; zero in the middle."""
        return round(WIDTH / 2 + value / self.reach * (WIDTH / 2 - 8), 1)


def of_rows(found: Sequence[RowDifference]) -> tuple[Line, ...]:
    """Lines of two rows of one run."""
    lines = []
    for each in found:
        intervals = []
        if each.replicates is not None:
            over = counted(len(each.seeds), "replicate")
            intervals.append(Interval(over, *each.replicates.interval, each.replicates.p))
        if each.images is not None and each.images.interval is not None:
            intervals.append(Interval(counted(each.images.images, "image"), *each.images.interval, each.image_p))
        lines.append(Line(f"{each.metric} ({each.split})", each.a, each.b, each.verdict, tuple(intervals)))
    return tuple(lines)


def of_runs(found: Sequence[Difference]) -> tuple[Line, ...]:
    """Lines of two runs of one table."""
    lines = []
    for each in found:
        intervals: tuple[Interval, ...] = ()
        verdict = each.note
        if each.test is not None:
            verdict = "differs" if each.p <= LEVEL else "no difference shown"
            if each.test.interval is not None:
                intervals = (Interval(counted(each.test.images, "image"), *each.test.interval, each.p),)
        lines.append(Line(f"{each.row} {each.metric} ({each.split})".strip(), each.a, each.b, verdict, intervals))
    return tuple(lines)


def write_page(lines: Sequence[Line], a: str, b: str, remark: str, path: Path) -> Path:
    """Write the page; needs no network and runs no script. Returns the path."""
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    text = environment().get_template("compared.html.j2").render(
        lines=lines, a=a, b=b, remark=remark, style=style, width=WIDTH
    )
    write_text(path, text)
    return path

"""Two rows of one run side by side, over images and over replicates: the logic of `run compare RUN --rows A B`.

Differences over images say what other photographs would change for these trainings, those over replicates what training
again would change. Only the second can say that one row is better, and one replicate says nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.core.means import finite_mean
from benchmarks.core.record import EvaluationRecord, Measurement, TableResult, read
from benchmarks.core.statistics import ENOUGH, Paired, holm, mean_and_spread, paired
from benchmarks.core.units import counted
from benchmarks.judging.differences import LEVEL, load
from senm.support.errors import UsageError, unknown

NAME = re.compile(r"(?P<row>.+)-(?P<seed>\d+)-(?P<kind>noise|restoration)")


@dataclass(frozen=True)
class Replicates:
    """Paired differences b - a by replicate: their mean, 95 % interval (Student's t) and p-value; corrected by Holm."""

    differences: tuple[float, ...]
    interval: tuple[float, float]
    p: float


@dataclass(frozen=True)
class RowDifference:
    """One metric of two rows. `images` is over images, each value the mean over the replicates that both rows have;
    `replicates` is None with fewer than two of them. `image_p` is the p-value over images by Holm's correction.
    """

    metric: str
    split: str
    better: str
    a: float
    b: float
    seeds: tuple[int, ...]
    images: Paired | None
    replicates: Replicates | None
    image_p: float = 1.0

    @property
    def difference(self) -> float:
        """b - a."""
        return self.b - self.a

    @property
    def verdict(self) -> str:
        """Whether the second row is shown to be better or worse."""
        if self.replicates is None:
            return "undecided: one replicate decides nothing"
        if self.replicates.p > LEVEL:
            return "no difference shown"
        good = self.better == ("higher" if self.difference > 0 else "lower")
        return f"the second is {'better' if good else 'worse'}"

    def lines(self) -> list[str]:
        """The difference in words."""
        found = [f"{self.metric} ({self.split}): {self.a:.4f} -> {self.b:.4f} ({self.difference:+.4f}), {self.verdict}"]
        if self.replicates is not None:
            low, high = self.replicates.interval
            found.append(f"    over {len(self.seeds)} replicates: 95 % interval {low:+.4f} to {high:+.4f}, "
                         f"corrected p = {self.replicates.p:.3g}")
        if self.images is not None and self.images.interval is not None:
            low, high = self.images.interval
            rough = ", rough" if self.images.images - self.images.infinite < ENOUGH else ""
            found.append(f"    over {counted(self.images.images, 'image')}: 95 % interval {low:+.4f} to {high:+.4f}"
                         f"{rough}, corrected p = {self.image_p:.3g}")
        return found


def compare_rows(run: str | Path, a: str, b: str) -> list[RowDifference]:
    """Every metric that both rows measured in the replicates that both have.

    Args:
        run: a run folder or its table.json.
        a, b: row ids.

    Raises:
        DataError: no finished run there.
        UsageError: an unknown row, the same one twice, or rows without a replicate in common.
    """
    path = Path(run)
    table: TableResult = read(path / "table.json" if path.is_dir() else path, TableResult)
    rows: dict[str, dict[tuple[str, int], EvaluationRecord]] = {}
    for name, record in load(path).items():
        match = NAME.fullmatch(name)
        if match:
            rows.setdefault(match["row"], {})[match["kind"], int(match["seed"])] = record
    for name in (a, b):
        if name not in rows:
            raise unknown("measured row", name, sorted(rows))
    if a == b:
        raise UsageError(f"--rows names {a!r} twice", "two rows")
    if not set(rows[a]) & set(rows[b]):
        raise UsageError(f"{a} and {b} have no replicate in common", "two rows that were run with the same --seeds")
    better = {(c.metric, c.split): c.better for c in table.columns}
    found = []
    for (metric, split), side in better.items():
        first, second = (_by_seed(rows[name], metric, split) for name in (a, b))
        seeds = tuple(sorted(set(first) & set(second)))
        if seeds:
            found.append(_difference(metric, split, side, [first[s] for s in seeds], [second[s] for s in seeds], seeds))
    return corrected(found)


def corrected(found: Sequence[RowDifference]) -> list[RowDifference]:
    """With p-values by Holm's correction, over images and over replicates each among themselves."""
    over_images = holm([each.images.p if each.images else 1.0 for each in found if each.images])
    over_seeds = holm([each.replicates.p for each in found if each.replicates])
    images, seeds = iter(over_images), iter(over_seeds)
    return [
        replace(each, image_p=next(images) if each.images else 1.0,
                replicates=replace(each.replicates, p=next(seeds)) if each.replicates else None)
        for each in found
    ]


def _by_seed(records: Mapping[tuple[str, int], EvaluationRecord], metric: str, split: str) -> dict[int, Measurement]:
    return {seed: m for (_, seed), record in records.items() for m in record.measurements
            if (m.metric, m.split) == (metric, split)}


def _difference(
    metric: str, split: str, better: str, a: Sequence[Measurement], b: Sequence[Measurement], seeds: tuple[int, ...]
) -> RowDifference:
    per_image = [_over_replicates(each) for each in (a, b)]
    images = paired(*per_image) if all(per_image) else None
    first, second = (math.fsum(m.value for m in each) / len(each) for each in (a, b))
    return RowDifference(metric, split, better, first, second, seeds, images if images and images.images else None,
                         _replicates([y.value - x.value for x, y in zip(a, b, strict=True)]))


def _over_replicates(found: Sequence[Measurement]) -> dict[str, float]:
    """Of each image that every replicate has, the mean of its values."""
    names = set.intersection(*(set(m.per_image) for m in found))
    return {name: finite_mean([m.per_image[name] for m in found])[0] for name in names}


def _replicates(differences: Sequence[float]) -> Replicates | None:
    if len(differences) < 2 or not all(map(math.isfinite, differences)):
        return None
    from scipy.stats import t as student

    mean, spread = mean_and_spread(differences)
    error = (spread or 0.0) / math.sqrt(len(differences))
    reach = float(student.ppf(1 - LEVEL / 2, len(differences) - 1)) * error
    p = 1.0 if mean == 0 else 0.0
    if error > 0:
        p = float(2 * student.sf(abs(mean) / error, len(differences) - 1))
    return Replicates(tuple(differences), (mean - reach, mean + reach), p)

"""What moved the number: the released networks of table 1, sampled with each part that is not in the paper on and off.

No network is trained: the parts are fitted beside the same weights, so a difference between two lines is that part's.
`python -m benchmarks.profiling.study` prints the table of docs/study.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.core.options import STORE
from benchmarks.core.statistics import mean_and_spread
from benchmarks.store.released import released
from senm.support.progress import NullProgress

if TYPE_CHECKING:
    from senm.data.pool import Pairs

METRICS = ("fd_random", "noise_correlation_error", "variance_curve_error")
ROWS = {"senm-10": "senm-vae", "senm-all": "senm-paired"}
LEVELS = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Line:
    """One way of sampling a row: the metrics of each replicate, in the order of `METRICS`."""

    row: str
    sampling: dict[str, str]
    values: tuple[tuple[float, ...], ...]

    @property
    def text(self) -> str:
        """As the table prints it."""
        how = "  ".join(f"{value:10}" for value in self.sampling.values())
        found = []
        for index, digits in enumerate((2, 3, 3)):
            mean, spread = mean_and_spread(tuple(each[index] for each in self.values))
            found.append(f"{mean:.{digits}f}" + ("" if spread is None else f" ±{spread:.{digits}f}"))
        return f"{self.row:9} {how}  " + "  ".join(f"{each:>15}" for each in found)


def ways(row: str) -> Iterator[dict[str, str]]:
    """Every way of sampling; the fully paired network has no clean pass to take a difference with."""
    outputs = ("direct", "difference") if ROWS[row] == "senm-vae" else ("direct",)
    for prior, curve, output in product(("standard", "fitted"), ("none", "calibrated"), outputs):
        yield {"prior": prior, "level_curve": curve, "output": output}


def networks(row: str) -> list[Any]:
    """The released noise models of a row, one a replicate."""
    import baselines

    found = [item for item in released() if item.folder.name.rpartition("-")[0] == f"table1-{row}-noise"]
    return [baselines.get(ROWS[row]).load(item.folder, "cpu") for item in found]


def lines(row: str, models: Sequence[Any], pairs: Pairs) -> Iterator[Line]:
    """The row sampled in every way, on the noisy images' own levels."""
    from benchmarks.metrics import METRICS as REGISTRY
    from senm.data.levelled import levelled

    clean = levelled(pairs)
    for sampling in ways(row):
        values = []
        for model in models:
            made = list(model.sample(clean, seed=0, device="cpu", progress=NullProgress(), sampling=_of(row, sampling)))
            values.append(tuple(
                REGISTRY[name](generated=made, real=pairs.noisy, clean=pairs.clean) for name in METRICS
            ))
        yield Line(row, sampling, tuple(values))


def _of(row: str, sampling: dict[str, str]) -> dict[str, str]:
    return sampling if ROWS[row] == "senm-vae" else {k: v for k, v in sampling.items() if k != "output"}


def levels_made(model: Any, pairs: Pairs, sampling: dict[str, str]) -> list[float]:
    """The level that comes out for each of `LEVELS`, in units of [0, 1], over all images."""
    from senm.data.levelled import LevelledImages, level_between

    found = []
    for level in LEVELS:
        clean = LevelledImages(pairs.clean, dict.fromkeys(pairs.clean.names, level))
        made = model.sample(clean, seed=0, device="cpu", progress=NullProgress(), sampling=sampling)
        found.append(float(np.mean([level_between(a, b) for a, b in zip(made, pairs.clean, strict=True)])))
    return found


def validation(images: int | None) -> Pairs:
    """The validation pairs of the embedded set at `short` scale."""
    from benchmarks.data import datasets
    from benchmarks.store.store import Store

    data = datasets.load(datasets.parse("embedded"), "short", "noise", Store(STORE), NullProgress())
    assert data.prepared is not None
    pairs = data.prepared.pairs("validation")
    return pairs if images is None else pairs.subset(range(images))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser("python -m benchmarks.profiling.study", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default=",".join(ROWS), help="rows of table 1, separated by commas")
    parser.add_argument("--images", type=int, help="validation images; all 64")
    given = parser.parse_args(arguments)
    pairs = validation(given.images)
    head = "row       prior       level curve  output            FD-random  correlation     variance"
    print(f"{head}\n{'':9} {'':36} {'':>15} {'error':>12} {'error':>12}", flush=True)
    for row in given.rows.split(","):
        models = networks(row)
        for line in lines(row, models, pairs):
            print(line.text, flush=True)
    print("\nlevel asked -> made, first replicate")
    for row in given.rows.split(","):
        model = networks(row)[0]
        for curve in ("none", "calibrated"):
            made = levels_made(model, pairs, _of(row, {"prior": "fitted", "level_curve": curve, "output": "direct"}))
            print(f"{row:9} level curve {curve:10} " + "  ".join(
                f"{level:g} -> {got:.3f} ({100 * (got / level - 1):+.0f} %)" for level, got in
                zip(LEVELS, made, strict=True)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What noise looks like beside its scores: spread against brightness, correlations, and the histogram of residuals.

Scores such as KLD see only grey-level marginals; these statistics show the structure that they miss.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmarks.core.record import Frozen
from senm.support.errors import DataError

BINS = 16
LAGS = 8
REACH = 100
STEP = 2
MINIMUM = 64


class NoiseStats(Frozen):
    """Statistics of the residual noisy - clean of one system over some images, in units of 8-bit grey levels.

    `variance[i]` belongs to clean values around `intensity[i]` (None: fewer than 64 samples there); `horizontal` and
    `vertical` are the autocorrelation at lags 0 to 8; `channels` the 3 x 3 correlation matrix of R, G, B;
    `histogram[i]` the share of residuals in the bin around `edges[i] + 1` (bins of width 2 from -100 to 100).
    """

    label: str
    table: str = ""
    images: int
    real: bool = False
    mean: float
    std: float
    intensity: tuple[float, ...]
    variance: tuple[float | None, ...]
    horizontal: tuple[float, ...]
    vertical: tuple[float, ...]
    channels: tuple[tuple[float, ...], ...]
    histogram: tuple[float, ...]

    @property
    def edges(self) -> tuple[float, ...]:
        """Left edges of the histogram's bins."""
        return tuple(float(v) for v in np.arange(-REACH, REACH, STEP))


def noise_stats(
    label: str, pairs: Iterable[tuple[np.ndarray, np.ndarray]], real: bool = False, table: str = ""
) -> NoiseStats:
    """Statistics over (clean, noisy) pairs, each uint8 (H, W, 3) RGB of equal size; one pass, sums only.

    Raises:
        DataError: no pairs, or a pair of unequal sizes.
    """
    images = 0
    counts, sums, squares = np.zeros(BINS), np.zeros(BINS), np.zeros(BINS)
    rows, columns = np.zeros(LAGS + 1), np.zeros(LAGS + 1)
    channels, histogram = np.zeros((3, 3)), np.zeros(2 * REACH // STEP)
    total = total_square = samples = 0.0
    for clean, noisy in pairs:
        if clean.shape != noisy.shape:
            raise DataError(f"a pair of {label!r} has shapes {clean.shape} and {noisy.shape}", "equal shapes")
        residual = noisy.astype(np.float64) - clean.astype(np.float64)
        images += 1
        samples += residual.size
        total += residual.sum()
        total_square += (residual**2).sum()
        bins = (clean.astype(np.int64) * BINS // 256).ravel()
        counts += np.bincount(bins, minlength=BINS)
        sums += np.bincount(bins, residual.ravel(), minlength=BINS)
        squares += np.bincount(bins, residual.ravel() ** 2, minlength=BINS)
        histogram += np.histogram(residual, bins=len(histogram), range=(-REACH, REACH))[0]
        centred = residual - residual.mean(axis=(0, 1), keepdims=True)
        rows += [_product(centred, 0, lag) for lag in range(LAGS + 1)]
        columns += [_product(centred, lag, 0) for lag in range(LAGS + 1)]
        flat = centred.reshape(-1, 3)
        channels += flat.T @ flat / len(flat)
    if not images:
        raise DataError(f"no pairs to compute the noise statistics of {label!r} from", "at least one pair")
    mean = total / samples
    filled = np.maximum(counts, 1)
    variance = squares / filled - (sums / filled) ** 2
    deviation = np.sqrt(np.maximum(np.diag(channels), 1e-12))
    return NoiseStats(
        label=label,
        table=table,
        images=images,
        real=real,
        mean=mean,
        std=float(np.sqrt(max(0.0, total_square / samples - mean**2))),
        intensity=tuple((np.arange(BINS) + 0.5) * 256 / BINS),
        variance=tuple(float(v) if n >= MINIMUM else None for v, n in zip(variance, counts, strict=True)),
        horizontal=tuple(rows / max(rows[0], 1e-12)),
        vertical=tuple(columns / max(columns[0], 1e-12)),
        channels=tuple(tuple(float(v) for v in row) for row in channels / np.outer(deviation, deviation)),
        histogram=tuple(histogram / samples),
    )


def total_variation(one: NoiseStats, other: NoiseStats) -> float:
    """Half the L1 distance between two residual histograms: 0 equal, 1 disjoint (values beyond +-100 left out)."""
    return 0.5 * float(np.abs(np.subtract(one.histogram, other.histogram)).sum())


def _product(residual: np.ndarray, down: int, right: int) -> float:
    """Mean product of the residual with itself shifted by (down, right) pixels; 0 where the image is smaller."""
    height, width = residual.shape[0] - down, residual.shape[1] - right
    if height < 1 or width < 1:
        return 0.0
    return float((residual[:height, :width] * residual[down:, right:]).mean())

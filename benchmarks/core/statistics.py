"""What can be said from few numbers: spread over replicates, intervals over images, paired tests.

Spread over replicates (seeds) and interval over images answer different questions and are never mixed: the first
says what training again would change, the second what other photographs of the same kind would change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
ENOUGH = 20
"""Images from which on a bootstrap interval is about what it says; over fewer it covers less than 95 %."""


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1) over replicates; no spread from fewer than two or with an infinity.

    >>> mean_and_spread([1.0, 3.0])
    (2.0, 1.4142135623730951)
    >>> mean_and_spread([5.0])
    (5.0, None)
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("mean of no values")
    return float(array.mean()), float(array.std(ddof=1)) if array.size > 1 and np.isfinite(array).all() else None


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Bootstrap interval of the mean over images (bias-corrected and accelerated), the same in every call.

    Returns:
        (low, high), or None for fewer than two images or a value that is not finite. All values equal gives an
        interval of no width.

    Source: B. Efron, "Better bootstrap confidence intervals", JASA 1987, as in scipy.stats.bootstrap.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2 or not np.isfinite(array).all():
        return None
    if np.ptp(array) == 0:
        return float(array[0]), float(array[0])
    from scipy.stats import bootstrap

    from senm.support.seeding import rng

    found = bootstrap(
        (array,),
        np.mean,
        confidence_level=level,
        n_resamples=RESAMPLES,
        method="BCa",
        vectorized=True,
        rng=rng("bootstrap", int(array.size)),
    ).confidence_interval
    low, high = float(found.low), float(found.high)
    if not (np.isfinite(low) and np.isfinite(high)):  # BCa is undefined for some tiny samples
        low, high = (float(q) for q in np.quantile(array, [(1 - level) / 2, (1 + level) / 2]))
    return low, high


@dataclass(frozen=True)
class Paired:
    """Two systems on the same images.

    Attributes:
        images: number of images both have.
        missing: names only one of them has.
        difference: mean of b - a over the common images.
        interval: 95 % bootstrap interval of it, or None for fewer than two images; rough over fewer than `ENOUGH`.
        infinite: common images of which a value is infinite: they count for wins and ties alone.
        p: two-sided p-value of the sign-flip test of the mean difference.
        wins: images on which b is larger than a; `ties` those on which they are equal.
    """

    images: int
    missing: tuple[str, ...]
    difference: float
    interval: tuple[float, float] | None
    p: float
    wins: int
    ties: int
    infinite: int = 0


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided p-value that paired differences have mean zero, by flipping their signs.

    All sign patterns are visited up to 13 images (the p-value is exact), a fixed random draw of them beyond. Of a
    difference that is not finite nothing can be said: 1.

    >>> sign_flip_p([1.0, 1.0, 1.0])
    0.25
    """
    array = np.asarray(differences, dtype=np.float64)
    n = array.size
    if n == 0 or not np.isfinite(array).all():
        return 1.0
    if n <= 13:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        from senm.support.seeding import rng

        drawn = rng("sign-flip", n).integers(0, 2, size=(10_000, n)) * 2.0 - 1.0
        signs = np.concatenate([np.ones((1, n)), drawn])
    sums = np.abs(signs @ array)
    observed = abs(array.sum())
    return float(np.mean(sums >= observed - 1e-12 * max(1.0, observed)))


def paired(a: Mapping[str, float], b: Mapping[str, float]) -> Paired:
    """Compare per-image values of two systems, image by image.

    Args:
        a, b: image name -> value of one metric.
    """
    names = sorted(set(a) & set(b))
    differences = [0.0 if a[name] == b[name] else b[name] - a[name] for name in names]  # two infinities are equal
    finite = [d for d, name in zip(differences, names, strict=True) if np.isfinite(a[name]) and np.isfinite(b[name])]
    return Paired(
        images=len(names),
        missing=tuple(sorted(set(a) ^ set(b))),
        difference=float(np.mean(finite)) if finite else 0.0,
        interval=interval(finite),
        p=sign_flip_p(finite),
        wins=sum(d > 0 for d in differences),
        ties=sum(d == 0 for d in differences),
        infinite=len(names) - len(finite),
    )


def holm(chances: Sequence[float]) -> list[float]:
    """Holm's corrected p-values, in the order given: each may be held against the level of all together.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    found, largest = [0.0] * len(chances), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[i]))
        found[i] = largest
    return found

"""Structure of the noise that no histogram sees: correlation between neighbours and channels, variance by intensity.

Both numbers pool over the whole set of images, so that small sets give stable values; both are 0 for equal noise.
"""

from __future__ import annotations

import numpy as np

from benchmarks.metrics.arrays import Array, ImageSet, uint8
from senm.support.errors import DataError

BINS = 16
LEAST_PIXELS = 64
ROUNDING = 1 / 12  # variance of rounding to whole levels: a smaller one cannot be told from it
CHANNEL_PAIRS = ((0, 1), (0, 2), (1, 2))


def residuals(noisy: Array, clean: Array) -> Array:
    """noisy - clean in grey levels, float64 (H, W, 3), without the mean of each channel."""
    noisy, clean = uint8(noisy, clean)
    difference = noisy.astype(np.float64) - clean
    return difference - difference.mean((0, 1))


def correlations(noisy: ImageSet, clean: ImageSet) -> Array:
    """Nine correlations of the residual: right neighbour (R, G, B), lower neighbour (R, G, B), RG, RB, GB.

    Each is the sum of products over all images divided by the geometric mean of the two sums of squares.

    Raises:
        DataError: the residual of some channel is constant in every image, so that no correlation exists.
    """
    products, squares = np.zeros(9), np.zeros((9, 2))
    for image, truth in zip(noisy, clean, strict=True):
        r = residuals(image, truth)
        sides = [(r[:, :-1, c], r[:, 1:, c]) for c in range(3)] + [(r[:-1, :, c], r[1:, :, c]) for c in range(3)]
        sides += [(r[..., a], r[..., b]) for a, b in CHANNEL_PAIRS]
        products += [float((a * b).sum()) for a, b in sides]
        squares += [(float((a * a).sum()), float((b * b).sum())) for a, b in sides]
    if not squares.all():
        raise DataError("a residual without variation", "noisy images that differ from the clean ones in every channel")
    result: Array = products / np.sqrt(squares.prod(1))
    return result


def noise_correlation_error(generated: ImageSet, real: ImageSet, clean: ImageSet) -> float:
    """Mean absolute difference of the nine `correlations`, in [0, 2]; white against camera noise is far from 0."""
    return float(np.abs(correlations(generated, clean) - correlations(real, clean)).mean())


def variance_curve(noisy: ImageSet, clean: ImageSet) -> Array:
    """Variance of the residual by channel and clean intensity, squared grey levels, (3, 16); NaN below 64 pixels."""
    sums = np.zeros((3, 3, BINS))
    for image, truth in zip(noisy, clean, strict=True):
        image, truth = uint8(image, truth)
        for c in range(3):
            place = truth[..., c].ravel() // (256 // BINS)
            r = (image[..., c].astype(np.float64) - truth[..., c]).ravel()
            sums[:, c] += [np.bincount(place, weights, BINS) for weights in (np.ones_like(r), r, r * r)]
    count, first, second = sums
    filled = np.maximum(count, 1)
    variance = second / filled - (first / filled) ** 2
    return np.where(count >= LEAST_PIXELS, variance, np.nan)


def variance_curve_error(generated: ImageSet, real: ImageSet, clean: ImageSet) -> float:
    """Mean |ln(generated / real)| of the two `variance_curve`s; ln 2 = 0.69 means off by a factor of 2.

    Raises:
        DataError: no intensity bin holds 64 pixels.
    """
    ratio = np.log(
        np.maximum(variance_curve(generated, clean), ROUNDING) / np.maximum(variance_curve(real, clean), ROUNDING)
    )
    if np.isnan(ratio).all():
        raise DataError("too few pixels for a variance curve", f"{LEAST_PIXELS} pixels in one of {BINS} intensity bins")
    return float(np.nanmean(np.abs(ratio)))

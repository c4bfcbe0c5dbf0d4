"""The mean that a record keeps beside its values by image; it needs no library, as records are read everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence


def finite_mean(values: Sequence[float]) -> tuple[float, int]:
    """Mean of the finite values, and how many are infinite; with no finite value the mean of all.

    The PSNR of an image without any error is infinite. What is no number stays in the mean.

    >>> finite_mean([1.0, 3.0, float("inf")])
    (2.0, 1)
    """
    kept = [value for value in values if not math.isinf(value)]
    return (sum(kept) / len(kept) if kept else sum(values) / len(values)), len(values) - len(kept)

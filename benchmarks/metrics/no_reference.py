"""Scores of one image alone, for photographs that have no clean partner. Each is a library's, named with it.

They say how an image looks to a model of quality, not how near it is to a scene: noise lowers the blur effect, and
smoothing away texture raises PIQE. Read them beside the pictures and beside each other.
"""

from __future__ import annotations

import importlib

import numpy as np

from benchmarks.metrics import INSTALL
from benchmarks.metrics.arrays import Array, uint8
from benchmarks.metrics.weights import Unavailable
from senm.support.errors import DataError

WORST = 100.0
SMALLEST = 16  # pixels: one block of PIQE


def blur_effect_skimage(restored: Array) -> float:
    """scikit-image's `blur_effect` (Crete et al. 2007) of an RGB uint8 image, window 11: 0 is sharp, 1 is blurred.

    Raises:
        DataError: not RGB uint8.
    """
    from skimage.measure import blur_effect

    (restored,) = uint8(restored)
    return float(blur_effect(restored, channel_axis=-1))


def piqe_pypiqe(restored: Array) -> float:
    """PIQE (Venkatanath et al. 2015) of an RGB uint8 image by pypiqe: 0 is excellent, 100 is bad or of one colour.

    Raises:
        DataError: not RGB uint8, or smaller than 16 x 16.
        Unavailable: pypiqe is not installed, or its OpenCV does not load.
    """
    (restored,) = uint8(restored)
    if min(restored.shape[:2]) < SMALLEST:
        raise DataError(f"an image of shape {restored.shape}", f"at least {SMALLEST} x {SMALLEST} pixels")
    try:
        piqe = importlib.import_module("pypiqe.piqe").piqe
    except ImportError as error:
        raise Unavailable(f"PIQE needs pypiqe: {error}", "an installed pypiqe", INSTALL) from None
    if not restored.any():
        return WORST  # pypiqe divides by the largest value
    return float(piqe(np.ascontiguousarray(restored[:, :, ::-1]))[0])  # it converts to grey from OpenCV's BGR


"""Checks and conversions of the image arrays that metrics take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from senm.support.errors import DataError

Array = NDArray[Any]
ImageSet = Sequence[Array] | Array
"""Images as a sequence of (H, W, 3) arrays, read one at a time, or as one (N, H, W, 3) array."""
COLOURS = 3


def same_shape(first: Array, *others: Array) -> None:
    """Raise DataError unless all arrays are RGB images, not empty, of the same size."""
    if first.ndim != COLOURS or first.shape[2] != COLOURS or not first.size:
        raise DataError(f"an image of shape {first.shape}", "height x width x 3 (RGB)")
    for other in others:
        if other.shape != first.shape:
            raise DataError(f"images of different size, {first.shape} and {other.shape}", "images of the same size")


def uint8(*images: Array) -> tuple[Array, ...]:
    """The images themselves, if they are uint8 RGB of one size.

    Raises:
        DataError: another dtype, shape or size. A metric on 8-bit images never quantises silently.
    """
    same_shape(*images)
    for image in images:
        if image.dtype != np.uint8:
            raise DataError(f"an image of dtype {image.dtype}", "uint8: this metric is defined on 8-bit images")
    return images


def unit(image: Array) -> Array:
    """The image as float64 on the scale [0, 1]: uint8 is divided by 255, floats are taken as they are."""
    if image.dtype == np.uint8:
        image = image.astype(np.float32) / np.float32(255)
    elif image.dtype.kind != "f":
        raise DataError(f"an image of dtype {image.dtype}", "uint8, or floats on the scale [0, 1]")
    return image.astype(np.float64)


def units(*images: Array) -> tuple[Array, ...]:
    """`unit` of images of one size."""
    same_shape(*images)
    return tuple(unit(image) for image in images)


def shave(border: int, *images: Array) -> tuple[Array, ...]:
    """The images without `border` pixels on each side.

    Raises:
        DataError: nothing would be left.
    """
    if min(images[0].shape[:2]) <= 2 * border:
        raise DataError(f"an image of shape {images[0].shape}", f"more than {2 * border} pixels a side")
    return tuple(image[border : image.shape[0] - border, border : image.shape[1] - border] for image in images)


def luma(image: Array) -> Array:
    """BT.601 studio-range Y of a uint8 RGB image, float64 in [16, 235]."""
    return image.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255 + 16

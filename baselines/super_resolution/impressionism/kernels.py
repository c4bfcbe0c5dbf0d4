"""Blur kernels for smartphone images: from an estimated x2 kernel to x4, and the reduction with one.

Tables 4 and 5 do not need them; the estimation itself (KernelGAN) is not here.
Source: Ji et al., CVPR-W 2020, section 3.1; Bell-Kligler et al., NeurIPS 2019, supplementary.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, signal

LARGEST = 41
SHARE = 0.75


def cut_off(kernel: np.ndarray) -> np.ndarray:
    """Subtract three quarters of the 41st largest value, drop what is then negative, make the sum 1."""
    limit = SHARE * np.sort(kernel, axis=None)[-LARGEST]
    kept = np.clip(kernel - limit, 0, None)
    return kept / kept.sum()


def centred(kernel: np.ndarray, factor: int = 2) -> np.ndarray:
    """Move the centre of mass to the centre of a `factor` reduction, by a cubic spline, on a padded grid."""
    size = len(kernel)
    shift = size // 2 + 0.5 * (factor - size % 2) - np.array(ndimage.center_of_mass(kernel))
    return ndimage.shift(np.pad(kernel, int(np.ceil(np.abs(shift).max())) + 1), shift)


def squared(kernel: np.ndarray) -> np.ndarray:
    """A x2 kernel applied twice, as one x4 kernel: convolved with itself at every second pixel, cut, sum 1."""
    size = len(kernel)
    apart = np.zeros((2 * size - 1,) * 2)
    apart[::2, ::2] = kernel
    both = signal.convolve2d(kernel, apart)[size // 2 : -(size // 2), size // 2 : -(size // 2)]
    return both / both.sum()


def reduced(image: np.ndarray, kernel: np.ndarray, factor: int = 4) -> np.ndarray:
    """Every `factor`-th pixel of the image (H, W, 3) correlated with the kernel; uint8 stays uint8, by truncation."""
    planes = [ndimage.correlate(image[..., channel], kernel) for channel in range(image.shape[2])]
    return np.stack(planes, -1)[::factor, ::factor]

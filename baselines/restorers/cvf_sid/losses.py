"""The 31 terms of CVF-SID: reconstruction, identity, zero, augmentation and noise-variance (sections 3.4, 3.5)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.restorers.cvf_sid.networks import CVFSIDNetwork, Parts

PAD = 20
WINDOW = 6
AUGMENTED = 0.1
AUGMENTATIONS = ((1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (-1, 0), (1, 1))
"""Signs of the signal-dependent and the independent noise in the recomposed images of passes 4 to 10."""


def padded(x: Tensor) -> Tensor:
    """`PAD` pixels of reflection on each side."""
    return F.pad(x, (PAD, PAD, PAD, PAD), mode="reflect")


def cropped(x: Tensor) -> Tensor:
    """Without `PAD` pixels on each side."""
    return x[..., PAD:-PAD, PAD:-PAD]


def terms(network: CVFSIDNetwork, noisy: Tensor, sigma: Tensor) -> Tensor:
    """(31,): the ten main terms, then clean, dependent and independent of each augmented pass; on padded maps.

    Args:
        noisy: (N, 3, H, W) on the scale 0 .. 1, sides above `PAD`.
        sigma: (N, 3), standard deviation of the noise of each image, from `noise_level`.
    """

    def again(x: Tensor) -> Parts:
        return network(padded(cropped(x)))  # type: ignore[no-any-return]

    whole = padded(noisy)
    first: Parts = network(whole)
    of_clean, of_dependent, of_independent = (
        again(first.clean), again(first.together(1, 0)), again(first.independent))
    main = [
        square(first.together(1, 1) - whole),
        square(of_clean.clean - first.clean),
        square(of_independent.independent - first.independent),
        square(of_dependent.dependent - first.dependent),
        square(of_dependent.clean - first.clean),
        square(of_independent.clean),
        square(of_clean.dependent),
        square(of_clean.independent),
        square(of_dependent.independent),
        square(level(first) - sigma),
    ]
    augmented = []
    for signs in AUGMENTATIONS:
        parts = again(first.together(*signs))
        augmented += [
            square(parts.clean - first.clean),
            square(parts.dependent - signs[0] * first.dependent),
            square(parts.independent - signs[1] * first.independent),
        ]
    return torch.stack([*main, *augmented])


def total(values: Tensor) -> Tensor:
    """The main terms with weight 1, the augmented ones with weight 0.1."""
    return values[:10].sum() + AUGMENTED * values[10:].sum()


def square(x: Tensor) -> Tensor:
    return (x**2).mean()


def level(parts: Parts) -> Tensor:
    """Standard deviation that the parts give the noise, (N, 3): that of clean * dependent + independent."""
    dependent, independent = (x.std((-2, -1)) for x in (parts.dependent, parts.independent))
    brightness = F.avg_pool2d(parts.clean, WINDOW, stride=1, padding=WINDOW // 2).square().mean((-2, -1))
    return torch.sqrt(brightness * dependent**2 + independent**2)


def noise_level(image: np.ndarray) -> np.ndarray:
    """Mean over 6x6 windows of the standard deviation in the window, per channel.

    Args:
        image: uint8 (H, W, 3), sides above 6; the last row and column of windows are left out, as published.

    Returns:
        float64 (3,) on the scale 0 .. 1.
    """
    count = WINDOW**2
    values = image.astype(np.int64)
    sums, squares = _window_sums(values), _window_sums(values**2)
    variance = (count * squares - sums**2) / count**2
    found: np.ndarray = np.sqrt(variance).mean((0, 1)) / 255
    return found


def _window_sums(values: np.ndarray) -> np.ndarray:
    run = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0), (0, 0)))
    side = WINDOW
    return (run[side:, side:] - run[:-side, side:] - run[side:, :-side] + run[:-side, :-side])[:-1, :-1]

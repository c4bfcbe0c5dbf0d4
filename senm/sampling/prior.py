"""The fitted prior: white draws of zn, coloured as the aggregate posterior of the training pairs is.

Ancestral sampling draws every latent from p(zn | z), white around the prior's mean. The posterior that the decoder was
trained on is not white: its standardised draws are correlated between neighbours, channels and layers, and may follow
the phase of the sensor's colour filter, which p cannot know. Fitting their second moments after training (ex-post
density estimation, Ghosh et al. 2020) and colouring the white draws with a short filter gives them back.

All layers are laid side by side at the lowest resolution (a pixel-unshuffle each), where a cell holds every phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 4
"""Cells that the filter reaches in each direction."""
FLAT, ZERO = 2, 6
"""Lags in cells up to which covariances are taken as they are, and from which they are taken as zero."""
GRID = 32
"""Frequencies a side at which the square root of the spectrum is taken."""
FLOOR = 0.01
"""Least eigenvalue of the spectrum."""


@dataclass(frozen=True)
class FittedPrior:
    """A filter on white draws.

    Attributes:
        filter: float32 (C, C, k, k), C channels of all layers joined at the lowest resolution.
        phase: whether it tells the places inside a cell apart.
    """

    filter: Tensor
    phase: bool

    def colour(self, white: Tensor) -> Tensor:
        """White draws (B, C, h + 2 `REACH`, w + 2 `REACH`) -> coloured ones (B, C, h, w), in float32."""
        return F.conv2d(white.float(), self.filter)


def joined(layers: Sequence[Tensor]) -> Tensor:
    """Layers (B, c, h_l, w_l) -> (B, C, h, w) at the lowest resolution among them."""
    lowest = min(layer.shape[-1] for layer in layers)
    return torch.cat([F.pixel_unshuffle(layer, layer.shape[-1] // lowest) for layer in layers], 1)


def split(cells: Tensor, channels: int, factors: Sequence[int]) -> list[Tensor]:
    """The layers again: `factors` are their resolutions over the lowest one, `channels` those of one layer."""
    parts = cells.split([channels * factor**2 for factor in factors], 1)
    return [F.pixel_shuffle(part, factor) for part, factor in zip(parts, factors, strict=True)]


def fit(residuals: Iterable[Sequence[Tensor]], phase: bool) -> FittedPrior:
    """The filter of standardised posterior draws (z_q - mu_p) / sigma_p.

    Args:
        residuals: for each training image its layers, (1, c, h_l, w_l), the shallowest first.
        phase: tell the places inside a cell apart. Else the covariances of a layer depend on distances alone and
            layers are independent.

    Returns:
        The identity where the draws are white.
    """
    total: np.ndarray | None = None
    counts: np.ndarray | float = 0.0
    mean, images, blocks = 0.0, 0, None
    for layers in residuals:
        for moved in [list(layers)] if phase else shifted(layers):
            cells = joined(moved)[0].double().numpy()
            covariances, weights = lagged(cells)
            total = covariances if total is None else total + covariances
            counts, mean, images = counts + weights, mean + cells.mean((1, 2)), images + 1
        blocks = blocks or [layer.shape[1] * (layer.shape[-1] // layers[-1].shape[-1]) ** 2 for layer in layers]
    assert total is not None and blocks is not None
    covariances = total / np.maximum(counts, 1) - np.multiply.outer(mean / images, mean / images)
    return FittedPrior(torch.from_numpy(square_root(covariances, None if phase else blocks)), phase)


def shifted(layers: Sequence[Tensor]) -> list[list[Tensor]]:
    """The layers seen from every place of a cell: those above the lowest resolution moved by one position."""
    lowest = layers[-1].shape[-1]
    factor = max(layer.shape[-1] // lowest for layer in layers)
    found = []
    for dy in range(factor):
        for dx in range(factor):
            found.append([torch.roll(layer, (-dy, -dx), (2, 3))[..., :layer.shape[2] - layer.shape[-1] // lowest,
                          :layer.shape[3] - layer.shape[-1] // lowest] for layer in layers])
    return found


def lagged(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of products by lag, float64 (2 R + 1, 2 R + 1, C, C) with R = `ZERO`, and numbers of products."""
    channels, height, width = cells.shape
    size = 2 * ZERO + 1
    sums, counts = np.zeros((size, size, channels, channels)), np.zeros((size, size, 1, 1))
    for i in range(size):
        for j in range(size):
            dy, dx = i - ZERO, j - ZERO
            if (dy, dx) > (0, 0):
                break
            if abs(dy) >= height or abs(dx) >= width:
                continue
            here = cells[:, max(0, -dy): height - max(0, dy), max(0, -dx): width - max(0, dx)]
            there = cells[:, max(0, dy): height + min(0, dy), max(0, dx): width + min(0, dx)]
            product = there.reshape(channels, -1) @ here.reshape(channels, -1).T
            sums[i, j] = product
            sums[size - 1 - i, size - 1 - j] = product.T
            counts[i, j] = counts[size - 1 - i, size - 1 - j] = here[0].size
    return sums, counts


def square_root(covariances: np.ndarray, blocks: Sequence[int] | None) -> np.ndarray:
    """A filter (C, C, k, k) whose white noise has these covariances by lag (and independent `blocks` of channels)."""
    channels = covariances.shape[-1]
    size = 2 * ZERO + 1
    lags = np.abs(np.arange(size) - ZERO)
    window = np.clip((ZERO - lags) / (ZERO - FLAT), 0, 1)
    kept = covariances * window[:, None, None, None] * window[None, :, None, None]
    if blocks is not None:
        mask = np.zeros((channels, channels))
        for start, length in zip(np.cumsum([0, *blocks[:-1]]), blocks, strict=True):
            mask[start: start + length, start: start + length] = 1
        kept = kept * mask
    grid = np.zeros((GRID, GRID, channels, channels))
    places = (np.arange(size) - ZERO) % GRID
    grid[np.ix_(places, places)] = kept
    spectrum = np.fft.fft2(grid, axes=(0, 1))
    values, vectors = np.linalg.eigh((spectrum + spectrum.conj().swapaxes(2, 3)) / 2)
    root = (vectors * np.sqrt(np.maximum(values, FLOOR))[..., None, :]) @ vectors.conj().swapaxes(2, 3)
    taps = np.fft.ifft2(root, axes=(0, 1)).real
    near = np.arange(-REACH, REACH + 1)
    # cut to a finite filter, then each channel's variance put right
    short = taps[np.ix_(near % GRID, near % GRID)]
    made = np.einsum("hwcd,hwcd->c", short, short)
    wanted = np.maximum(np.diagonal(covariances[ZERO, ZERO]), FLOOR)
    short = short * np.sqrt(wanted / made)[None, None, :, None]
    return np.ascontiguousarray(short[::-1, ::-1].transpose(2, 3, 0, 1)).astype(np.float32)


def follows_phase(residuals: Iterable[np.ndarray], cell: int = 2) -> bool:
    """Whether the noise of pairs depends on the place inside a cell, in the same way from pair to pair.

    For each pair, colour and place: the logarithm of the variance there over the mean of all places. Yes where one of
    their means over the pairs is above 10 % and four standard errors.

    Args:
        residuals: noisy minus clean, (H, W, 3), each with its origin at a whole cell.
    """
    rows = []
    for noise in residuals:
        height, width = (side - side % cell for side in noise.shape[:2])
        cells = noise[:height, :width].astype(np.float64).reshape(height // cell, cell, width // cell, cell, 3)
        power = cells.var(axis=(0, 2)) + 1e-12
        rows.append(np.log(power / power.mean(axis=(0, 1), keepdims=True)).ravel())
    if len(rows) < 3:
        return False
    mean, error = np.mean(rows, 0), np.std(rows, 0, ddof=1) / len(rows) ** 0.5
    return bool(np.any((np.abs(mean) > np.log(1.1)) & (np.abs(mean) > 4 * error)))

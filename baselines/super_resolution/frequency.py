"""Low and high frequencies of images: box and Gaussian averages, one level of Haar, bicubic reduction in floats.

Sources: Fritsche et al., ICCV-W 2019, section 3 (averages); Wei et al., CVPR 2021, section 3 (Haar); borders as in the
published code of both.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from senm.data.formats.bicubic import weights

Border = Literal["cut", "zeros", "inside"]
Split = Literal["none", "average", "gauss", "haar"]


def average(x: Tensor, size: int, border: Border) -> Tensor:
    """Mean over size x size pixels of (B, C, H, W).

    Args:
        border: "cut" leaves out size // 2 pixels a side, "zeros" counts zeros outside, "inside" existing pixels only.
    """
    return F.avg_pool2d(x, size, 1, 0 if border == "cut" else size // 2, count_include_pad=border == "zeros")


def gaussian(x: Tensor, size: int, variance: float, border: Border = "zeros") -> Tensor:
    """Gaussian mean over size x size pixels of (B, C, H, W); "cut" or zeros outside. The window is held in float32."""
    at = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    window = torch.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * variance))
    window = (window / window.sum()).to(x).expand(x.shape[1], 1, size, size)
    return F.conv2d(x, window, padding=0 if border == "cut" else size // 2, groups=x.shape[1])


def halved(high: Tensor) -> Tensor:
    """A signed band about 0 as an image about 0.5."""
    return 0.5 + 0.5 * high


def haar(x: Tensor) -> tuple[Tensor, Tensor]:
    """One level: (B, C, H, W) -> sums (B, C, h, w) and differences (B, 3 C, h, w), band after band; h = ceil(H / 2).

    Bands: below from above, right from left, diagonal. Odd sides are mirrored by one pixel, without the edge.
    """
    height, width = x.shape[-2:]
    if height % 2 or width % 2:
        x = F.pad(x, (0, width % 2, 0, height % 2), mode="reflect")
    step = torch.tensor(math.sqrt(0.5), dtype=torch.float32).to(x)
    top, bottom = x[..., ::2, :] * step, x[..., 1::2, :] * step
    low, high = top + bottom, top - bottom

    def columns(rows: Tensor) -> tuple[Tensor, Tensor]:
        left, right = rows[..., ::2] * step, rows[..., 1::2] * step
        return left + right, left - right

    (low_low, low_high), (high_low, high_high) = columns(low), columns(high)
    return low_low, torch.cat([high_low, low_high, high_high], 1)


def split(x: Tensor, kind: Split) -> tuple[Tensor, Tensor]:
    """What the pixel term and the discriminator of a super-resolution training see: low and high frequencies.

    "average" is FSSR's (9 x 9), "gauss" and "haar" are DASR's; DASR maps its Gaussian band to about 0.5 twice.
    """
    if kind == "none":
        return x, x
    if kind == "haar":
        low, high = haar(x)
        return low * 0.5, halved(high)
    low = average(x, 9, "zeros") if kind == "average" else gaussian(x, 9, GAUSS9)
    return low, halved(x - low) if kind == "average" else halved(halved(x - low))


GAUSS9 = (9 / 6) ** 2
CHANNELS: dict[Split, int] = {"none": 3, "average": 3, "gauss": 3, "haar": 9}
"""Channels of the high frequencies of an RGB image."""


def shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """Bicubic reduction of a float image (H, W, ...) in [0, 1], clamped but not rounded, in the image's precision."""
    for _ in range(2):
        table, at = weights(image.shape[0], factor)
        image = np.einsum("nk,nk...->n...", table.astype(image.dtype), image[at]).swapaxes(0, 1)
    return np.clip(image, 0, 1)


class Shrink(torch.nn.Module):
    """`shrink` of a batch of square crops (B, C, side, side) on any device; differentiable."""

    matrix: Tensor

    def __init__(self, side: int, factor: int) -> None:
        super().__init__()
        table, at = weights(side, factor)
        matrix = np.zeros((len(table), side))
        np.add.at(matrix, (np.arange(len(table))[:, None], at), table)
        self.register_buffer("matrix", torch.from_numpy(matrix).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.matrix @ x @ self.matrix.T).clamp(0, 1)


def truncated(image: np.ndarray) -> np.ndarray:
    """[0, 1] -> uint8 by cutting, as the published preparation scripts of FSSR, Impressionism and DASR write files."""
    return (image * image.dtype.type(255)).clip(0, 255).astype(np.uint8)

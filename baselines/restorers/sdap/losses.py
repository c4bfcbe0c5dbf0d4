"""Random sub-samples generation and the cyclic loss between sub-samples (Pan et al., ICCV 2023, sections 3.2, 3.3)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


def permutations(cells: int, stride: int, draw: np.random.Generator) -> Tensor:
    """An independent uniform order of the stride * stride places of each cell: integer (cells, stride ** 2)."""
    return torch.from_numpy(draw.permuted(np.tile(np.arange(stride**2), (cells, 1)), axis=1))


def sub_samples(images: Tensor, order: Tensor, stride: int) -> Tensor:
    """Sub-sample j takes from every cell of stride x stride pixels the pixel at place `order[cell, j]`.

    Args:
        images: (N, C, H, W), sides multiples of `stride`.
        order: integer (N * H / stride * W / stride, stride ** 2), cells by image, row, column; places row by row.

    Returns:
        (stride ** 2, N, C, H / stride, W / stride); together they hold every pixel once.
    """
    n, c, height, width = images.shape
    h, w, places = height // stride, width // stride, stride**2
    cells = images.reshape(n, c, h, stride, w, stride).permute(0, 2, 4, 3, 5, 1).reshape(-1, places, c)
    taken = cells.gather(1, order.to(images.device).long()[..., None].expand(-1, -1, c))
    return taken.reshape(n, h, w, places, c).permute(3, 0, 4, 1, 2)


def cyclic_terms(network: nn.Module, samples: Tensor) -> Tensor:
    """Mean |network(sub-sample j) - sub-sample j + 1| for each j, the last against the first: (stride ** 2,).

    Args:
        samples: (stride ** 2, N, C, h, w), restored in one pass.
    """
    restored = network(samples.flatten(0, 1)).unflatten(0, samples.shape[:2])
    return (restored - samples.roll(-1, 0)).abs().flatten(1).mean(1)

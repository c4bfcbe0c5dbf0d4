"""What surrounds the network: pixel-shuffle down-sampling, random-replacing refinement, self-ensemble.

Source: Lee et al., CVPR 2022, section 4.1 (down-sampling), 4.3 (refinement, R3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

Function = Callable[[Tensor], Tensor]


def phases(x: Tensor, stride: int, pad: int = 0) -> Tensor:
    """A mosaic of the stride * stride phases, each surrounded by `pad` zeros.

    Args:
        x: (N, C, H, W), sides multiples of `stride`.

    Returns:
        (N, C, H + 2 * stride * pad, W + 2 * stride * pad); phase (i, j), which holds rows i, i + stride, ... and
        columns j, j + stride, ..., is at mosaic row i and column j.
    """
    n, c, height, width = x.shape
    h, w = height // stride, width // stride
    cells = x.reshape(n, c, h, stride, w, stride).permute(0, 1, 3, 5, 2, 4)
    cells = F.pad(cells, (pad, pad, pad, pad))
    return cells.permute(0, 1, 2, 4, 3, 5).reshape(n, c, stride * (h + 2 * pad), stride * (w + 2 * pad))


def interleaved(mosaic: Tensor, stride: int, pad: int = 0) -> Tensor:
    """The inverse of `phases`."""
    n, c, height, width = mosaic.shape
    h, w = height // stride, width // stride
    cells = mosaic.reshape(n, c, stride, h, stride, w)
    cells = cells[:, :, :, pad : h - pad, :, pad : w - pad]
    return cells.permute(0, 1, 3, 2, 5, 4).reshape(n, c, stride * (h - 2 * pad), stride * (w - 2 * pad))


def through_phases(network: Function, x: Tensor, stride: int, pad: int) -> Tensor:
    """The network applied to the mosaic of phases; stride 1 is zero padding, network, crop."""
    return interleaved(network(phases(x, stride, pad)), stride, pad)


def filled(x: Tensor, multiple: int) -> Tensor:
    """Zeros at the bottom and right up to sides that are multiples."""
    return F.pad(x, (0, -x.shape[-1] % multiple, 0, -x.shape[-2] % multiple))


def reflected(network: Function, x: Tensor, pad: int) -> Tensor:
    """The network on an image padded by reflection, cropped back."""
    out = network(F.pad(x, (pad, pad, pad, pad), mode="reflect"))
    return out[..., pad : out.shape[-2] - pad, pad : out.shape[-1] - pad]


def masks(shape: Iterable[int], share: float, repeats: int, generator: torch.Generator) -> Iterator[Tensor]:
    """`repeats` boolean masks; every value of every channel is True with probability `share`."""
    for _ in range(repeats):
        yield torch.rand(*shape, generator=generator) < share


def refined(network: Function, first: Tensor, noisy: Tensor, where: Iterable[Tensor]) -> Tensor:
    """R3: the mean over masks of network(`first` with the noisy values put back where the mask is True)."""
    total, count = torch.zeros_like(first), 0
    for mask in where:
        total += network(torch.where(mask.to(noisy.device), noisy, first))
        count += 1
    return total / count


def turned(x: Tensor, quarters: int, flip: bool) -> Tensor:
    """Mirror left and right where `flip`, then `quarters` clockwise quarter turns."""
    return torch.rot90(x.flip(-1) if flip else x, -quarters, (-2, -1))


def turned_back(x: Tensor, quarters: int, flip: bool) -> Tensor:
    """The inverse of `turned`."""
    x = torch.rot90(x, quarters, (-2, -1))
    return x.flip(-1) if flip else x


def self_ensemble(function: Function, x: Tensor) -> Tensor:
    """The mean over the 8 flips and quarter turns of a function that keeps the size."""
    ways = [(quarters, flip) for quarters in range(4) for flip in (False, True)]
    return torch.stack([turned_back(function(turned(x, *way)), *way) for way in ways]).mean(0)

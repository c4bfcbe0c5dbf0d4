"""The blind-spot network of AP-BSN, which SDAP uses too; layers are named as in the published checkpoints."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.restorers.apbsn.procedure import through_phases


class CentreMasked(nn.Conv2d):
    """A convolution that does not see the pixel it is computed for."""

    mask: Tensor

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, channels, size, padding=size // 2)
        mask = torch.ones_like(self.weight)
        mask[..., size // 2, size // 2] = 0
        self.register_buffer("mask", mask.detach())

    def forward(self, x: Tensor) -> Tensor:
        # Masked in place, past autograd: the optimiser then moves the centre too (by about one learning rate until the
        # next pass), as in the published program, and several passes can share one graph.
        self.weight.data.mul_(self.mask)
        return F.conv2d(x, self.weight, self.bias, padding=self.padding)


class DilatedBlock(nn.Module):
    """x + 1x1(ReLU(dilated 3x3(x)))."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation), nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Branch(nn.Module):
    """Centre-masked convolution of side 2s - 1, two 1x1, blocks of dilation s, one 1x1.

    With dilation s no later layer comes back to the pixel that the first one left out.
    """

    def __init__(self, channels: int, dilation: int, blocks: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            CentreMasked(channels, 2 * dilation - 1), nn.ReLU(inplace=True),
            *point(channels, channels), *point(channels, channels),
            *(DilatedBlock(channels, dilation) for _ in range(blocks)),
            *point(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out


class BlindSpotNetwork(nn.Module):
    """(N, 3, H, W) -> (N, 3, H, W); no output pixel depends on its own input pixel.

    Source: Lee et al., CVPR 2022, section 4.2 and supplement. 3,656,131 parameters at the published size.

    Args:
        width: channels.
        blocks: dilated blocks a branch.
    """

    def __init__(self, width: int = 128, blocks: int = 9) -> None:
        super().__init__()
        self.head = nn.Sequential(*point(3, width))
        self.branch1 = Branch(width, 2, blocks)
        self.branch2 = Branch(width, 3, blocks)
        self.tail = nn.Sequential(
            *point(2 * width, width), *point(width, width // 2), *point(width // 2, width // 2),
            nn.Conv2d(width // 2, 3, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        features = self.head(x)
        out: Tensor = self.tail(torch.cat([self.branch1(features), self.branch2(features)], 1))
        return out


class APBSNNetwork(nn.Module):
    """The blind-spot network behind a pixel-shuffle down-sampling of any stride; images on the scale 0 .. 255."""

    def __init__(self, width: int = 128, blocks: int = 9) -> None:
        super().__init__()
        self.bsn = BlindSpotNetwork(width, blocks)

    def forward(self, x: Tensor, stride: int = 5, pad: int = 2) -> Tensor:
        """Down-sample by `stride`, remove the noise, put the phases together again; both sides multiples of it."""
        return through_phases(self.bsn, x, stride, pad)


def point(channels: int, out: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(channels, out, 1), nn.ReLU(inplace=True)

"""The RRDB encoder of DeFlow: features of the reduced image on which every flow step is conditioned.

Parameter names are those of the PSNR-trained ESRGAN files (Wang et al., 2018) that the encoder starts from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senm.blocks import RESIDUAL, SLOPE, scaled_init

SCALES = (4, 8)
START_GAIN = 0.1


def conv3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size, zeros beyond the border."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def doubled(x: Tensor, conv: nn.Module) -> Tensor:
    """Twice the size: nearest neighbour, convolution, LeakyReLU."""
    return F.leaky_relu(conv(F.interpolate(x, scale_factor=2.0, mode="nearest")), SLOPE)


class DenseBlock(nn.Module):
    """x + 0.2 * (last of five convolutions, each of which sees the input and all results before it)."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        for i in range(5):
            self.add_module(f"conv{i + 1}", conv3(width + i * growth, growth if i < 4 else width))
        scaled_init(self, START_GAIN)

    def forward(self, x: Tensor) -> Tensor:
        found = [x]
        for i in range(4):
            found.append(F.leaky_relu(self.get_submodule(f"conv{i + 1}")(torch.cat(found, 1)), SLOPE))
        return x + RESIDUAL * cast(Tensor, self.get_submodule("conv5")(torch.cat(found, 1)))


class RRDB(nn.Module):
    """x + 0.2 * (three dense blocks in a row)."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.RDB1, self.RDB2, self.RDB3 = (DenseBlock(width, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + RESIDUAL * cast(Tensor, self.RDB3(self.RDB2(self.RDB1(x))))


class Encoder(nn.Module):
    """Reduced image (B, 3, h, w) -> features of the three levels of the flow.

    `HRconv`, `conv_last` and, at scale 8, `upconv3` belong to the file that the encoder starts from; nothing uses them.

    Args:
        scale: side of the image divided by the side of the reduced image, 4 or 8.
        width: channels.
        growth: growth of a dense block.
        blocks: number of RRDB blocks.
        stacked: blocks whose outputs join the features, counted from 0.
    """

    def __init__(self, scale: int, width: int, growth: int, blocks: int, stacked: Sequence[int]) -> None:
        super().__init__()
        self.scale, self.stacked = scale, tuple(stacked)
        self.channels = width * (1 + len(self.stacked))
        self.conv_first = conv3(3, width)
        self.RRDB_trunk = nn.Sequential(*(RRDB(width, growth) for _ in range(blocks)))
        self.trunk_conv = conv3(width, width)
        self.upconv1, self.upconv2 = conv3(width, width), conv3(width, width)
        if scale == 8:
            self.upconv3 = conv3(width, width)
        self.HRconv, self.conv_last = conv3(width, width), conv3(width, 3)

    def forward(self, low: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4 and 1/8 of the image's size, (B, channels, ., .) each."""
        x, outputs = self.conv_first(low), []
        for block in self.RRDB_trunk:
            x = block(x)
            outputs.append(x)
        # The skip starts at the last block's output here, where the RRDBNet of ESRGAN adds the first convolution's.
        deep = x + self.trunk_conv(x)
        up2 = doubled(deep, self.upconv1)
        if self.scale == 8:
            levels = [doubled(up2, self.upconv2), up2, deep]
        else:
            half = F.interpolate(deep, scale_factor=0.5, mode="bilinear", align_corners=False)
            levels = [up2, deep, half]
        stack = torch.cat([outputs[i] for i in self.stacked], 1)
        return [torch.cat([level, F.interpolate(stack, level.shape[-2:])], 1) for level in levels]

"""MAXIM's blocks (paper section 3 and its supplement), on maps of shape (n, channels, height, width)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def lecun_(layer: nn.Conv2d | nn.ConvTranspose2d, fan_in: int) -> None:
    """Normal weights cut off at two deviations, of variance 1 / fan_in; biases 0."""
    # 0.8796 is the deviation of a standard normal number cut off at +-2.
    deviation = fan_in**-0.5 / 0.87962566103423978
    nn.init.trunc_normal_(layer.weight, 0.0, deviation, -2 * deviation, 2 * deviation)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def conv(inside: int, outside: int, side: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps height and width, or halves them with stride 2."""
    layer = nn.Conv2d(inside, outside, side, stride, padding=(side - 1) // 2)
    lecun_(layer, inside * side * side)
    return layer


def dense(inside: int, outside: int, narrow: bool = False) -> nn.Conv2d:
    """A linear layer over channels; `narrow`: starts with deviation 0.02."""
    layer = conv(inside, outside, 1)
    if narrow:
        nn.init.normal_(layer.weight, std=0.02)
    return layer


def doubling(inside: int, outside: int) -> nn.ConvTranspose2d:
    """A transposed convolution to twice the resolution."""
    layer = nn.ConvTranspose2d(inside, outside, 2, stride=2)
    lecun_(layer, inside * 4)
    return layer


class ChannelNorm(nn.LayerNorm):
    """Layer norm over channels."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class GridMixing(nn.Linear):
    """Global mixing: the map is cut into `size` x `size` cells; linear over cells, for each position and channel."""

    def __init__(self, size: int, bias: float = 1.0) -> None:
        super().__init__(size * size, size * size)
        self.size = size
        nn.init.normal_(self.weight, std=0.02)
        nn.init.constant_(self.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        size = self.size
        cells = x.reshape(n, channels, size, height // size, size, width // size).permute(0, 1, 3, 5, 2, 4)
        mixed = super().forward(cells.flatten(-2)).unflatten(-1, (size, size))
        return mixed.permute(0, 1, 4, 2, 5, 3).reshape(x.shape)


class BlockMixing(GridMixing):
    """Local mixing: cells of `size` x `size` pixels; linear over the pixels of each cell, for each channel."""

    def forward(self, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        size = self.size
        cells = x.reshape(n, channels, height // size, size, width // size, size).permute(0, 1, 2, 4, 3, 5)
        mixed = nn.Linear.forward(self, cells.flatten(-2)).unflatten(-1, (size, size))
        return mixed.permute(0, 1, 2, 4, 3, 5).reshape(x.shape)


class GatedMLP(nn.Module):
    """A gated layer whose gate mixes positions: half of the channels multiplies the other half."""

    def __init__(self, width: int, mixing: GridMixing) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.enter = dense(width, 2 * width, narrow=True)
        self.gate_norm = ChannelNorm(width)
        self.mixing = mixing
        self.leave = dense(width, width, narrow=True)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = gelu(self.enter(self.norm(x))).chunk(2, dim=1)
        result: Tensor = x + self.leave(value * (self.mixing(self.gate_norm(gate)) + 1))
        return result


class MultiAxis(nn.Module):
    """Multi-axis gated MLP: half of the channels are mixed globally, the others locally."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.enter = dense(width, 2 * width, narrow=True)
        self.grid = GatedMLP(width, GridMixing(size))
        self.block = GatedMLP(width, BlockMixing(size))
        self.leave = dense(2 * width, width, narrow=True)

    def forward(self, x: Tensor) -> Tensor:
        far, near = gelu(self.enter(self.norm(x))).chunk(2, dim=1)
        result: Tensor = x + self.leave(torch.cat([self.grid(far), self.block(near)], 1))
        return result


class ChannelAttention(nn.Module):
    """Features times a number a channel, from the means over all pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze, self.excite = dense(width, width // 4), dense(width // 4, width)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))


class Attended(nn.Module):
    """Two layers and channel attention on normalised features, added to them: convolutions or, `dense`, linear ones."""

    def __init__(self, width: int, linear: bool = False) -> None:
        super().__init__()
        layer: Callable[[int, int], nn.Conv2d] = (
            (lambda a, b: dense(a, b, narrow=True)) if linear else (lambda a, b: conv(a, b, 3)))
        self.norm = ChannelNorm(width)
        self.first, self.second = layer(width, width), layer(width, width)
        self.attention = ChannelAttention(width)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(self.norm(x))
        hidden = gelu(hidden) if self.linear else F.leaky_relu(hidden, 0.2)
        result: Tensor = x + self.attention(self.second(hidden))
        return result


class Gate(nn.Module):
    """Multi-axis gating weights: half of the channels mixed globally, half locally, without gates of their own."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.enter = dense(width, 2 * width)
        self.grid, self.block = GridMixing(size), BlockMixing(size)
        self.leave = dense(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        far, near = gelu(self.enter(self.norm(x))).chunk(2, dim=1)
        result: Tensor = self.leave(torch.cat([self.grid(far), self.block(near)], 1))
        return result


class CrossGating(nn.Module):
    """Two maps gate each other (paper section 3.4).

    Args:
        x, y: channels of the two inputs.
        width: channels of both outputs.
        size: side of grid and block.
        up: the second input has half the resolution and is enlarged first.
    """

    def __init__(self, x: int, y: int, width: int, size: int, up: bool = False) -> None:
        super().__init__()
        self.up: nn.Module = doubling(y, width) if up else nn.Identity()
        self.start_x, self.start_y = dense(x, width), dense(width if up else y, width)
        self.norm_x, self.norm_y = ChannelNorm(width), ChannelNorm(width)
        self.enter_x, self.enter_y = dense(width, width), dense(width, width)
        self.gate_x, self.gate_y = Gate(width, size), Gate(width, size)
        self.leave_x, self.leave_y = dense(width, width), dense(width, width)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x, y = self.start_x(x), self.start_y(self.up(y))
        inner_x, inner_y = gelu(self.enter_x(self.norm_x(x))), gelu(self.enter_y(self.norm_y(y)))
        y = y + self.leave_y(inner_y * self.gate_x(inner_x))
        x = x + y + self.leave_x(inner_x * self.gate_y(inner_y))
        return x, y


class SupervisedAttention(nn.Module):
    """An image of a stage, and the features that it lets through to the next stage."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features, self.image, self.mask = conv(width, width, 3), conv(width, 3, 3), conv(3, width, 3)

    def forward(self, x: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        """(features, image)."""
        restored = self.image(x) + image
        return self.features(x) * torch.sigmoid(self.mask(restored)) + x, restored


class Resized(nn.Module):
    """Bilinear resizing by 2^`steps`, smoothed where it shrinks, then a linear layer over channels."""

    def __init__(self, inside: int, outside: int, steps: int) -> None:
        super().__init__()
        self.layer, self.steps = dense(inside, outside), steps

    def forward(self, x: Tensor) -> Tensor:
        if self.steps:
            size = [int(side * 2.0**self.steps) for side in x.shape[-2:]]
            x = F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
        result: Tensor = self.layer(x)
        return result

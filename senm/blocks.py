"""Building blocks of both networks: residual dense block, resolution changes, Gaussian head.

Residual dense block: R. Zhang et al., Residual dense network for image super-resolution, CVPR 2018, in the form of
the authors' code (five convolutions, residual scale 0.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senm.gaussians import Gaussian

SLOPE = 0.2
RESIDUAL = 0.2


def scaled_init(module: nn.Module, scale: float) -> nn.Module:
    """Kaiming-normal (fan-in) weights times `scale` and zero biases for every convolution in `module`."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, a=0, mode="fan_in")
            with torch.no_grad():
                part.weight.mul_(scale)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return module


def zero_init(conv: nn.Conv2d) -> nn.Conv2d:
    """Weights and bias start at zero, so that the branch is silent at first."""
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def channels_last(x: Tensor) -> Tensor:
    """The same (B, C, H, W) with the channels of a pixel side by side in memory, which all convolutions prefer."""
    return x.contiguous(memory_format=torch.channels_last)


def dense(x: Tensor, weights: Sequence[Tensor], offsets: Sequence[Tensor]) -> Tensor:
    """3x3 convolutions in a row, each fed with x and the activated outputs of all before; the last one's output.

    Args:
        x: (B, C, H, W).
        weights: one (out, in, 3, 3) a convolution.
        offsets: added to each output: a bias (out,), (B, out, H, W), or, see `add_by_place`, (B, out, 3, 3).
    """
    features = x
    for k, (weight, offset) in enumerate(zip(weights, offsets, strict=True)):
        if offset.ndim == 1:
            out = F.conv2d(features, weight, offset, padding=1)
        else:
            out = F.conv2d(features, weight, padding=1)
            out = out.add_(offset) if offset.shape[2:] == out.shape[2:] else add_by_place(out, offset)
        if k == len(weights) - 1:
            return out
        features = torch.cat([features, F.leaky_relu_(out, SLOPE)], 1)
    raise AssertionError("no convolutions")


class ResidualDenseBlock(nn.Module):
    """(B, C, H, W) -> (B, C, H, W): five 3x3 convolutions, each fed with the input and all earlier outputs."""

    def __init__(self, channels: int, growth: int = 32) -> None:
        super().__init__()
        widths = [channels + k * growth for k in range(5)]
        outs = [growth] * 4 + [channels]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in zip(widths, outs, strict=True))
        scaled_init(self, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, dense(x, *self.parts()), alpha=RESIDUAL)

    def parts(self) -> tuple[list[Tensor], list[Tensor]]:
        """Weights and biases of the five convolutions."""
        return [conv.weight for conv in self.convs], [conv.bias for conv in self.convs]  # type: ignore[misc]


class Folded(NamedTuple):
    """A dense block and the 1x1 convolution after it as five convolutions, see `fold`."""

    weights: list[Tensor]
    biases: list[Tensor]
    plane: Tensor | None
    """Weights of the constant channel for all five, (sum of out, 1, 3, 3), or None."""

    def to(self, dtype: torch.dtype) -> Folded:
        """In another precision, each tensor laid out channels last."""
        plane = None if self.plane is None else self.plane.to(dtype)
        return Folded([channels_last(w.to(dtype)) for w in self.weights], [b.to(dtype) for b in self.biases], plane)


def fold(branch: nn.Sequential, with_plane: bool) -> Folded:
    """Weights with which `dense` alone gives what a dense block followed by a 1x1 convolution gives.

    A 1x1 convolution commutes with the sum and the residual: last(x + 0.2 conv(f)) is one 3x3 convolution of f, with
    last's few outputs in place of all channels.

    Args:
        with_plane: the input's last channel is constant and comes as a number, see `dense_with_plane`.
    """
    block, last = branch
    assert isinstance(block, ResidualDenseBlock) and isinstance(last, nn.Conv2d) and last.bias is not None
    weights, biases = block.parts()
    mix = last.weight[:, :, 0, 0]
    out, channels = mix.shape
    through = RESIDUAL * (mix @ weights[4].flatten(1)).view(out, -1, 3, 3)
    through = through + F.pad(last.weight, (1, 1, 1, 1, 0, through.shape[1] - channels))
    weights, biases = [*weights[:4], through], [*biases[:4], last.bias + RESIDUAL * (mix @ biases[4])]
    if not with_plane:
        return Folded(weights, biases, None)
    plane = torch.cat([w[:, channels - 1, None] for w in weights])
    return Folded([torch.cat([w[:, :channels - 1], w[:, channels:]], 1) for w in weights], biases, plane)


def dense_with_plane(x: Tensor, level: Tensor, folded: Folded) -> Tensor:
    """`dense` of x with one more channel that is constant, (B,) values, without ever making that channel.

    A convolution of a constant plane is the constant times the response to ones, which has nine values only: inside,
    along each edge and in each corner. One small convolution gives them for all layers at once.
    """
    height, width = x.shape[2:]
    assert folded.plane is not None
    response = F.conv2d(x.new_ones(1, 1, min(height, 3), min(width, 3)), folded.plane, padding=1)
    bias, level = torch.cat(folded.biases).view(-1, 1, 1), level.view(-1, 1, 1, 1)
    fused = x.is_cuda or torch.compiler.is_compiling()
    if fused or torch.is_grad_enabled() or min(height, width) < 3:
        offsets = bias + level * channels_last(stretched(stretched(response, 2, height), 3, width))
    else:
        offsets = bias + level * response
    return dense(x, folded.weights, offsets.to(x.dtype).split([len(w) for w in folded.weights], 1))


def stretched(values: Tensor, dim: int, length: int) -> Tensor:
    """First, middle and last value along a dimension -> `length` values, all but the outer two the middle one."""
    if length < 4:
        return values
    first, middle, last = values.split(1, dim)
    sizes = list(values.shape)
    sizes[dim] = length - 2
    return torch.cat([first, middle.expand(sizes), last], dim)


def add_by_place(out: Tensor, nine: Tensor) -> Tensor:
    """Add (B, C, 3, 3) in place to (B, C, H, W): the middle value everywhere inside, the others on edges and corners.

    For inference on a CPU, where a full plane to add would cost as much as it takes to read.
    """
    middle = nine[:, :, 1:2, 1:2]
    out.add_(middle)
    places = (slice(0, 1), slice(1, -1), slice(-1, None))
    edges = nine - middle
    for i, rows in enumerate(places):
        for j, columns in enumerate(places):
            if (i, j) != (1, 1):
                out[:, :, rows, columns].add_(edges[:, :, i:i + 1, j:j + 1])
    return out


class Down(nn.Module):
    """(B, C, H, W) -> (B, C, H/2, W/2) by pixel-unshuffle and a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4 * channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pixel_unshuffle(x, 2))


class Up(nn.Module):
    """(B, C, H, W) -> (B, C, 2H, 2W) by pixel-shuffle and a 3x3 convolution; C must be divisible by 4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels // 4, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pixel_shuffle(x, 2))


class Resize(nn.Module):
    """A 3x3 convolution followed by bilinear interpolation, as the fully paired network changes resolution."""

    def __init__(self, channels: int, factor: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.conv(x), scale_factor=self.factor, mode="bilinear", align_corners=False)


class GaussianHead(nn.Module):
    """(B, C, H, W) -> Gaussian of (B, Z, H, W): two branches, each a dense block and a last convolution.

    Args:
        kernel: side of the last convolution (1 in the semi-supervised network, 3 in the paired one).
        scale: initial scale of the last convolution; 0 starts it silent.
    """

    def __init__(self, channels: int, latent: int, growth: int, kernel: int = 1, scale: float = 0.0) -> None:
        super().__init__()

        def branch() -> nn.Sequential:
            last = nn.Conv2d(channels, latent, kernel, padding=kernel // 2)
            scaled_init(last, scale) if scale else zero_init(last)
            return nn.Sequential(ResidualDenseBlock(channels, growth), last)

        self.mean, self.log_std = branch(), branch()
        self.frozen: list[Folded] = []

    def forward(self, x: Tensor, plane: Tensor | None = None) -> Gaussian:
        """The Gaussian at x, or, with `plane` (B,), at x and one more channel of these constant values."""
        branches = (self.mean, self.log_std)
        if self.mean[1].kernel_size != (1, 1):
            return Gaussian(*(branch(x) for branch in branches))
        folded = self.frozen or [fold(branch, plane is not None) for branch in branches]
        if plane is None:
            return Gaussian(*(dense(x, f.weights, f.biases) for f in folded))
        return Gaussian(*(dense_with_plane(x, plane, f) for f in folded))

    @torch.no_grad()
    def scale_plane(self, factor: float) -> None:
        """Change the weights so that the plane's values, divided by `factor`, give what they gave before."""
        for block, last in (self.mean, self.log_std):
            assert isinstance(block, ResidualDenseBlock) and isinstance(last, nn.Conv2d)
            weights, biases = block.parts()
            for weight in weights:
                weight[:, last.in_channels - 1] *= factor
            weights[4][-1] /= factor  # the block adds the plane to this channel
            biases[4][-1] /= factor
            last.weight[:, -1] *= factor

    def freeze(self, with_plane: bool, dtype: torch.dtype) -> None:
        """Fold once and for all, for inference: later changes of the weights, also of their device, have no effect."""
        if self.mean[1].kernel_size == (1, 1):
            with torch.no_grad():
                self.frozen = [fold(branch, with_plane).to(dtype) for branch in (self.mean, self.log_std)]

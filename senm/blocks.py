"""Building blocks of both networks: residual dense block, resolution changes, Gaussian head.

Residual dense block: R. Zhang et al., Residual dense network for image super-resolution, CVPR 2018, in the form of
the authors' code (five convolutions, residual scale 0.2).
"""

from __future__ import annotations

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


class ResidualDenseBlock(nn.Module):
    """(B, C, H, W) -> (B, C, H, W): five 3x3 convolutions, each fed with the input and all earlier outputs."""

    def __init__(self, channels: int, growth: int = 32) -> None:
        super().__init__()
        widths = [channels + k * growth for k in range(5)]
        outs = [growth] * 4 + [channels]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in zip(widths, outs, strict=True))
        scaled_init(self, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for conv in self.convs[:4]:
            features.append(F.leaky_relu(conv(torch.cat(features, 1)), SLOPE))
        return x + RESIDUAL * self.convs[4](torch.cat(features, 1))


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

    def forward(self, x: Tensor) -> Gaussian:
        return Gaussian(self.mean(x), self.log_std(x))

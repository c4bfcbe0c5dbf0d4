"""Generator and discriminator of FSSR's DSGAN, shared with DASR's down-sampling network.

Sources: Fritsche et al., ICCV-W 2019, section 3.1; Wei et al., CVPR 2021, section 3.1.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from baselines.super_resolution.frequency import average, gaussian, haar, halved

Filter = Literal["average", "gauss", "haar", "haar-mean"]
Body = Literal["fsd", "nld_s1", "nld_s2"]
Norm = Literal["batch", "instance"]
GAUSS5 = (5 / 6) ** 2


class Residual(nn.Module):
    """conv3x3, PReLU, conv3x3, plus the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, 1, 1)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(self.prelu(self.conv1(x)))


class Generator(nn.Module):
    """Clean image (B, 3, H, W) -> degraded one in [0, 1]; no skip from input to output.

    594,380 parameters at width 64 and 8 blocks; each halving (DASR: 2 for x4) adds a strided convolution.
    """

    def __init__(self, width: int = 64, blocks: int = 8, halvings: int = 0) -> None:
        super().__init__()
        self.block_input = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1), nn.PReLU())
        self.res_blocks = nn.ModuleList(Residual(width) for _ in range(blocks))
        steps = [layer for _ in range(halvings) for layer in (nn.Conv2d(width, width, 3, 2, 1), nn.PReLU())]
        self.down_sample = nn.Sequential(*steps)
        self.block_output = nn.Conv2d(width, 3, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block_input(x)
        for block in self.res_blocks:
            x = block(x)
        return torch.sigmoid(self.block_output(self.down_sample(x)))


def filtered(x: Tensor, kind: Filter) -> Tensor:
    """High frequencies of (B, 3, H, W) about 0.5; Haar bands have half the size, 9 channels or their mean of 3."""
    if kind == "average":
        return halved(x - average(x, 5, "inside"))
    if kind == "gauss":
        return halved(x - gaussian(x, 5, GAUSS5))
    bands = halved(haar(x)[1])
    return bands if kind == "haar" else bands.unflatten(1, (3, -1)).mean(1)


def low_frequencies(x: Tensor, kind: Filter) -> Tensor:
    """What the colour term compares: 5 x 5 averages without the border, or half of Haar's sums."""
    if kind == "average":
        return average(x, 5, "cut")
    return gaussian(x, 5, GAUSS5, "cut") if kind == "gauss" else haar(x)[0] * 0.5


class Layers(nn.Module):
    """Three convolutions with LeakyReLU 0.2 and one to a score, normalised before the second and third activation.

    "fsd": 5x5 and a last 1x1, stride 1; "nld_s1" and "nld_s2": 4x4, padding 1, strides 1 or 2, 2, 1, 1.
    """

    def __init__(self, inputs: int, body: Body, norm: Norm, width: int) -> None:
        super().__init__()
        size, pad = (5, 2) if body == "fsd" else (4, 1)
        stride = 2 if body == "nld_s2" else 1
        normal = nn.BatchNorm2d if norm == "batch" else nn.InstanceNorm2d
        layers = nn.Sequential(
            nn.Conv2d(inputs, width, size, stride, pad), nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, size, stride, pad), normal(2 * width), nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, size, 1, pad), normal(4 * width), nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 1) if body == "fsd" else nn.Conv2d(4 * width, 1, size, 1, pad),
        )
        self.body = "net" if body == "fsd" else "model"
        self.add_module(self.body, layers)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.get_submodule(self.body)(x)
        return scores


class Critic(nn.Module):
    """Image (B, 3, H, W) -> map of the probability of being real, from its high frequencies alone.

    1,030,273 parameters for FSSR ("average", "fsd", "batch").
    """

    def __init__(self, kind: Filter = "average", body: Body = "fsd", norm: Norm = "batch", width: int = 64) -> None:
        super().__init__()
        self.kind = kind
        self.net = Layers(9 if kind == "haar" else 3, body, norm, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.net(filtered(x, self.kind)))

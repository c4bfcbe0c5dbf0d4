"""The two networks of C2N (Jang et al., ICCV 2021), with the parameter names of the published generator."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FLOOR = 1e-6


def conv(inputs: int, outputs: int, side: int = 3, bias: bool = True) -> nn.Conv2d:
    """A stride-1 convolution that keeps the size, with reflect padding."""
    return nn.Conv2d(inputs, outputs, side, padding=side // 2, padding_mode="reflect", bias=bias)


class Residual(nn.Module):
    """x + conv(PReLU(conv(x)))."""

    def __init__(self, width: int, side: int = 3, bias: bool = True) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width, side, bias), nn.PReLU(), conv(width, width, side, bias))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def residuals(count: int, width: int, side: int = 3, bias: bool = True) -> nn.Sequential:
    """`count` residual blocks in a row."""
    return nn.Sequential(*(Residual(width, side, bias) for _ in range(count)))


class Generator(nn.Module):
    """Clean image (B, 3, H, W) in [0, 1] -> the same image with noise added, not clamped.

    Two noise paths, each a sum of a pixel-wise pipe (1x1) and a spatially correlated pipe (3x3): one starts from
    Gaussian maps whose mean and deviation depend on the image, the other from uniform maps that do not.
    2,154,068 parameters at width 64 with a code of length 32.

    Args:
        width: base channels.
        code: length of the random code that each image gets.
        blocks: residual blocks of the feature body, of each pipe of the dependent path, of the independent path.
    """

    def __init__(self, width: int = 64, code: int = 32, blocks: tuple[int, int, int] = (5, 2, 3)) -> None:
        super().__init__()
        self.width, self.code = width, code
        features, dependent, independent = blocks
        self.ext_head = nn.Sequential(conv(3, width), nn.PReLU(), conv(width, 2 * width))
        self.ext_merge = nn.Sequential(conv(2 * width + code, 2 * width), nn.PReLU())
        self.ext = residuals(features, 2 * width)
        self.indep_merge = conv(width, width, 1)
        self.pipe_indep_1 = residuals(independent, width, 1, bias=False)
        self.pipe_indep_3 = residuals(independent, width, 3, bias=False)
        self.dep_merge = conv(width, width, 1)
        self.pipe_dep_1 = residuals(dependent, width, 1, bias=False)
        self.pipe_dep_3 = residuals(dependent, width, 3, bias=False)
        self.T_tail = conv(width, 3, 1)

    def forward(self, x: Tensor, code: Tensor, normal: Tensor, uniform: Tensor) -> Tensor:
        """Args: `x`; the code (B, code); standard-normal and uniform [0, 1) maps, (B, width, H, W) each."""
        code_map = code[:, :, None, None].expand(-1, -1, *x.shape[-2:])
        features = self.ext(self.ext_merge(torch.cat([self.ext_head(x), code_map], 1)))
        mean, deviation = features.split(self.width, 1)
        dependent = self.dep_merge(mean + (F.relu(deviation) + FLOOR) * normal)
        independent = self.indep_merge(uniform)
        noise = self.pipe_indep_1(independent) + self.pipe_indep_3(independent)
        noise = noise + self.pipe_dep_1(dependent) + self.pipe_dep_3(dependent)
        return x + self.T_tail(noise)

    def draws(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """The three random inputs for a batch like `x`, drawn on the CPU and moved to its device."""
        maps = (len(x), self.width, *x.shape[-2:])
        drawn = (
            torch.randn(len(x), self.code, generator=generator),
            torch.randn(maps, generator=generator),
            torch.rand(maps, generator=generator),
        )
        return drawn[0].to(x.device), drawn[1].to(x.device), drawn[2].to(x.device)


class Critic(nn.Module):
    """Noisy image (B, 3, H, W) -> score map (B, 1, H, W); sees no clean image. 445,512 parameters at width 64."""

    def __init__(self, width: int = 64, blocks: int = 6) -> None:
        super().__init__()
        self.head = nn.Sequential(conv(3, width), nn.PReLU())
        self.body = residuals(blocks, width)
        self.tail = conv(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.body(self.head(x)))

"""Generator and discriminator of SCPGabNet (Lin et al., ICCV 2023); its denoiser is the network of DeamNet.

Layer names are those of the published checkpoints, layers that are never used included.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE, SPREAD = 0.2, 0.02
FILTER, SIGMA = 15, 9.0
HighPass = Literal["learnt", "gaussian"]


def gaussian(side: int, sigma: float) -> Tensor:
    """A normalised Gaussian window, float64 (side, side)."""
    at = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    line = torch.exp(-(at**2) / (2 * sigma**2))
    window = line[:, None] * line
    return window / window.sum()


class Pool(nn.Module):
    """Holds one unused convolution of the published layout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, padding=1, bias=False)


class Spatial(nn.Module):
    """Holds the unused spatial attention."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = Pool()


class Channel(nn.Module):
    """Holds the unused channel attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(width // 8, 1)
        self.conv_du = nn.Sequential(nn.Conv2d(width, inner, 1), nn.ReLU(), nn.Conv2d(inner, width, 1), nn.Sigmoid())


class Residual(nn.Module):
    """x + two activated convolutions of it; `SA`, `CA` and `conv1x1` belong to the layout and are not used."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.SA, self.CA = Spatial(), Channel(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv1x1 = nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(x), SLOPE)), SLOPE)


class Generator(nn.Module):
    """Puts noise like that of a given image on a clean one; 601,950 parameters, 545,727 of them used.

    (B, 3, H, W) clean and (B, 3, H, W) noise (or a noisy image), scenes unrelated -> a noisy image, not clipped.
    """

    def __init__(self, width: int = 64, blocks: int = 6) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.Gas = nn.Conv2d(3, 3, 7, padding=3)
        self.conv_input = nn.Sequential(nn.Conv2d(6, width, 7, padding=3))
        self.residual = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.conv_output = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, 3, 7, padding=3),
        )
        self.apply(small)

    def forward(self, clean: Tensor, noise: Tensor) -> Tensor:
        detail = noise - self.Gas(noise)
        y: Tensor = clean + self.conv_output(self.residual(self.conv_input(torch.cat([clean, detail], dim=1))))
        return y


class Filter(nn.Module):
    """A depth-wise filter with reflection at the border."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, FILTER, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(F.pad(x, [FILTER // 2] * 4, mode="reflect"))
        return y


class Discriminator(nn.Module):
    """Scores patches of a noisy image from the image and what a filter leaves of it; 2,768,484 parameters.

    Args:
        width: channels of the first layer.
        high_pass: `gaussian` is the fixed filter of the paper. `learnt` is what the published code runs: its
            initialisation of all convolutions overwrites the Gaussian with noise and sets it to be trained.
    """

    def __init__(self, width: int = 64, high_pass: HighPass = "learnt") -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(6, width, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for inputs, stride in ((width, 2), (2 * width, 2), (4 * width, 1)):
            layers += [nn.Conv2d(inputs, 2 * inputs, 4, stride, 1), nn.InstanceNorm2d(2 * inputs),
                       nn.LeakyReLU(SLOPE)]
        self.model = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))
        self.Gas = Filter(3)
        self.apply(small)
        if high_pass == "gaussian":
            with torch.no_grad():
                self.Gas.conv.weight.copy_(gaussian(FILTER, SIGMA).expand(3, 1, FILTER, FILTER))
            self.Gas.conv.weight.requires_grad_(False)

    def forward(self, noisy: Tensor) -> Tensor:
        scores: Tensor = self.model(torch.cat([noisy, noisy - self.Gas(noisy)], dim=1))
        return scores


def small(layer: nn.Module) -> None:
    """The published initialisation of generator and discriminator."""
    if isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, 0.0, SPREAD)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)

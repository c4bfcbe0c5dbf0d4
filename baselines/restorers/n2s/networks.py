"""Masks of Noise2Self (Batson and Royer, ICML 2019) and the three networks of its published code.

All networks take and give (B, C, H, W). Layer names are the published ones.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Mode = Literal["interpolate", "zero"]


class Masker:
    """Hides every `width`-th pixel of every `width`-th row, in width ** 2 phases (section 3 of the paper).

    Args:
        width: side of the grid's cell.
        mode: a hidden pixel becomes 0, or the weighted mean of its 8 neighbours (edge 1, corner 0.5, zeros beyond the
            border), for which `width` must be at least 2.
    """

    def __init__(self, width: int = 4, mode: Mode = "interpolate") -> None:
        self.width, self.mode, self.phases = width, mode, width**2

    def mask(self, x: Tensor, phase: int) -> Tensor:
        """(H, W), 1 where the phase hides a pixel of `x` (..., H, W)."""
        mask = torch.zeros(x.shape[-2:], dtype=x.dtype, device=x.device)
        mask[phase % self.width :: self.width, phase // self.width % self.width :: self.width] = 1
        return mask

    def hide(self, x: Tensor, mask: Tensor) -> Tensor:
        """`x` (B, C, H, W) with other values in the hidden pixels."""
        if self.mode == "zero":
            return x * (1 - mask)
        kernel = x.new_tensor([[0.5, 1, 0.5], [1, 0, 1], [0.5, 1, 0.5]]) / 6
        around = F.conv2d(x, kernel.expand(x.shape[1], 1, 3, 3), padding=1, groups=x.shape[1])
        return around * mask + x * (1 - mask)


def masked_loss(network: nn.Module, masker: Masker, noisy: Tensor, phase: int) -> Tensor:
    """Mean over **all** pixels of the squared error at the hidden ones, as published (width ** 2 times smaller than
    the mean over hidden pixels)."""
    mask = masker.mask(noisy, phase)
    return F.mse_loss(network(masker.hide(noisy, mask)) * mask, noisy * mask)


def without_own_pixels(network: nn.Module, masker: Masker, noisy: Tensor) -> Tensor:
    """Every pixel predicted with itself hidden: one pass a phase, (B, C, H, W)."""
    total = torch.zeros_like(noisy)
    for phase in range(masker.phases):
        mask = masker.mask(noisy, phase)
        total = total + network(masker.hide(noisy, mask)) * mask
    return total


class Restoring(nn.Module):
    """A network with the way it restores: the image as it is, or each pixel hidden in turn."""

    def __init__(self, network: nn.Module, masker: Masker, own_pixels: bool) -> None:
        super().__init__()
        self.network, self.masker, self.own_pixels = network, masker, own_pixels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.network(x) if self.own_pixels else without_own_pixels(self.network, self.masker, x)
        return y


class Block(nn.Module):
    """Two convolutions with LeakyReLU; the input is added to the channels that both sides have."""

    def __init__(self, inputs: int, outputs: int, norm: bool = False) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(outputs) if norm else None
        self.norm2 = nn.BatchNorm2d(outputs) if norm else None
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shared = min(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(x)
        y = F.leaky_relu(y if self.norm1 is None else self.norm1(y))
        y = self.conv2(y)
        y = y if self.norm2 is None else self.norm2(y)
        both = y[:, : self.shared] + x[:, : self.shared]
        return F.leaky_relu(torch.cat([both, y[:, self.shared :]], dim=1))


class UNet(nn.Module):
    """Four resolutions below the image's, without norms; sides must be multiples of 16.

    The published code hands its options over one place off, so that its blocks have no norm and LeakyReLU for SELU;
    this is that network.
    """

    def __init__(self, channels: int = 3, width: int = 32) -> None:
        super().__init__()
        sizes = [width, 2 * width, 4 * width, 8 * width]
        for i, size in enumerate(sizes, start=1):
            self.add_module(f"down{i}", gentle(nn.Conv2d(size, size, 2, stride=2, groups=size)))
            size = sizes[-i]
            self.add_module(f"up{i}", gentle(nn.ConvTranspose2d(size, size, 2, stride=2, groups=size)))
        inputs = [channels, *sizes, *(2 * size for size in reversed(sizes))]
        outputs = [*sizes, sizes[3], sizes[2], sizes[1], sizes[0], channels]
        for i, (inner, outer) in enumerate(zip(inputs, outputs, strict=True), start=1):
            self.add_module(f"conv{i}", Block(inner, outer))

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for i in range(1, 5):
            skips.append(self.get_submodule(f"conv{i}")(x))
            x = self.get_submodule(f"down{i}")(skips[-1])
        x = self.get_submodule("conv5")(x)
        for i in range(1, 5):
            x = torch.cat([self.get_submodule(f"up{i}")(x), skips.pop()], dim=1)
            x = self.get_submodule(f"conv{5 + i}")(x)
        return x


class SmallUNet(nn.Module):
    """Two resolutions below the image's, with batch norm; sides must be multiples of 4."""

    def __init__(self, channels: int = 3, width: int = 16) -> None:
        super().__init__()
        self.conv1 = Block(channels, width, norm=True)
        self.conv2 = Block(width, 2 * width, norm=True)
        self.conv3 = Block(2 * width, 2 * width, norm=True)
        self.conv4 = Block(4 * width, 2 * width, norm=True)
        self.conv5 = Block(3 * width, width, norm=True)
        self.conv6 = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(x)
        second = self.conv2(F.max_pool2d(first, 2))
        x = self.conv3(F.max_pool2d(second, 2))
        x = self.conv4(torch.cat([enlarged(x), second], dim=1))
        x = self.conv5(torch.cat([enlarged(x), first], dim=1))
        y: Tensor = self.conv6(x)
        return y


class DnCNN(nn.Module):
    """Convolutions without biases, batch norm between; the output is the image, not the noise."""

    def __init__(self, channels: int = 3, depth: int = 17, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.ReLU()]
        for _ in range(depth - 2):
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        self.dncnn = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dncnn(x)
        return y


def enlarged(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def gentle(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    """A depth-wise 2x2 layer that starts near a mean: weights near 0.25, biases near 0."""
    with torch.no_grad():
        layer.weight.mul_(0.01).add_(0.25)
        if layer.bias is not None:
            layer.bias.mul_(0.01)
    return layer

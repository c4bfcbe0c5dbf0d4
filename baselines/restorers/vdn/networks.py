"""The two inference networks of VDN (paper section 3.4); layer names are those of the published checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SLOPE = 0.2
VARIANCE_WIDTH = 64


class TwoConvolutions(nn.Module):
    """Convolution 3x3 and LeakyReLU, twice."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(outputs, outputs, 3, padding=1), nn.LeakyReLU(SLOPE),
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x)
        return result


class Rise(nn.Module):
    """Doubles the resolution, halves the width and joins the features of the way down behind the raised ones."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, inputs // 2, 2, stride=2)
        self.conv_block = TwoConvolutions(inputs, inputs // 2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        result: Tensor = self.conv_block(torch.cat([self.up(x), skip], 1))
        return result


class DenoisingNetwork(nn.Module):
    """A U-Net of four levels with average pooling: (B, 3, H, W) to (B, 6, H, W), sides multiples of 8.

    Channels 0-2 are the mean of the noise, channels 3-5 the logarithm of its posterior variance.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.down_path = nn.ModuleList(
            TwoConvolutions(before, after) for before, after in zip((3, *widths), widths, strict=False)
        )
        self.up_path = nn.ModuleList(Rise(width) for width in reversed(widths[1:]))
        self.last = nn.Conv2d(widths[0], 6, 3, padding=1)

    def forward(self, noisy: Tensor) -> Tensor:
        x: Tensor = self.down_path[0](noisy)
        skips = []
        for level in self.down_path[1:]:
            skips.append(x)
            x = level(nn.functional.avg_pool2d(x, 2))
        for rise in self.up_path:
            x = rise(x, skips.pop())
        result: Tensor = self.last(x)
        return result


class VarianceNetwork(nn.Module):
    """Five convolutions: (B, 3, H, W) to (B, 6, H, W), log alpha (0-2) and log beta (3-5) of an inverse gamma."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1)
        middle: list[nn.Module] = []
        for _ in range(3):
            middle += [nn.Conv2d(width, width, 3, padding=1), nn.LeakyReLU(SLOPE)]
        self.mid_layer = nn.Sequential(*middle)
        self.conv_last = nn.Conv2d(width, 6, 3, padding=1)

    def forward(self, noisy: Tensor) -> Tensor:
        x = nn.functional.leaky_relu(self.conv1(noisy), SLOPE)
        result: Tensor = self.conv_last(self.mid_layer(x))
        return result


class VDNNetwork(nn.Module):
    """Both networks; 7,816,780 parameters at a first width of 64. Only the denoising network is needed to restore.

    Args:
        width: channels at full resolution, doubled at each of the three lower ones.
    """

    def __init__(self, width: int = 64, variance_width: int = VARIANCE_WIDTH) -> None:
        super().__init__()
        self.DNet = DenoisingNetwork([width << level for level in range(4)])
        self.SNet = VarianceNetwork(variance_width)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias) if module.bias is not None else None

    def posteriors(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """Raw outputs of both networks, (B, 6, H, W) each."""
        return self.DNet(noisy), self.SNet(noisy)

    def forward(self, noisy: Tensor) -> Tensor:
        """The restored images (B, 3, H, W), not clipped: noisy ones in [0, 1] less the mean of their noise."""
        mean: Tensor = self.DNet(noisy)[:, :3]
        return noisy - mean

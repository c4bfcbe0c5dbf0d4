"""The three networks of DANet (Yue et al., ECCV 2020), with the parameter names of the published checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from senm.support.errors import SettingsError, UsageError

DEPTH = 5
MULTIPLE = 2 ** (DEPTH - 1)
SLOPE = 0.2


class Convolutions(nn.Module):
    """Two 3x3 convolutions, a leaky ReLU after each."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(outputs, outputs, 3, padding=1), nn.LeakyReLU(SLOPE),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Down(nn.Module):
    """Two convolutions, whose result is the skip, and a strided one to half the size; the lowest level has none."""

    def __init__(self, inputs: int, outputs: int, lowest: bool) -> None:
        super().__init__()
        self.block = Convolutions(inputs, outputs).block
        self.downsample: nn.Module = nn.Identity()
        if not lowest:
            self.downsample = nn.Conv2d(outputs, outputs, 4, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skip = self.block(x)
        return skip, self.downsample(skip)


class Up(nn.Module):
    """A transposed convolution to twice the size, the skip laid beside it, two convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.conv_block = Convolutions(inputs, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.conv_block(torch.cat([self.up(x), skip], 1))
        return joined


class UNet(nn.Module):
    """A U-Net of five levels of width, 2 width, ... 16 width channels, without norm; sides are multiples of 16."""

    def __init__(self, inputs: int, width: int = 32) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(DEPTH)]
        self.down_path = nn.ModuleList(
            Down(before, after, after == widths[-1]) for before, after in zip([inputs, *widths], widths, strict=False)
        )
        self.up_path = nn.ModuleList(Up(2 * w, w) for w in reversed(widths[:-1]))
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for level in self.down_path:
            skip, x = level(x)
            skips.append(skip)
        for level, skip in zip(self.up_path, reversed(skips[:-1]), strict=True):
            x = level(x, skip)
        return self.last(x)


class Denoiser(UNet):
    """Noisy image (N, 3, H, W) in [0, 1] -> estimate of the clean one, not clamped; 9,153,571 parameters in full."""

    def __init__(self, width: int = 32) -> None:
        super().__init__(3, width)

    def forward(self, noisy: Tensor) -> Tensor:
        return noisy - super().forward(noisy)


class Generator(UNet):
    """Clean image and a map of random numbers -> noisy image, not clamped; 9,153,859 parameters in full."""

    def __init__(self, width: int = 32) -> None:
        super().__init__(4, width)

    def forward(self, clean: Tensor, draw: Tensor) -> Tensor:  # type: ignore[override]
        """Args: `clean` (N, 3, H, W) in [0, 1]; `draw` (N, 1, H, W) standard normal, shared by the three channels."""
        return clean + super().forward(torch.cat([clean, draw], 1))


class Critic(nn.Module):
    """Clean and noisy image beside each other, (N, 6, crop, crop) -> one score a pair, (N,).

    Halves its input down to 4x4 and takes that in one convolution, so it judges crops of one size only.
    44,703,745 parameters at width 64 for 128x128.
    """

    def __init__(self, width: int = 64, crop: int = 128) -> None:
        super().__init__()
        halvings = crop.bit_length() - 3
        if halvings < 2 or crop != 4 << halvings:
            raise SettingsError(f"the critic of DANet cannot judge crops of {crop} pixels", "16, 32, 64, 128 or 256")
        self.crop = crop
        widths = [6, *(width * 2**level for level in range(halvings + 1))]
        layers: list[nn.Module] = []
        for level in range(halvings + 1):
            stride = 2 if level < halvings else 1
            layers.append(nn.Conv2d(widths[level], widths[level + 1], 4, stride, padding=stride - 1, bias=False))
            layers.append(nn.LeakyReLU(SLOPE))
        self.main = nn.Sequential(*layers)
        self.output = nn.Linear(widths[-1], 1)

    def forward(self, clean: Tensor, noisy: Tensor) -> Tensor:
        if tuple(clean.shape[-2:]) != (self.crop, self.crop):
            raise UsageError(f"the critic of DANet got {clean.shape[-2]}x{clean.shape[-1]} pixels",
                             f"{self.crop}x{self.crop}")
        scores: Tensor = self.output(self.main(torch.cat([clean, noisy], 1)).flatten(1))
        return scores[:, 0]

    def initialise(self) -> None:
        """Weights from N(0, 0.02^2), bias 0."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.normal_(parameter, std=0.02)

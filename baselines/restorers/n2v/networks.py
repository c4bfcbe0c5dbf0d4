"""The U-Net of Noise2Void (Krull et al., CVPR 2019) as published: one network a channel, or a joint one.

Convolutions keep the size; batch norm and initialisation are those of Keras, on which the published code runs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.Module):
    """Batch norm with Keras' epsilon and momentum.

    Args:
        channels: number of channels.
        unbiased: whether the running variance follows the unbiased variance of the batch (Keras in float32) or the
            biased one (Keras in float64).
    """

    epsilon, momentum = 1e-3, 0.99

    def __init__(self, channels: int, unbiased: bool = True) -> None:
        super().__init__()
        self.unbiased = unbiased
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.epsilon)
        with torch.no_grad():
            variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=int(self.unbiased))
            self.running_mean.lerp_(mean, 1 - self.momentum)
            self.running_var.lerp_(variance, 1 - self.momentum)
        return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.epsilon)


class Block(nn.Module):
    """Convolution and, but in the last block, batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, last: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        nn.init.xavier_uniform_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        self.bn = None if last else BatchNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y if self.bn is None else F.relu(self.bn(y))


class UNet(nn.Module):
    """(B, channels, H, W) -> the same shape; H and W must be multiples of 2 ** depth.

    The first convolution of every level going up has `width` channels, as in the published code.
    """

    def __init__(self, channels: int, depth: int = 2, width: int = 32, kernel: int = 5) -> None:
        super().__init__()
        self.depth = depth
        size = channels
        for level in range(depth):
            inner = width << level
            self.add_module(f"down_level_{level}_no_0", Block(size, inner, kernel))
            self.add_module(f"down_level_{level}_no_1", Block(inner, inner, kernel))
            size = inner
        self.middle_0 = Block(size, width << depth, kernel)
        self.middle_2 = Block(width << depth, width << max(0, depth - 1), kernel)
        size = width << max(0, depth - 1)
        for level in reversed(range(depth)):
            outer = width << max(0, level - 1)
            self.add_module(f"up_level_{level}_no_0", Block(size + (width << level), width, kernel))
            self.add_module(f"up_level_{level}_no_2", Block(width, outer, kernel))
            size = outer
        self.final = Block(size, channels, 1, last=True)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level in range(self.depth):
            x = self.get_submodule(f"down_level_{level}_no_1")(self.get_submodule(f"down_level_{level}_no_0")(x))
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.middle_2(self.middle_0(x))
        for level in reversed(range(self.depth)):
            x = torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skips[level]], dim=1)
            x = self.get_submodule(f"up_level_{level}_no_2")(self.get_submodule(f"up_level_{level}_no_0")(x))
        y: Tensor = self.final(x)
        return y


class Channels(nn.Module):
    """The network of an image of `channels` channels: (B, channels, H, W) -> the same shape.

    Args:
        channels: 1 for grey, 3 for RGB.
        joint: one U-Net for all channels; otherwise U-Net i sees and predicts channel i alone.
        read_last: all U-Nets read the last channel, which is what the published code does where Keras 2.15 calls
            its networks again (the loop variable that names the channel has its last value by then).
    """

    def __init__(self, channels: int = 3, *, depth: int = 2, width: int = 32, kernel: int = 5, joint: bool = False,
                 read_last: bool = False) -> None:
        super().__init__()
        self.joint, self.read_last, self.count = joint, read_last, 1 if joint else channels
        for i in range(self.count):
            self.add_module(f"net{i}", UNet(channels if joint else 1, depth, width, kernel))

    def forward(self, x: Tensor) -> Tensor:
        if self.joint:
            y: Tensor = self.get_submodule("net0")(x)
            return y
        planes = x.split(1, dim=1)
        return torch.cat(
            [self.get_submodule(f"net{i}")(planes[-1 if self.read_last else i]) for i in range(self.count)], dim=1
        )


class Normalised(nn.Module):
    """A network between the normalisation of its training images and its inverse.

    (B, C, H, W) in [0, 1] -> the same shape; the image is padded by reflection to multiples of 2 ** `depth`, half of
    it before, and the output cropped.
    """

    def __init__(self, network: nn.Module, channels: int, depth: int, ways: int = 1) -> None:
        super().__init__()
        self.network, self.multiple, self.ways = network, 1 << depth, ways
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))

    def normalise(self, x: Tensor) -> Tensor:
        return (x - self.mean[:, None, None]) / self.deviation[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """Average over `ways` flips and rotations (1 or 8) of the restored image."""
        x = self.normalise(x)
        total = torch.zeros_like(x)
        for k in range(self.ways):
            turned = torch.rot90(x, k % 4, (2, 3))
            y = self._padded(turned.flip(2) if k >= 4 else turned)
            total = total + torch.rot90(y.flip(2) if k >= 4 else y, -(k % 4), (2, 3))
        return total / self.ways * self.deviation[:, None, None] + self.mean[:, None, None]

    def padding(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Pixels added left, right, above and below."""
        down, beside = -height % self.multiple, -width % self.multiple
        return beside // 2, beside - beside // 2, down // 2, down - down // 2

    def _padded(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        left, right, above, below = self.padding(height, width)
        mode = "reflect" if max(left, right) < width and max(above, below) < height else "replicate"
        y: Tensor = self.network(F.pad(x, (left, right, above, below), mode=mode))
        return y[..., above : above + height, left : left + width]

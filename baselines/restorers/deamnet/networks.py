"""The unrolled network of DeamNet (paper figure 2); layer names are those of the published checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS, STAGES = 4, 4


class Convolution(nn.Module):
    """A convolution that keeps the size of its input, no activation."""

    def __init__(self, inputs: int, outputs: int, side: int = 3) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(inputs, outputs, side, padding=side // 2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv2d(x)
        return result


class Activated(nn.Module):
    """Convolution 3x3 and ReLU."""

    def __init__(self, width: int, stride: int = 1) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(width, width, 3, stride, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block(x)
        return result


class Enlarge(nn.Module):
    """Each pixel repeated 2 x 2 times, then convolution and ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv2d = Activated(width)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv2d(nn.functional.interpolate(x, scale_factor=2, mode="nearest"))
        return result


def gate(width: int, squeezed: int) -> nn.Sequential:
    """Weights in (0, 1) for each channel and pixel, through a bottleneck of `squeezed` channels."""
    return nn.Sequential(Convolution(width, squeezed), nn.ReLU(), Convolution(squeezed, width), nn.Sigmoid())


class Transform(nn.Module):
    """Between image and features: `ext` is the change of width, `pre` a residual branch on the feature side."""

    def __init__(self, width: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.ext = Convolution(inputs, outputs)
        self.pre = nn.Sequential(Convolution(width, width), nn.ReLU(), Convolution(width, width))


class ToFeatures(Transform):
    """(B, 3, H, W) to (B, width, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        features = self.ext(x)
        result: Tensor = features + self.pre(features)
        return result


class ToImage(Transform):
    """(B, width, H, W) to (B, 3, H, W)."""

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.ext(features + self.pre(features))
        return result


class Gate(nn.Module):
    """The layers of a gate."""

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.conv_du = gate(width, squeezed)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv_du(x)
        return result


class Consistency(nn.Module):
    """How far a stage trusts the prior (paper equation 9): delta in (0, 1) from the data and the prior's features."""

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.cat = Convolution(2 * width, width, 1)
        self.C = Convolution(width, width)
        self.weight = Gate(width, squeezed)

    def forward(self, data: Tensor, prior: Tensor) -> Tensor:
        result: Tensor = self.weight(self.cat(torch.cat([self.C(data), prior], 1)))
        return result


class Descend(nn.Module):
    """Features of one level, and their half in resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.ModuleList([Activated(width), Activated(width), Activated(width, stride=2)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body[1](self.body[0](x))
        return features, self.body[2](features)


class DualAttention(nn.Module):
    """Weighs a level's features against those from below, element by element."""

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.conv_du = gate(width, squeezed)
        self.cat = Convolution(2 * width, width, 1)
        self.C = Convolution(width, width)
        self.ConvTranspose = Enlarge(width)

    def forward(self, features: Tensor, below: Tensor) -> Tensor:
        raised = self.ConvTranspose(below)
        share = self.conv_du(self.cat(torch.cat([self.C(features), raised], 1)))
        result: Tensor = (1 - share) * raised + share * features
        return result


class Join(nn.Module):
    """Merges weighed features with those from below, which are raised by a convolution of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = Activated(width)
        self.ConvTranspose = Enlarge(width)
        self.cat = Convolution(2 * width, width, 1)

    def forward(self, weighed: Tensor, below: Tensor) -> Tensor:
        result: Tensor = self.cat(torch.cat([self.conv1(weighed), self.ConvTranspose(below)], 1))
        return result


class Rise(nn.Module):
    """One level of the way up."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.upsample = Join(width)
        self.body = nn.Sequential(Activated(width), Activated(width))

    def forward(self, weighed: Tensor, below: Tensor) -> Tensor:
        result: Tensor = self.body(self.upsample(weighed, below))
        return result


class Prior(nn.Module):
    """The non-linear operator shared by all stages: a U-Net of four levels with dual attention, z + correction.

    `conv_dila1` to `conv_dila3` and `cat1` belong to the published layout and are never used.
    """

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        for number, side in enumerate((3, 5, 7), start=1):
            self.add_module(f"conv_dila{number}", Convolution(width, width, side))
        self.cat1 = nn.Conv2d(3 * width, width, 1)
        for level in reversed(range(LEVELS)):
            self.add_module(f"e{level}", Descend(width))
        for level in reversed(range(LEVELS)):
            self.add_module(f"attention{level}", DualAttention(width, squeezed))
        self.mid = nn.Sequential(Activated(width), Activated(width))
        for level in reversed(range(LEVELS)):
            self.add_module(f"de{level}", Rise(width))
        self.final = Convolution(width, width)

    def forward(self, z: Tensor) -> Tensor:
        x, kept = z, []
        for level in range(LEVELS):
            features, x = self.get_submodule(f"e{level}")(x)
            kept.append(features)
        x = self.mid(x)
        for level in reversed(range(LEVELS)):
            weighed = self.get_submodule(f"attention{level}")(kept[level], x)
            x = self.get_submodule(f"de{level}")(weighed, x)
        result: Tensor = z + self.final(x)
        return result


class DeamNetwork(nn.Module):
    """Four stages between a prior and the data, in feature space; sides must be multiples of 16.

    2,228,131 parameters at a width of 64 on RGB images. The output is the restored image itself, in [0, 1] and not
    clipped.

    Args:
        width: channels of every layer.
        squeezed: channels in the middle of a gate.
        channels: of the image, 3 or 1.
    """

    def __init__(self, width: int = 64, squeezed: int = 4, channels: int = 3) -> None:
        super().__init__()
        self.transform_function = ToFeatures(width, channels, width)
        self.inverse_transform_function = ToImage(width, width, channels)
        for stage in range(1, STAGES + 1):
            self.add_module(f"line{stage}{stage}", Consistency(width, squeezed))
        self.net2 = Prior(width, squeezed)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight)

    def stages(self, noisy: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """Features of the noisy image, the four deltas, and the last stage's features, (B, width, H, W) each."""
        data: Tensor = self.transform_function(noisy)
        z, deltas = data, []
        for stage in range(1, STAGES + 1):
            prior = self.net2(z)
            delta = self.get_submodule(f"line{stage}{stage}")(data, prior)
            z = (1 - delta) * prior + delta * data
            deltas.append(delta)
        return data, deltas, z

    def forward(self, noisy: Tensor) -> Tensor:
        result: Tensor = self.inverse_transform_function(self.stages(noisy)[2])
        return result

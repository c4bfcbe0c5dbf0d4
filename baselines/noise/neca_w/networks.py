"""The networks of NeCA (Fu et al., CVPR 2023, section 3), with the parameter names of the published files.

Images are RGB in [0, 1]. Gain, level and correlation networks make noise; two critics and a denoiser train beside them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senm.support.errors import SettingsError

STRIDE = 8
FLOOR = 1e-5
CORRELATED_STAGES, UNCORRELATED_STAGES = 5, 3


class Noise(NamedTuple):
    """Level map, independent noise and correlated noise of a batch, (B, 3, H, W) each, in image units."""

    level: Tensor
    independent: Tensor
    correlated: Tensor


def activated(inputs: int, outputs: int, side: int, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    """A convolution and a ReLU."""
    return [nn.Conv2d(inputs, outputs, side, stride, padding), nn.ReLU()]


class GainNet(nn.Module):
    """E: noisy image (B, 3, H, W) -> gain (B,), one number an image of any sign. 263,425 parameters at width 96."""

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        first = nn.Sequential(*activated(3, width, 7, padding=3))
        self.model = nn.Sequential(first, *(nn.Sequential(*activated(width, width, 3)) for _ in range(3)))
        self.linear = nn.Sequential(nn.Sequential(nn.Conv2d(width, 1, 1)))

    def forward(self, noisy: Tensor) -> Tensor:
        gain: Tensor = self.linear(self.model(noisy).mean((2, 3), keepdim=True))
        return gain.flatten()


class LevelMap(nn.Module):
    """G1: clean image and gain -> level of the noise in every value, at least 0. 42,435 parameters at width 96.

    Features are brought to mean 0 and deviation 1 over each whole image before the gain multiplies them.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect")
        self.conv2, self.conv3, self.conv4 = (nn.Conv2d(width, width, 1) for _ in range(3))
        self.conv5 = nn.Conv2d(width, 3, 1)

    def forward(self, clean: Tensor, gain: Tensor) -> Tensor:
        h = self.conv1(clean)
        for conv in (self.conv2, self.conv3, self.conv4):
            h = conv(h)
            mean, deviation = h.mean((1, 2, 3), keepdim=True), h.std((1, 2, 3), keepdim=True)
            h = F.leaky_relu((h - mean) / (deviation + FLOOR) * gain[:, None, None, None], 0.01)
        level: Tensor = self.conv5(h).square()
        return level


class Correlation(nn.Module):
    """G2: independent noise (B, 3, H, W), sides multiples of 8 -> what its neighbours add. 7,790,723 at width 64."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(4)]
        stages = [nn.Sequential(*activated(3, width, 7, padding=3), *activated(width, width, 3))]
        stages += [nn.Sequential(*activated(before, after, 3, stride=2), *activated(after, after, 3))
                   for before, after in pairwise(widths)]
        self.encoders = nn.ModuleList(stages)
        self.decoders = nn.ModuleList(nn.Sequential(*activated(3 * n, n, 3), *activated(n, n, 3))
                                      for n in reversed(widths[:-1]))
        self.decoder_head = nn.Sequential(nn.Conv2d(width, 3, 1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for stage in self.encoders:
            x = stage(x)
            skips.append(x)
        skips.pop()
        for stage in self.decoders:
            x = stage(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skips.pop()], 1))
        added: Tensor = self.decoder_head(x)
        return added


class Generator(nn.Module):
    """E, G1 and G2 together: 8,096,583 parameters at the published widths."""

    def __init__(self, width: int = 96, correlation_width: int = 64) -> None:
        super().__init__()
        self.E, self.G1, self.G2 = GainNet(width), LevelMap(width), Correlation(correlation_width)

    def forward(self, clean: Tensor, gain: Tensor, normal: Tensor) -> Noise:
        """Noise for clean images (B, 3, H, W), sides of at least 4; gain (B,); `normal` a standard normal draw."""
        level = self.G1(clean, gain)
        independent = level * normal
        return Noise(level, independent, self.correlate(independent))

    def correlate(self, independent: Tensor) -> Tensor:
        """Independent noise with its correlated part added; zeros stand beyond sides that are no multiple of 8."""
        height, width = independent.shape[2:]
        padded = F.pad(independent, (0, -width % STRIDE, 0, -height % STRIDE))
        return independent + self.G2(padded)[..., :height, :width]


class Critic(nn.Module):
    """Noise (B, 3, side, side) -> a score, (B, 1).

    At width 64: D1 with 5 stages on sides of 96 has 14,145,801 parameters, D2 with 3 stages on sides of 32 2,165,001.

    Raises:
        SettingsError: nothing is left of this side after the stages.
    """

    def __init__(self, side: int, stages: int, width: int = 64) -> None:
        super().__init__()
        left = side // 2**stages
        if not left:
            raise SettingsError(f"crop gives a critic of {stages} stages sides of {side}", f"at least {2**stages}",
                                "use a larger crop")
        layers, before = [nn.Sequential(nn.Conv2d(3, width, 7, padding=3))], width
        for stage in range(stages):
            after = width * min(2**stage, 8)
            if stage:
                layers.append(leaky(nn.Conv2d(before, after, 3, padding=1)))
            layers.append(leaky(nn.Conv2d(after, after, 4, stride=2, padding=1)))
            before = after
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Linear(before * left**2, 100), nn.LeakyReLU(0.2), nn.Linear(100, 1))

    def forward(self, noise: Tensor) -> Tensor:
        score: Tensor = self.classifier(self.features(noise).flatten(1))
        return score


def leaky(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.LeakyReLU(0.2))


def denoiser(width: int = 64, depth: int = 20) -> nn.Module:
    """G3: a DnCNN with batch normalisation; 670,531 parameters at these sizes."""
    from spandrel.architectures.DnCNN import DnCNN

    return DnCNN(in_nc=3, out_nc=3, nc=width, nb=depth, act_mode="BR")


@torch.no_grad()
def initialise(network: nn.Module, deviation: float = 0.02) -> None:
    """Weights N(0, deviation), biases 0, weights of batch normalisations N(1, 0.02)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            mean, spread = (1.0, 0.02) if isinstance(module, nn.BatchNorm2d) else (0.0, deviation)
            nn.init.normal_(module.weight, mean, spread)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

"""MAXIM's stages of U-Nets (paper section 3.1 and its supplement)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.restorers.maxim.blocks import (
    Attended,
    CrossGating,
    MultiAxis,
    Resized,
    SupervisedAttention,
    conv,
    dense,
    doubling,
)

LEVELS = 3


def reduced(image: Tensor, level: int) -> Tensor:
    """Every 2^level-th pixel, from the middle of each step."""
    step = 1 << level
    return image[..., step // 2 :: step, step // 2 :: step]


class Axes(nn.Module):
    """A linear layer, then multi-axis blocks each followed by channel attention; the first result is added again."""

    def __init__(self, inside: int, width: int, size: int, count: int, linear: bool = False) -> None:
        super().__init__()
        self.start = dense(inside, width)
        self.axes = nn.ModuleList(MultiAxis(width, size) for _ in range(count))
        self.attended = nn.ModuleList(Attended(width, linear) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        first = x = self.start(x)
        for axes, attended in zip(self.axes, self.attended, strict=True):
            x = attended(axes(x))
        return x + first


class Encoder(nn.Module):
    """One level of an encoder; from the second stage on it is gated by features of the stage before."""

    def __init__(self, inside: int, width: int, size: int, count: int, gated: bool) -> None:
        super().__init__()
        self.body = Axes(inside, width, size, count)
        self.gating = CrossGating(width, width, width, size) if gated else None
        self.down = conv(width, width, 4, stride=2)

    def forward(self, x: Tensor, skip: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """(features at half the resolution, features)."""
        x = self.body(torch.cat([x, skip], 1))
        if self.gating is not None:
            x, _ = self.gating(x, before)
        return self.down(x), x


class Decoder(nn.Module):
    """One level of a decoder; its skip holds `LEVELS` maps of its width."""

    def __init__(self, below: int, width: int, size: int, count: int) -> None:
        super().__init__()
        self.up, self.body = doubling(below, width), Axes((1 + LEVELS) * width, width, size, count)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        result: Tensor = self.body(torch.cat([self.up(x), skip], 1))
        return result


class Gathering(nn.ModuleList):
    """Maps of every level resized to one level and joined, from the first level on or in `reverse`."""

    def __init__(self, widths: Sequence[int], level: int, reverse: bool) -> None:
        super().__init__(Resized(width, widths[level], source - level) for source, width in enumerate(widths))
        self.reverse = reverse

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        parts = [layer(x) for layer, x in zip(self, maps, strict=True)]
        return torch.cat(parts[::-1] if self.reverse else parts, 1)


@dataclass(frozen=True)
class Passed:
    """What a stage hands to the next, by level: what is let through, and features of encoder plus decoder."""

    attention: list[Tensor]
    features: list[Tensor]


class Stage(nn.Module):
    """One U-Net over three levels, whose skips see all levels and are gated by the deeper ones.

    Args:
        first: no stage comes before.
        last: its images come from plain convolutions, without supervised attention.
    """

    def __init__(self, width: int, sizes: Sequence[int], count: int, bottlenecks: int, first: bool, last: bool) -> None:
        super().__init__()
        widths = [width << level for level in range(LEVELS)]
        below, above = [*widths[1:], widths[-1]], [widths[0], *widths[:-1]]
        levels = list(zip(widths, sizes, strict=False))
        self.inputs = nn.ModuleList(conv(3, w, 3) for w in widths)
        self.fuse = None if first else nn.ModuleList(CrossGating(w, w, w, size) for w, size in levels)
        self.encoders = nn.ModuleList(
            Encoder(a + w, w, size, count, not first) for a, (w, size) in zip(above, levels, strict=True))
        self.bottlenecks = nn.ModuleList(
            Axes(widths[-1], widths[-1], sizes[LEVELS], count, linear=True) for _ in range(bottlenecks))
        self.gather_encoded, self.gather_decoded = (
            nn.ModuleList(Gathering(widths, level, reverse) for level in range(LEVELS)) for reverse in (False, True))
        self.skips = nn.ModuleList(
            CrossGating(LEVELS * w, b, w, size, up=True) for b, (w, size) in zip(below, levels, strict=True))
        self.decoders = nn.ModuleList(
            Decoder(b, w, size, count) for b, (w, size) in zip(below, levels, strict=True))
        self.last = last
        self.outputs = nn.ModuleList(conv(w, 3, 3) if last else SupervisedAttention(w) for w in widths)

    def forward(self, images: Sequence[Tensor], before: Passed | None) -> tuple[list[Tensor], Passed]:
        """Restored images by level, and what the next stage takes.

        Args:
            images: the noisy image at each level.
        """
        starts = [layer(image) for layer, image in zip(self.inputs, images, strict=True)]
        if self.fuse is not None and before is not None:
            starts = [fuse(start, let)[0] for fuse, start, let in zip(self.fuse, starts, before.attention, strict=True)]
        encoded: list[Tensor] = []
        deep = starts[0]
        for level, encoder in enumerate(self.encoders):
            deep, kept = encoder(deep, starts[level], None if before is None else before.features[level])
            encoded.append(kept)
        for block in self.bottlenecks:
            deep = block(deep)

        skips, signal = list(encoded), deep
        for level in reversed(range(LEVELS)):
            skips[level], signal = self.skips[level](self.gather_encoded[level](encoded), signal)
        decoded = list(skips)
        for level in reversed(range(LEVELS)):
            decoded[level] = deep = self.decoders[level](deep, self.gather_decoded[level](skips))

        restored, attention = [], []
        for level, (layer, image) in enumerate(zip(self.outputs, images, strict=True)):
            if self.last:
                restored.append(layer(decoded[level]) + image)
            else:
                let, made = layer(decoded[level], image)
                attention.append(let)
                restored.append(made)
        return restored, Passed(attention, [encoded[level] + decoded[level] for level in range(LEVELS)])


class MaximNetwork(nn.Module):
    """Stages of U-Nets, each of which restores the image at three resolutions.

    Maps (n, 3, h, w) in [0, 1], h and w multiples of `divisor(sizes)`, to the same shape, not clipped: the last stage's
    image at full resolution. `all_images` gives the others too.

    Args:
        width: channels at full resolution; they double at each of two reductions.
        stages: U-Nets, each of which takes up features of the one before.
        blocks: multi-axis blocks in a row, each with channel attention.
        bottlenecks: rows of them at the lowest resolution.
        sizes: side of grid and block at the three levels and in the bottleneck.
    """

    def __init__(
        self,
        width: int = 32,
        stages: int = 3,
        blocks: int = 2,
        bottlenecks: int = 2,
        sizes: Sequence[int] = (16, 16, 8, 8),
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            Stage(width, sizes, blocks, bottlenecks, first=i == 0, last=i == stages - 1) for i in range(stages))

    @staticmethod
    def divisor(sizes: Sequence[int]) -> int:
        """What the sides of an input must be divisible by: each map is cut into grids and blocks of these sides."""
        return math.lcm(*(size << level for level, size in enumerate(sizes)))

    def all_images(self, noisy: Tensor) -> list[list[Tensor]]:
        """Restored images by stage and level; level k has 1 / 2^k of the resolution."""
        images = [reduced(noisy, level) for level in range(LEVELS)]
        found, passed = [], None
        for stage in self.stages:
            restored, passed = stage(images, passed)
            found.append(restored)
        return found

    def forward(self, noisy: Tensor) -> Tensor:
        return self.all_images(noisy)[-1][0]

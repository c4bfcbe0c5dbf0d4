"""Restormer's network (paper section 3): a U-Net of attention over channels. Layers are named as in the publication."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senm.support.errors import SettingsError


def conv(inside: int, outside: int, side: int, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps height and width."""
    return nn.Conv2d(inside, outside, side, padding=side // 2, groups=groups, bias=False)


class Scale(nn.Module):
    """The weight of a norm, one number a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class BiasFreeNorm(nn.Module):
    """Divides by the deviation over channels without subtracting the mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = Scale(width)

    def forward(self, x: Tensor) -> Tensor:
        deviation = torch.sqrt(x.var(dim=1, keepdim=True, unbiased=False) + 1e-5)
        return x / deviation * self.body.weight[:, None, None]


class ChannelAttention(nn.Module):
    """Transposed attention (section 3.1): each channel attends to the channels of its head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = conv(width, 3 * width, 1)
        self.qkv_dwconv = conv(3 * width, 3 * width, 3, groups=3 * width)
        self.project_out = conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(1, (self.heads, -1)).flatten(3) for part in self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
        )
        similarity = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        attended = (similarity * self.temperature).softmax(dim=-1) @ v
        result: Tensor = self.project_out(attended.reshape(x.shape))
        return result


class GatedFeedForward(nn.Module):
    """Gated depth-wise feed-forward (section 3.2)."""

    def __init__(self, width: int, expansion: float) -> None:
        super().__init__()
        hidden = int(expansion * width)
        self.project_in = conv(width, 2 * hidden, 1)
        self.dwconv = conv(2 * hidden, 2 * hidden, 3, groups=2 * hidden)
        self.project_out = conv(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        result: Tensor = self.project_out(F.gelu(gate) * value)
        return result


class TransformerBlock(nn.Module):
    """Attention and feed-forward, each on normalised features and added to them."""

    def __init__(self, width: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norm1 = BiasFreeNorm(width)
        self.attn = ChannelAttention(width, heads)
        self.norm2 = BiasFreeNorm(width)
        self.ffn = GatedFeedForward(width, expansion)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        result: Tensor = x + self.ffn(self.norm2(x))
        return result


class Resize(nn.Module):
    """A convolution, then pixels shuffled into half (`down`) or twice the resolution: channels double or halve."""

    def __init__(self, width: int, down: bool) -> None:
        super().__init__()
        shuffle: nn.Module = nn.PixelUnshuffle(2) if down else nn.PixelShuffle(2)
        self.body = nn.Sequential(conv(width, width // 2 if down else 2 * width, 3), shuffle)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.body(x)
        return result


class Embedding(nn.Module):
    """From pixels to features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = conv(3, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.proj(x)
        return result


class RestormerNetwork(nn.Module):
    """The noisy image plus what the U-Net adds to it.

    Maps (n, 3, h, w) in [0, 1], h and w multiples of 8, to the same shape, not clipped.

    Args:
        width: channels at full resolution; they double at each of three reductions.
        blocks: transformer blocks at the four resolutions.
        refinement: blocks at full resolution after the decoder.
        heads: attention heads at the four resolutions.
        expansion: hidden channels of the feed-forward over its width.

    Raises:
        SettingsError: heads do not divide their channels.
    """

    def __init__(
        self,
        width: int = 48,
        blocks: Sequence[int] = (4, 6, 6, 8),
        refinement: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
    ) -> None:
        super().__init__()
        for level, count in enumerate(heads):
            if (width << level) % count or width % 2:
                raise SettingsError(f"network.width is {width} with heads {tuple(heads)}",
                                    "an even width, and heads that divide the channels of their resolution")

        def stack(channels: int, count: int, level: int) -> nn.Sequential:
            return nn.Sequential(*(TransformerBlock(channels, heads[level], expansion) for _ in range(count)))

        self.patch_embed = Embedding(width)
        self.encoder_level1 = stack(width, blocks[0], 0)
        self.down1_2 = Resize(width, down=True)
        self.encoder_level2 = stack(2 * width, blocks[1], 1)
        self.down2_3 = Resize(2 * width, down=True)
        self.encoder_level3 = stack(4 * width, blocks[2], 2)
        self.down3_4 = Resize(4 * width, down=True)
        self.latent = stack(8 * width, blocks[3], 3)
        self.up4_3 = Resize(8 * width, down=False)
        self.reduce_chan_level3 = conv(8 * width, 4 * width, 1)
        self.decoder_level3 = stack(4 * width, blocks[2], 2)
        self.up3_2 = Resize(4 * width, down=False)
        self.reduce_chan_level2 = conv(4 * width, 2 * width, 1)
        self.decoder_level2 = stack(2 * width, blocks[1], 1)
        self.up2_1 = Resize(2 * width, down=False)
        self.decoder_level1 = stack(2 * width, blocks[0], 0)
        self.refinement = stack(2 * width, refinement, 0)
        self.output = conv(2 * width, 3, 3)

    def forward(self, image: Tensor) -> Tensor:
        first = self.encoder_level1(self.patch_embed(image))
        second = self.encoder_level2(self.down1_2(first))
        third = self.encoder_level3(self.down2_3(second))
        deep = self.latent(self.down3_4(third))
        deep = self.decoder_level3(self.reduce_chan_level3(torch.cat([self.up4_3(deep), third], 1)))
        deep = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(deep), second], 1)))
        deep = self.decoder_level1(torch.cat([self.up2_1(deep), first], 1))
        result: Tensor = image + self.output(self.refinement(deep))
        return result

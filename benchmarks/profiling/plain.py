"""The plain implementation, the opponent in every speed comparison: what one writes first, from the same weights.

It computes all that the method needs and more: both passes for every sample of a batch, masked afterwards; the two
branches of a head one after the other; every concatenation; the level as one more channel; eager, contiguous tensors.
`PlainSeNMVAE` takes its weights from a `SeNMVAE`; a test holds their outputs and gradients together.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senm.checkpoint import SEMI_NAMES, load_exactly
from senm.config import NetworkSettings
from senm.model import Noise, SeNMVAE


class Block(nn.Module):
    """Residual dense block, (B, C, H, W) to the same."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        outs = [growth] * 4 + [channels]
        self.convs = nn.ModuleList(nn.Conv2d(channels + k * growth, out, 3, padding=1) for k, out in enumerate(outs))

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for conv in self.convs[:4]:
            features.append(F.leaky_relu(conv(torch.cat(features, 1)), 0.2))
        return x + 0.2 * self.convs[4](torch.cat(features, 1))


class Resample(nn.Module):
    """Pixel-unshuffle or pixel-shuffle by 2 and a 3x3 convolution."""

    def __init__(self, channels: int, down: bool) -> None:
        super().__init__()
        self.shuffle = nn.PixelUnshuffle(2) if down else nn.PixelShuffle(2)
        self.conv = nn.Conv2d(4 * channels if down else channels // 4, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.shuffle(x))


class Head(nn.Module):
    """Mean and log sigma by two separate branches."""

    def __init__(self, channels: int, latent: int, growth: int) -> None:
        super().__init__()
        self.mean = nn.Sequential(Block(channels, growth), nn.Conv2d(channels, latent, 1))
        self.log_std = nn.Sequential(Block(channels, growth), nn.Conv2d(channels, latent, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean(x), self.log_std(x)


class PlainEncoder(nn.Module):
    """Features of all layers, shallowest first."""

    def __init__(self, s: NetworkSettings) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, s.nf, 1)
        self.layers = ladder(s, down=True)

    def forward(self, image: Tensor) -> list[Tensor]:
        a, features = self.stem(image), []
        for layer in self.layers:
            a = layer(a)
            features.append(a)
        return features


class PlainSeNMVAE(nn.Module):
    """The semi-supervised network with the weights of `model`."""

    def __init__(self, model: SeNMVAE) -> None:
        super().__init__()
        s = self.settings = model.settings
        layers = range(s.layers)
        self.encode_x, self.encode_y, self.encode_n = PlainEncoder(s), PlainEncoder(s), PlainEncoder(s)
        self.q_zx = nn.ModuleList(Head(s.nf, s.nf, s.growth) for _ in layers)
        self.q_zy = nn.ModuleList(Head(s.nf, s.nf, s.growth) for _ in layers)
        self.q_zn = nn.ModuleList(Head(s.nf + 1, s.zn_dim, s.growth) for _ in layers)
        self.p_zn = nn.ModuleList(Head(s.nf + 1, s.zn_dim, s.growth) for _ in layers)
        self.project_z = nn.ModuleList(nn.Conv2d(s.nf, s.nf, 1) for _ in layers)
        self.project_zn = nn.ModuleList(nn.Conv2d(s.zn_dim, s.nf, 1) for _ in layers)
        self.decode = ladder(s, down=False)
        self.output = nn.Sequential(nn.Conv2d(s.nf, s.nf, 3, padding=1), nn.ReLU(), nn.Conv2d(s.nf, 3, 3, padding=1))
        load_exactly(self, model.to_authors(), SEMI_NAMES, "the plain network")
        self.to(next(model.parameters()).device)

    def translate(self, x: Tensor, level: Tensor, noise: Noise) -> Tensor:
        """A noisy image for each clean one, (B, 3, H, W); `level` (B,)."""
        a_x = self.encode_x(x)
        decoded = torch.zeros_like(a_x[-1])
        for i in reversed(range(self.settings.layers)):
            mean, log_std = self.q_zx[i](decoded + a_x[i])
            decoded = decoded + self.project_z[i](mean + log_std.exp() * noise["z"][i])
            mean, log_std = self.p_zn[i](torch.cat([decoded, plane(level, decoded)], 1))
            decoded = decoded + self.project_zn[i](mean + log_std.exp() * noise["zn"][i])
            decoded = self.decode[i](decoded)
        return self.output(decoded)

    def descend(self, a_x: list[Tensor], a_y: list[Tensor], from_x: Tensor, noise: Noise, a_n: list[Tensor] | None,
                level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image, KL_z and KL_zn (sums a sample) of a pass in which `from_x` (B,) chooses each sample's posterior."""
        decoded = torch.zeros_like(a_x[-1])
        kl_z = kl_zn = decoded.new_zeros(len(decoded))
        choice = from_x.view(-1, 1, 1, 1)
        for i in reversed(range(self.settings.layers)):
            q_x, q_y = self.q_zx[i](decoded + a_x[i]), self.q_zy[i](decoded + a_y[i])
            kl_z = kl_z + divergence(q_y, q_x)
            mean, log_std = (torch.where(choice, x, y) for x, y in zip(q_x, q_y, strict=True))
            decoded = decoded + self.project_z[i](mean + log_std.exp() * noise["z"][i])
            if a_n is not None:
                q_n = self.q_zn[i](torch.cat([decoded + a_n[i], plane(level, decoded)], 1))
                p_n = self.p_zn[i](torch.cat([decoded, plane(level, decoded)], 1))
                kl_zn = kl_zn + divergence(q_n, p_n)
                decoded = decoded + self.project_zn[i](q_n[0] + q_n[1].exp() * noise["zn"][i])
            decoded = self.decode[i](decoded)
        return self.output(decoded), kl_z, kl_zn

    def forward(self, x: Tensor, y: Tensor, level: Tensor, paired: int, source: int, coins: tuple[Tensor, Tensor],
                noise_x: Noise, noise_y: Noise) -> dict[str, Tensor]:
        """The training pass on a whole batch of B = paired + source + target samples, in this order.

        Args:
            x, y: (B, 3, H, W); what a sample's domain lacks holds anything finite.
            level: (B,). coins: (B,) booleans for clean and noisy pass; only those of paired samples count.

        Returns:
            "x" and "y", zero where a domain has no such image; KL sums a sample "kl_z_x", "kl_z_y", "kl_zn", masked.
        """
        index = torch.arange(len(x), device=x.device)
        is_paired, has_x = index < paired, index < paired + source
        has_y = is_paired | ~has_x
        from_x = [torch.where(is_paired, coin, has_x) for coin in coins]
        a_x, a_y, a_n = self.encode_x(x), self.encode_y(y), self.encode_n(y)
        image_x, kl_z_x, _ = self.descend(a_x, a_y, from_x[0], noise_x, None, level)
        image_y, kl_z_y, kl_zn = self.descend(a_x, a_y, from_x[1], noise_y, a_n, level)
        return {"x": image_x * has_x.view(-1, 1, 1, 1), "y": image_y * has_y.view(-1, 1, 1, 1),
                "kl_z_x": kl_z_x * is_paired, "kl_z_y": kl_z_y * is_paired, "kl_zn": kl_zn * has_y}


def ladder(s: NetworkSettings, down: bool) -> nn.ModuleList:
    """Blocks at each resolution with a change of resolution between them."""
    layers: list[nn.Module] = []
    for resolution, blocks in enumerate(s.nls):
        if resolution:
            layers.append(Resample(s.nf, down))
        layers.extend(Block(s.nf, s.growth) for _ in range(blocks))
    return nn.ModuleList(layers)


def plane(level: Tensor, like: Tensor) -> Tensor:
    """(B, 1, H, W) of constant values."""
    return level.view(-1, 1, 1, 1).expand(-1, 1, *like.shape[2:])


def divergence(q: tuple[Tensor, Tensor], p: tuple[Tensor, Tensor]) -> Tensor:
    """KL(q || p) a sample, in nats: (B,)."""
    ratio = 2 * (q[1] - p[1])
    terms = 0.5 * (ratio.exp() + ((q[0] - p[0]) / p[1].exp()) ** 2 - 1 - ratio)
    return terms.sum((1, 2, 3))

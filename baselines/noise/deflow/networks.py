"""DeFlow (Wolf et al., CVPR 2021): encoder, flow and the two latent distributions, with the published parameter names.

Images are RGB in [0, 1]; their sides are multiples of 8 and of the scale. Latents: `eps` (B, 6, H / 2, W / 2) from the
split after the first level and `z` (B, 96, H / 8, W / 8). Random numbers come from a `Draws`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from baselines.noise.deflow.encoder import Encoder
from baselines.noise.deflow.flow import LOG_2PI, TINY, Squeeze, Step, ZeroConv, interleaved, summed

LEVELS = 3
SIDE = 2**LEVELS
LEVELS_OF_QUANTISATION = 32
CONDITION_NOISE = 0.03


class Draws(Protocol):
    """Where random numbers come from."""

    def normal(self, *shape: int) -> Tensor: ...

    def uniform(self, *shape: int) -> Tensor: ...


class TorchDraws:
    """Numbers of one generator on the CPU, moved to `device`: the same on every machine."""

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self.generator, self.device = generator, device

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator).to(self.device)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator).to(self.device)


class Latents(NamedTuple):
    """What an image becomes."""

    eps: Tensor
    z: Tensor


class TwoDomains(nn.Module):
    """Clean latents N(0, I) and degraded ones N(u, I + M M^T) over channels, independent over positions (eq. 6)."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.I = nn.Parameter(torch.eye(channels), requires_grad=False)
        self.mean_shift = nn.Parameter(torch.zeros(channels))
        self.cov_shift = nn.Parameter(start * torch.eye(channels))

    def covariance(self) -> Tensor:
        """I + M M^T."""
        return self.I + self.cov_shift @ self.cov_shift.T

    def log_density(self, x: Tensor, degraded: Tensor) -> Tensor:
        """log p(x | domain), (B,), summed over channels and positions; `degraded` is bool (B,)."""
        count = x[0].numel() * LOG_2PI
        factor, failed = torch.linalg.cholesky_ex(self.covariance())
        factor = torch.where(failed == 0, factor, torch.nan)  # a diverged M becomes a non-finite loss, not an exception
        white = torch.linalg.solve_triangular(factor, (x - self.mean_shift[:, None, None]).flatten(2), upper=False)
        volume = x.shape[-2] * x.shape[-1] * 2 * factor.diagonal().log().sum()
        return -0.5 * torch.where(degraded, summed(white**2) + volume, summed(x**2)) - 0.5 * count

    def degrade(self, x: Tensor, draw: Tensor) -> Tensor:
        """Clean latents to degraded ones: x + u + M n."""
        return x + (self.cov_shift @ draw.flatten(2)).view_as(x) + self.mean_shift[:, None, None]

    def restore(self, x: Tensor, draw: Tensor) -> Tensor:
        """Degraded latents to clean ones: a draw of the posterior N(P (x - u), M M^T P), P = (I + M M^T)^-1."""
        covariance = self.covariance()
        mean = torch.linalg.solve(covariance, (x - self.mean_shift[:, None, None]).flatten(2))
        values, vectors = torch.linalg.eigh(self.I - torch.linalg.inv(covariance))
        root = vectors * values.clamp_min(0).sqrt() @ vectors.T
        return (mean + root @ draw.flatten(2)).view_as(x)

    def sample(self, shape: Sequence[int], degraded: Tensor, draws: Draws) -> Tensor:
        """Latents of this shape and these domains; a second draw is taken only where a domain is degraded."""
        x = draws.normal(*shape)
        if not bool(degraded.any()):
            return x
        return torch.where(degraded[:, None, None, None], self.degrade(x, draws.normal(*shape)), x)


class Split(TwoDomains):
    """Half of the channels leave the flow as eps, normalised by what the other half predicts of them."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__(channels - channels // 2, start)
        self.kept = channels // 2
        self.conv = ZeroConv(self.kept, 2 * (channels - self.kept))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The kept channels, eps, and -sum of the log deviations (B,)."""
        kept, rest = x[:, : self.kept], x[:, self.kept :]
        mean, log_deviation = interleaved(self.conv(kept))
        return kept, (rest - mean) / (log_deviation.exp() + TINY), -summed(log_deviation)

    def decode(self, kept: Tensor, eps: Tensor) -> Tensor:
        mean, log_deviation = interleaved(self.conv(kept))
        return torch.cat([kept, mean + log_deviation.exp() * eps], 1)


class Flow(nn.Module):
    """Three levels of squeeze, 2 transition steps and `steps` conditional ones; a split ends the first."""

    def __init__(self, condition: int, steps: int, hidden: int, start: float) -> None:
        super().__init__()
        self.layers, self.level = nn.ModuleList(), []
        channels = 3
        for level in range(LEVELS):
            channels *= 4
            made: list[nn.Module] = [Squeeze(), *(Step(channels, condition) for _ in range(2))]
            made += [Step(channels, condition, hidden) for _ in range(steps)]
            if level == 0:
                self.split = len(made)
                made.append(Split(channels, start))
                channels //= 2
            self.layers.extend(made)
            self.level += [level] * len(made)
        self.channels = channels
        # Part of the published files; nothing uses it.
        self.f = nn.Sequential(nn.Conv2d(condition, channels, 3, padding=1))

    def encode(self, x: Tensor, conditions: Sequence[Tensor]) -> tuple[Latents, Tensor]:
        """Latents of an image, and the log-determinant (B,) without any density."""
        total, eps = x.new_zeros(len(x)), x
        for number, (layer, level) in enumerate(zip(self.layers, self.level, strict=True)):
            if number == self.split:
                x, eps, change = cast(Split, layer).encode(x)
            else:
                x, change = cast(Step, layer).encode(x, conditions[level])
            total = total + change
        return Latents(eps, x), total

    def decode(self, latents: Latents, conditions: Sequence[Tensor]) -> Tensor:
        """The image of these latents, not clamped."""
        x = latents.z
        for number in reversed(range(len(self.layers))):
            layer = self.layers[number]
            if number == self.split:
                x = cast(Split, layer).decode(x, latents.eps)
            else:
                x = cast(Step, layer).decode(x, conditions[self.level[number]])
        return x


class DeFlowNetwork(TwoDomains):
    """The whole model: 39,741,641 parameters at scale 4 and hidden width 64, 62,935,305 at scale 8 and 128.

    Args:
        encoder: makes the condition from the reduced image.
        steps: conditional flow steps a level (K).
        hidden: width of the coupling networks.
        start: the M of both latents starts at this times the identity; from 0 it never moves, as the gradient of
            M M^T is 0 there.
    """

    def __init__(self, encoder: Encoder, steps: int, hidden: int, start: float) -> None:
        super().__init__(3 * 4**LEVELS // 2, start)
        self.RRDB = encoder
        self.flowUpsamplerNet = Flow(encoder.channels, steps, hidden, start)

    @property
    def split(self) -> Split:
        """The split, which has its own u and M."""
        return cast(Split, self.flowUpsamplerNet.layers[self.flowUpsamplerNet.split])

    def condition(self, low: Tensor, draws: Draws) -> list[Tensor]:
        """Features of the reduced image (B, 3, H / scale, W / scale) with a little noise added."""
        features: list[Tensor] = self.RRDB(low + CONDITION_NOISE * draws.normal(*low.shape))
        return features

    def dequantise(self, image: Tensor, draws: Draws) -> Tensor:
        """The image with uniform noise of +-1/64."""
        return image + (draws.uniform(*image.shape) - 0.5) / LEVELS_OF_QUANTISATION

    def encode(self, x: Tensor, conditions: Sequence[Tensor], degraded: Tensor) -> tuple[Latents, Tensor]:
        """Latents of a dequantised image, and log-determinants plus log p(eps) minus ln 32 a pixel, (B,)."""
        latents, total = self.flowUpsamplerNet.encode(x, conditions)
        quantisation = math.log(LEVELS_OF_QUANTISATION) * x.shape[-2] * x.shape[-1]
        return latents, total + self.split.log_density(latents.eps, degraded) - quantisation

    def decode(self, latents: Latents, conditions: Sequence[Tensor]) -> Tensor:
        """The image of these latents, (B, 3, H, W), not clamped."""
        return self.flowUpsamplerNet.decode(latents, conditions)

    def nll(self, latents: Latents, logdet: Tensor, degraded: Tensor) -> Tensor:
        """-log2 p(image | condition, domain) a pixel (not a value), (B,)."""
        pixels = latents.eps.shape[-2] * latents.eps.shape[-1] * 4
        return -(logdet + self.log_density(latents.z, degraded)) / (math.log(2) * pixels)

    def degraded(self, latents: Latents, draws: Draws) -> Latents:
        """Latents of clean images moved to the degraded domain; eps is drawn first."""
        eps = self.split.degrade(latents.eps, draws.normal(*latents.eps.shape))
        return Latents(eps, self.degrade(latents.z, draws.normal(*latents.z.shape)))

    def restored(self, latents: Latents, draws: Draws) -> Latents:
        """Latents of degraded images moved to the clean domain."""
        eps = self.split.restore(latents.eps, draws.normal(*latents.eps.shape))
        return Latents(eps, self.restore(latents.z, draws.normal(*latents.z.shape)))

    def drawn(self, conditions: Sequence[Tensor], degraded: Tensor, draws: Draws) -> Latents:
        """Latents of p(. | domain) for these conditions; z is drawn first."""
        batch, _, height, width = conditions[0].shape
        z = self.sample((batch, self.flowUpsamplerNet.channels, height // 4, width // 4), degraded, draws)
        eps = self.split.sample((batch, len(self.split.I), height, width), degraded, draws)
        return Latents(eps, z)

    def forward(self, image: Tensor, low: Tensor, degraded: Tensor, draws: Draws) -> Tensor:
        """Negative log-likelihood (B,) of images given their reductions and domains (bool (B,))."""
        conditions = self.condition(low, draws)
        latents, logdet = self.encode(self.dequantise(image, draws), conditions, degraded)
        return self.nll(latents, logdet, degraded)

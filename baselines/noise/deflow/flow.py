"""Layers of DeFlow's flow (Wolf et al., CVPR 2021, section 3; Kingma and Dhariwal, 2018; Lugmayr et al., 2020).

Every layer has `encode(x, condition) -> (y, log-determinant (B,))` and `decode(y, condition) -> x`.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOG_2PI = math.log(2 * math.pi)
FLOOR = 1e-3  # of a coupling's scale
TINY = 1e-6


def per_image(log_scale: Tensor, x: Tensor) -> Tensor:
    """Log-determinant (B,) of a scaling by exp(log_scale) a channel, the same at every position of x."""
    return (x.shape[-2] * x.shape[-1] * log_scale.sum()).expand(len(x))


def summed(x: Tensor) -> Tensor:
    """Sum over all but the first axis."""
    return x.flatten(1).sum(1)


def interleaved(x: Tensor) -> tuple[Tensor, Tensor]:
    """Even and odd channels."""
    return x[:, 0::2], x[:, 1::2]


class ActNorm(nn.Module):
    """(x + bias) * exp(logs) a channel; set by the first training batch, whose result has mean 0 and variance 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.logs = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.started = False

    def start(self, x: Tensor) -> None:
        """Take mean and variance of the first batch, unless the bias says that this has been done before."""
        self.started = True
        if bool(self.bias.detach().any()):
            return
        with torch.no_grad():
            mean = x.mean((0, 2, 3), keepdim=True)
            variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
            self.bias.copy_(-mean)
            self.logs.copy_(-torch.log(variance.sqrt() + TINY))

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not self.started:
            self.start(x)
        return (x + self.bias) * self.logs.exp()

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self(x), per_image(self.logs, x)

    def decode(self, y: Tensor) -> Tensor:
        return y * (-self.logs).exp() - self.bias


class InvertibleConv(nn.Module):
    """1x1 convolution P L U with unit lower L and upper U = strict part + diag(sign_s * exp(log_s))."""

    p: Tensor
    sign_s: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation, _ = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64))
        p, lower, upper = torch.linalg.lu(rotation)
        s = upper.diagonal()
        self.register_buffer("p", p.float())
        self.register_buffer("sign_s", s.sign().float())
        self.l = nn.Parameter(lower.float().contiguous())
        self.log_s = nn.Parameter(s.abs().log().float())
        self.u = nn.Parameter(upper.triu(1).float().contiguous())

    def factors(self) -> tuple[Tensor, Tensor]:
        """L and U."""
        lower = self.l.tril(-1) + torch.eye(len(self.l), dtype=self.l.dtype, device=self.l.device)
        return lower, self.u.triu(1) + torch.diag(self.sign_s * self.log_s.exp())

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = self.factors()
        return F.conv2d(x, (self.p @ lower @ upper)[:, :, None, None]), per_image(self.log_s, x)

    def decode(self, y: Tensor) -> Tensor:
        lower, upper = self.factors()
        flat = self.p.T @ y.flatten(2)
        flat = torch.linalg.solve_triangular(lower, flat, upper=False, unitriangular=True)
        return torch.linalg.solve_triangular(upper, flat, upper=True).view_as(y)


class NormedConv(nn.Conv2d):
    """A convolution without bias, then actnorm; weights N(0, 0.05^2)."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__(inputs, outputs, side, padding=side // 2, bias=False)
        nn.init.normal_(self.weight, 0, 0.05)
        self.actnorm = ActNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.actnorm(super().forward(x)))


class ZeroConv(nn.Conv2d):
    """A 3x3 convolution times exp(3 * logs) a channel; all 0 at the start."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)
        assert self.bias is not None
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)
        self.logs = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (3 * self.logs).exp()


def coupling_network(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Shift and scale, interleaved, from what a coupling may see."""
    return nn.Sequential(
        NormedConv(inputs, hidden, 3), nn.ReLU(), NormedConv(hidden, hidden, 1), nn.ReLU(), ZeroConv(hidden, outputs)
    )


def shift_and_scale(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """t and s = sigmoid(r + 2) + 0.001."""
    t, r = interleaved(network(x))
    return t, torch.sigmoid(r + 2) + FLOOR


class Coupling(nn.Module):
    """Half of the channels given the other half and the condition, then all channels given the condition: x / s - t.

    Encoding divides, so that decoding, which makes images, multiplies by s < 1.001 and cannot explode.
    """

    def __init__(self, channels: int, condition: int, hidden: int) -> None:
        super().__init__()
        self.fixed = channels // 2
        self.fAffine = coupling_network(self.fixed + condition, hidden, 2 * (channels - self.fixed))
        self.fFeatures = coupling_network(condition, hidden, 2 * channels)

    def encode(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        kept, moved = x[:, : self.fixed], x[:, self.fixed :]
        t, s = shift_and_scale(self.fAffine, torch.cat([kept, condition], 1))
        x = torch.cat([kept, moved / s - t], 1)
        shift, scale = shift_and_scale(self.fFeatures, condition)
        return x / scale - shift, -summed(s.log()) - summed(scale.log())

    def decode(self, y: Tensor, condition: Tensor) -> Tensor:
        shift, scale = shift_and_scale(self.fFeatures, condition)
        y = (y + shift) * scale
        kept, moved = y[:, : self.fixed], y[:, self.fixed :]
        t, s = shift_and_scale(self.fAffine, torch.cat([kept, condition], 1))
        return torch.cat([kept, (moved + t) * s], 1)


class Squeeze(nn.Module):
    """2x2 blocks of positions become channels."""

    def encode(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        return F.pixel_unshuffle(x, 2), x.new_zeros(len(x))

    def decode(self, y: Tensor, condition: Tensor) -> Tensor:
        return F.pixel_shuffle(y, 2)


class Step(nn.Module):
    """Actnorm, 1x1 convolution and, where `hidden` is not 0, the coupling; without it a transition step."""

    def __init__(self, channels: int, condition: int, hidden: int = 0) -> None:
        super().__init__()
        self.actnorm, self.invconv = ActNorm(channels), InvertibleConv(channels)
        self.affine = Coupling(channels, condition, hidden) if hidden else None

    def encode(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        x, first = self.actnorm.encode(x)
        x, second = self.invconv.encode(x)
        if self.affine is None:
            return x, first + second
        x, third = self.affine.encode(x, condition)
        return x, first + second + third

    def decode(self, y: Tensor, condition: Tensor) -> Tensor:
        if self.affine is not None:
            y = self.affine.decode(y, condition)
        return self.actnorm.decode(self.invconv.decode(y))

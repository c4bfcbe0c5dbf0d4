"""The noise flow of Kousha et al., CVPR 2022, section 4, with the parameter names of the published checkpoints.

Every layer maps an image towards the latent and returns its log-determinant, one number an image. The channel order of
the published weights is blue, green, red; nothing here depends on it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ISOS = (100, 400, 800, 1600, 3200)
CAMERAS = ("IP", "GP", "S6", "N6", "G4")
LEVELS = 256
STEPS = 4


class Latent(NamedTuple):
    """z (B, 3, H, W), the log-determinant of each layer (22, B) and log N(z; 0, I), (B,), in nats."""

    z: Tensor
    logdets: Tensor
    log_base: Tensor

    @property
    def nll(self) -> Tensor:
        """Negative log-likelihood an image in nats, (B,)."""
        return -(self.logdets.sum(0) + self.log_base)


class Dequantise(nn.Module):
    """Levels 0 .. 255 to [0, 1): (x + u) / 256 with u uniform in [0, 1)."""

    ldj_per_dim: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("ldj_per_dim", torch.tensor(-math.log(LEVELS)))

    def forward(self, x: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        return (x + uniform) / LEVELS, self.ldj_per_dim * x[0].numel() * x.new_ones(len(x))


class Residual(nn.Module):
    """Marks the place where the dequantised clean image is subtracted; it has no parameters."""

    def forward(self, x: Tensor, clean: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        return x - clean, x.new_zeros(len(x))

    def inverse(self, z: Tensor, clean: Tensor, condition: Tensor) -> Tensor:
        return z + clean


class ConditionalLinear(nn.Module):
    """A scale and a shift a channel for each pair of ISO and camera."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(len(ISOS) * len(CAMERAS), 3))
        self.bias = nn.Parameter(torch.zeros(len(ISOS) * len(CAMERAS), 3))

    def _rows(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        row = len(CAMERAS) * condition[:, 0] + condition[:, 1]
        return self.log_scale[row, :, None, None], self.bias[row, :, None, None]

    def forward(self, x: Tensor, clean: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, bias = self._rows(condition)
        return x * log_scale.exp() + bias, log_scale.flatten(1).sum(1) * (x.shape[2] * x.shape[3])

    def inverse(self, z: Tensor, clean: Tensor, condition: Tensor) -> Tensor:
        log_scale, bias = self._rows(condition)
        return (z - bias) * (-log_scale).exp()


class Mix(nn.Module):
    """An invertible 1x1 convolution in LU form.

    Its log-determinant counts H * W pixels; the published code squares the width, the same on its square patches.
    """

    p: Tensor
    sign_s: Tensor

    def __init__(self) -> None:
        super().__init__()
        p, lower, upper = torch.linalg.lu(torch.linalg.qr(torch.randn(3, 3)).Q)
        diagonal = upper.diagonal()
        self.l = nn.Parameter(lower)
        self.log_s = nn.Parameter(diagonal.abs().log())
        self.u = nn.Parameter(upper.triu(1))
        self.register_buffer("p", p)
        self.register_buffer("sign_s", diagonal.sign())

    def _factors(self) -> tuple[Tensor, Tensor]:
        lower = self.l.tril(-1) + torch.eye(3, dtype=self.l.dtype, device=self.l.device)
        return lower, self.u.triu(1) + torch.diag(self.sign_s * self.log_s.exp())

    def forward(self, x: Tensor, clean: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        lower, upper = self._factors()
        z = F.conv2d(x, (self.p @ lower @ upper)[:, :, None, None])
        return z, (self.log_s.sum() * (x.shape[2] * x.shape[3])).expand(len(x))

    def inverse(self, z: Tensor, clean: Tensor, condition: Tensor) -> Tensor:
        lower, upper = self._factors()
        half = torch.linalg.solve_triangular(lower, self.p.T, upper=False, unitriangular=True)
        return F.conv2d(z, torch.linalg.solve_triangular(upper, half, upper=True)[:, :, None, None])


class EmbeddingBlock(nn.Module):
    """x + linear(ReLU(BN(linear(ReLU(BN(x)))))), with or without its batch normalisations."""

    def __init__(self, width: int, norm: bool) -> None:
        super().__init__()
        if norm:
            self.batch_norm_layers = nn.ModuleList(nn.BatchNorm1d(width, eps=1e-3) for _ in range(2))
        self.linear_layers = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        for parameter in self.linear_layers[1].parameters():
            nn.init.uniform_(parameter, -1e-3, 1e-3)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for index, linear in enumerate(self.linear_layers):
            h = linear(F.relu(self.batch_norm_layers[index](h) if self.norm else h))
        return x + h


class Embedding(nn.Module):
    """Condition (B, 2) -> one number an image, (B,), from one-hot ISO and one-hot camera."""

    def __init__(self, norm: bool, width: int = 5) -> None:
        super().__init__()
        self.initial_layer = nn.Linear(len(ISOS) + len(CAMERAS), width)
        self.blocks = nn.ModuleList(EmbeddingBlock(width, norm) for _ in range(3))
        self.final_layer = nn.Linear(width, 1)

    def forward(self, condition: Tensor) -> Tensor:
        hot = torch.cat([F.one_hot(condition[:, 0], len(ISOS)), F.one_hot(condition[:, 1], len(CAMERAS))], 1)
        h = self.initial_layer(hot.to(self.initial_layer.weight.dtype))
        for block in self.blocks:
            h = block(h)
        embedded: Tensor = self.final_layer(h)[:, 0]
        return embedded


class ShiftAndLogScale(nn.Module):
    """(B, 4, H, W) -> (B, 4, H, W); its last convolution sees where the border of the patch is."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), 1e-4))
        self.logs = nn.Parameter(torch.zeros(1, 4, 1, 1))
        self.conv2d_1 = nn.Conv2d(4, width, 3, padding=1)
        self.conv2d_2 = nn.Conv2d(width, width, 1)
        self.net = nn.Sequential(  # the published checkpoints hold both convolutions under two names
            self.conv2d_1, nn.BatchNorm2d(width), nn.ReLU(), self.conv2d_2, nn.BatchNorm2d(width), nn.ReLU()
        )
        self.conv2d_3 = nn.Conv2d(width + 1, 4, 3)
        for conv in (self.conv2d_1, self.conv2d_2):
            nn.init.normal_(conv.weight, 0.0, 0.05 * 4 / 512)
        nn.init.zeros_(self.conv2d_3.weight)
        for conv in (self.conv2d_1, self.conv2d_2, self.conv2d_3):
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        h = F.pad(self.net(x), (1, 1, 1, 1))
        border = F.pad(h.new_zeros(len(h), 1, x.shape[2], x.shape[3]), (1, 1, 1, 1), value=1.0)
        out: Tensor = self.conv2d_3(torch.cat([h, border], 1)) * (3 * self.logs).exp()
        return out


class Coupling(nn.Module):
    """Channel 0 passes; the others are scaled and shifted as channel 0, clean image and condition say."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self._shift_and_log_scale = ShiftAndLogScale()
        self._encoder = Embedding(norm)

    def _terms(self, first: Tensor, clean: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = self._shift_and_log_scale(torch.cat([first, clean], 1)).chunk(2, 1)
        strength = self._shift_and_log_scale.scale * self._encoder(condition)
        return shift, strength[:, None, None, None] * raw.tanh()

    def forward(self, x: Tensor, clean: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = self._terms(x[:, :1], clean, condition)
        return torch.cat([x[:, :1], x[:, 1:] * log_scale.exp() + shift], 1), log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor, clean: Tensor, condition: Tensor) -> Tensor:
        shift, log_scale = self._terms(z[:, :1], clean, condition)
        return torch.cat([z[:, :1], (z[:, 1:] - shift) * (-log_scale).exp()], 1)


class Base(nn.Module):
    """The standard normal base density; its buffer exists in the published checkpoints and is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("buffer", torch.zeros(1))

    def forward(self, z: Tensor) -> Tensor:
        return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)


class NoiseFlow(nn.Module):
    """Clean and noisy levels 0 .. 255 to a standard normal latent and back; 6,160 parameters.

    A condition is integer (B, 2): positions in ISOS and CAMERAS.

    Args:
        norm: batch normalisation in the embedding of the condition, as published.
    """

    def __init__(self, norm: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = [Dequantise(), Residual()]
        for _ in range(STEPS):
            layers += [ConditionalLinear(), Mix(), Coupling(norm), Mix(), Coupling(norm)]
        self.model = nn.ModuleList(layers)
        self.base_dist = Base()
        self.data_pre_processing = nn.ModuleList([Dequantise()])

    def forward(
        self, noisy: Tensor, clean: Tensor, condition: Tensor, noisy_draw: Tensor, clean_draw: Tensor
    ) -> Latent:
        """The latent of noisy images (B, 3, H, W) in 0 .. 255, given clean ones; both draws are uniform in [0, 1)."""
        x, logdet = self.model[0](noisy, noisy_draw)
        c, _ = self.data_pre_processing[0](clean, clean_draw)
        logdets = [logdet]
        for layer in self.model[1:]:
            x, logdet = layer(x, c, condition)
            logdets.append(logdet)
        return Latent(x, torch.stack(logdets), self.base_dist(x))

    def generate(self, clean: Tensor, condition: Tensor, clean_draw: Tensor, normal: Tensor) -> Tensor:
        """Noisy images in [0, 1) before they are cut to levels, (B, 3, H, W); see `to_levels`."""
        c, _ = self.data_pre_processing[0](clean, clean_draw)
        x = normal
        for layer in reversed(list(self.model)[1:]):
            x = layer.inverse(x, c, condition)  # type: ignore[operator]
        return x


def to_levels(image: Tensor) -> Tensor:
    """[0, 1) -> whole levels 0 .. 255."""
    return (LEVELS * image).floor().clamp(0, LEVELS - 1)

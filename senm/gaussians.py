"""Diagonal Gaussians: draw and closed-form Kullback-Leibler divergence."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """A diagonal Gaussian with mean and log standard deviation, both (B, C, H, W)."""

    mean: Tensor
    log_std: Tensor

    def draw(self, eps: Tensor) -> Tensor:
        """mean + std * eps for standard-normal eps of the same shape."""
        return self.mean + self.log_std.exp() * eps

    def standardised(self, value: Tensor) -> Tensor:
        """(value - mean) / std: what `draw` makes `value` of."""
        return (value - self.mean) * torch.exp(-self.log_std)

    def rows(self, start: int, stop: int) -> Gaussian:
        """The Gaussian of samples start..stop-1."""
        return Gaussian(self.mean[start:stop], self.log_std[start:stop])

    def wide(self) -> Gaussian:
        """In float32 where it is in bfloat16, else as it is."""
        return Gaussian(*(t.float() if t.dtype == torch.bfloat16 else t for t in self))


def select(coin: Tensor, heads: Gaussian, tails: Gaussian) -> Gaussian:
    """Per sample, `heads` where coin (B,) is true, else `tails`: one draw of the mixture of equation 5."""
    mask = coin.view(-1, 1, 1, 1)
    return Gaussian(torch.where(mask, heads.mean, tails.mean), torch.where(mask, heads.log_std, tails.log_std))


def kl(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p) for each element, in nats, shape (B, C, H, W); at least in float32.

    A small KL is a difference of nearly equal numbers, of which bfloat16 leaves nothing.
    """
    q, p = q.wide(), p.wide()
    ratio = 2.0 * (q.log_std - p.log_std)
    distance = (q.mean - p.mean) * torch.exp(-p.log_std)
    return 0.5 * (ratio.exp() + distance.square() - 1.0 - ratio)

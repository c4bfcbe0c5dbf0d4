"""Losses of DANet (Yue et al., ECCV 2020, section 3, with the constants of the published code)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.noise.danet.networks import Critic

TAPS = {5: (1.0, 4.0, 6.0, 4.0, 1.0), 7: (1.0, 3.5, 7.0, 9.0, 7.0, 3.5, 1.0)}
VARIANCE_FLOOR = 1e-10
STABLE_ROOT = 1e-12


class Terms(NamedTuple):
    """A loss and the parts it is the sum of."""

    loss: Tensor
    parts: tuple[Tensor, ...]


def kernel(side: int) -> Tensor:
    """The blur kernel (side, side), float64, sum 1: OpenCV's fixed table for a Gaussian of this size, 5 or 7."""
    taps = torch.tensor(TAPS[side], dtype=torch.float64)
    taps = taps / taps.sum()
    return taps[:, None] * taps[None, :]


def blurred(images: Tensor, side: int = 5) -> Tensor:
    """Each channel of (N, C, H, W) blurred, reflected at its borders."""
    channels = images.shape[1]
    weights = kernel(side).to(images).expand(channels, 1, side, side)
    return F.conv2d(F.pad(images, (side // 2,) * 4, mode="reflect"), weights, groups=channels)


def mean_match(clean: Tensor, noisy: Tensor, fake: Tensor) -> Tensor:
    """Mean absolute difference of the blurred noise of real and generated images."""
    return (blurred(noisy - clean) - blurred(fake - clean)).abs().mean()


def variance_match(clean: Tensor, noisy: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """`mean_match`, and the same for local variances of the noise. The published training does not use it."""
    means, variances = [], []
    for image in (noisy, fake):
        noise = image - clean
        means.append(blurred(noise))
        variances.append(blurred((noise - means[-1]) ** 2).clamp_min(VARIANCE_FLOOR))
    return (means[0] - means[1]).abs().mean(), (variances[0] - variances[1]).abs().mean()


def gradient_penalty(
    critic: Critic, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor], share: Tensor
) -> Tensor:
    """Mean of (||gradient of the score|| - 1)^2 between a real and a fake pair of images.

    Args:
        share: weight of the real pair, uniform in [0, 1), (N, 1, 1, 1).
    """
    between = [(share * r + (1 - share) * f).detach().requires_grad_(True) for r, f in zip(real, fake, strict=True)]
    gradients = torch.autograd.grad(critic(*between).sum(), between, create_graph=True)
    squares = torch.cat([g.flatten(1) for g in gradients], 1).square().sum(1)
    return ((torch.sqrt(squares + STABLE_ROOT) - 1) ** 2).mean()


def critic_loss(
    critic: Critic, clean: Tensor, noisy: Tensor, fake: Tensor, estimate: Tensor, shares: tuple[Tensor, Tensor],
    alpha: float, penalty: float,
) -> Terms:
    """Loss of the critic, which tells (clean, noisy) from (clean, generated) and from (estimated, noisy).

    Args:
        fake: generated noisy image, without gradient.
        estimate: denoised image, without gradient.
        shares: weights for `gradient_penalty` of the pair with the generated, and of the one with the estimated image.
        alpha: weight of the generator's pair; the denoiser's has the rest.

    Returns:
        The loss; distance and penalty of the denoiser's pair, distance and penalty of the generator's.
    """
    real = critic(clean, noisy).mean()
    parts: list[Tensor] = []
    for weight, pair, share in ((1 - alpha, (estimate, noisy), shares[1]), (alpha, (clean, fake), shares[0])):
        parts.append(weight * (critic(*pair).mean() - real))
        parts.append(weight * penalty * gradient_penalty(critic, (clean, noisy), pair, share))
    return Terms(torch.stack(parts).sum(), tuple(parts))


def denoiser_loss(
    critic: Critic, clean: Tensor, noisy: Tensor, estimate: Tensor, alpha: float, weight: float
) -> Terms:
    """Loss of the denoiser; its parts are what the critic says and the weighted mean absolute error."""
    parts = (-(1 - alpha) * critic(estimate, noisy).mean(), weight * (estimate - clean).abs().mean())
    return Terms(parts[0] + parts[1], parts)


def generator_loss(critic: Critic, clean: Tensor, noisy: Tensor, fake: Tensor, alpha: float, weight: float) -> Terms:
    """Loss of the generator; its parts are what the critic says and the weighted `mean_match`."""
    parts = (-alpha * critic(clean, fake).mean(), weight * mean_match(clean, noisy, fake))
    return Terms(parts[0] + parts[1], parts)

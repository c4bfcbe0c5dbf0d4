"""The terms of NeCA-W's training (Fu et al., CVPR 2023, section 3.4, and the weights of the published command)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.noise.neca_w.networks import Generator, Noise

SUB = 3
WINDOW = 7
WEIGHTS = {"std1": 50.0, "std2": 10.0, "reg": 1.0, "rec": 1.0, "adv1": 0.1, "adv2": 0.1}


class Critics(NamedTuple):
    """D1 of correlated noise and D2 of independent noise, which sees every third pixel."""

    correlated: nn.Module
    independent: nn.Module


def global_level(noise: Tensor) -> Tensor:
    """Deviation of each image's noise, (B, 3, H, W) -> (B,)."""
    return noise.flatten(1).std(1)


def local_level(noise: Tensor) -> Tensor:
    """Deviation of each value in its 7x7 window, (B, 3, H, W); beyond the border lie zeros that count.

    The variance is held at 0 from below: where noise is flat, rounding takes it under and the published root is NaN.
    """
    mean, square = (F.avg_pool2d(value, WINDOW, 1, WINDOW // 2) for value in (noise, noise.square()))
    return (square - mean.square()).clamp(min=0).sqrt()


def every_third(image: Tensor, offset: int) -> Tensor:
    """Every third pixel from one of nine offsets: row offset // 3, column offset % 3."""
    return image[..., offset // SUB :: SUB, offset % SUB :: SUB]


def level_terms(gain: Tensor, level: Tensor, real: Tensor) -> dict[str, Tensor]:
    """Gain and level map against the deviations of real noise, and the level map against the gain."""
    return {
        "std1": (gain - global_level(real)).square().mean(),
        "std2": (level - local_level(real)).square().mean(),
        "reg": (level - gain[:, None, None, None]).square().mean(),
    }


def adversarial_terms(critics: Critics, noise: Noise, offset: int) -> dict[str, Tensor]:
    """What the generator pays for noise that the critics tell from real noise."""
    return {
        "adv1": -critics.correlated(noise.correlated).mean(),
        "adv2": -critics.independent(every_third(noise.independent, offset)).mean(),
    }


def generator_terms(
    generator: Generator, critics: Critics | None, denoiser: nn.Module | None, clean: Tensor, noisy: Tensor,
    normal: Tensor, offset: int, separate: bool = True,
) -> tuple[Noise, dict[str, Tensor]]:
    """Generated noise and the terms of a generator step, without their weights.

    Args:
        critics: None leaves the adversarial terms out.
        denoiser: None leaves the term of the denoiser out.
        separate: keep the denoiser's gradient from the generator.
    """
    gain = generator.E(noisy)
    noise = generator(clean, gain, normal)
    terms = level_terms(gain, noise.level, noisy - clean)
    if denoiser is not None:
        fake = noise.correlated.detach() if separate else noise.correlated
        terms["rec"] = (denoiser(fake + clean) - clean).square().mean()
    if critics is not None:
        terms |= adversarial_terms(critics, noise, offset)
    return noise, terms


def total(terms: dict[str, Tensor]) -> Tensor:
    """The weighted sum."""
    return torch.stack([WEIGHTS[name] * value for name, value in terms.items()]).sum()


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Mean of (norm of the score's gradient - 1)^2 at share * real + (1 - share) * fake; share (B,)."""
    share = share[:, None, None, None]
    between = (share * real + (1 - share) * fake).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def critic_terms(
    critics: Critics, real: Tensor, noise: Noise, offset: int, shares: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """Scores and penalties of a critic step; their loss is real + fake + penalty * (gp1 + gp2). `noise` is detached."""
    correlated, independent = noise.correlated.detach(), every_third(noise.independent.detach(), offset)
    sub = every_third(real, offset)
    return {
        "real": -critics.correlated(real).mean() - critics.independent(sub).mean(),
        "fake": critics.correlated(correlated).mean() + critics.independent(independent).mean(),
        "gp1": gradient_penalty(critics.correlated, real, correlated, shares[0]),
        "gp2": gradient_penalty(critics.independent, sub, independent, shares[1]),
    }

"""The losses of SCPGabNet (Lin et al., ICCV 2023, section 3) for both of its stages.

Notation: y noisy, x clean, scenes unrelated; D the denoiser, E its frozen copy, G the generator, P the discriminator.
All images are (B, 3, H, W) in [0, 1], not clipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.restorers.scpgabnet.networks import gaussian

SCALES = ((3, 0.01), (9, 0.1), (15, 1.0))
BLUR, BACKGROUND = 25.0, 6.0
WINDOW, WINDOW_SIGMA, C1, C2 = 11, 1.5, 1e-4, 9e-4


@dataclass(frozen=True)
class Networks:
    """The networks of a step; `frozen` is None in the first stage."""

    denoiser: nn.Module
    generator: nn.Module
    discriminator: nn.Module
    frozen: nn.Module | None = None


@dataclass(frozen=True)
class Images:
    """What a step makes of its batch: f1, f2 generated, r1, r2 denoised by D, t1, t2 by E (second stage).

    `seen` is r2 as the generator's loss sees it, with or without its gradient.
    """

    f1: Tensor
    f2: Tensor
    r1: Tensor
    r2: Tensor
    seen: Tensor
    t1: Tensor | None = None
    t2: Tensor | None = None


def images(networks: Networks, clean: Tensor, noisy: Tensor, coupled: bool = True) -> Images:
    """Forward passes of both stages; the noise that G copies is y itself, or y - E(y) in the second stage.

    Args:
        coupled: gradients run from the generator's loss into D, and from the denoiser's loss into G, as in the
            published code, which detaches neither; False detaches both.
    """
    denoise, generate, frozen = networks.denoiser, networks.generator, networks.frozen
    t1 = None if frozen is None else frozen(noisy).detach()
    noise = noisy if t1 is None else noisy - t1
    f1 = generate(clean, noise)
    r1, r2 = denoise(f1.detach()), denoise(noisy)
    seen = r2 if coupled else r2.detach()
    f2 = generate(seen, noise)
    t2 = None if frozen is None else frozen(f1 if coupled else f1.detach())
    return Images(f1, f2, r1, r2, seen, t1, t2)


def generator_terms(networks: Networks, made: Images, clean: Tensor) -> dict[str, Tensor]:
    """`loss_G` and its parts: the discriminator's score, and backgrounds that G must keep."""
    scores = networks.discriminator(made.f1)
    terms = {
        "adversarial_loss": F.mse_loss(scores, torch.ones_like(scores)),
        "bgm_loss1": background(clean, made.f1),
        "bgm_loss2": background(made.seen, made.f2),
    }
    total = terms["adversarial_loss"] + BACKGROUND * (terms["bgm_loss1"] + terms["bgm_loss2"])
    return terms | {"loss_G": total}


def denoiser_terms(made: Images, clean: Tensor) -> dict[str, Tensor]:
    """`loss_D` and its parts: L1 and log SSIM of r1 to x, and in the second stage of r2 to t1 and r1 to t2."""
    compared = {"": (made.r1, clean)}
    if made.t1 is not None and made.t2 is not None:
        compared |= {"1": (made.r2, made.t1), "2": (made.r1, made.t2)}
    terms: dict[str, Tensor] = {}
    for ending, (restored, target) in compared.items():
        terms[f"loss_recon{ending}"] = F.l1_loss(restored, target)
        terms[f"los_ssim{ending}"] = log_ssim(restored, target)
    return terms | {"loss_D": torch.stack(list(terms.values())).sum()}


def discriminator_terms(networks: Networks, made: Images, noisy: Tensor) -> dict[str, Tensor]:
    """`loss_P` and its parts: least squares to 1 on real and to 0 on generated images."""
    real, fake = networks.discriminator(noisy), networks.discriminator(made.f1.detach())
    terms = {"loss_P_real": F.mse_loss(real, torch.ones_like(real)),
             "loss_P_fake": F.mse_loss(fake, torch.zeros_like(fake))}
    return terms | {"loss_P": (terms["loss_P_real"] + terms["loss_P_fake"]) / 2}


def blur(x: Tensor, side: int, sigma: float) -> Tensor:
    """`x` (B, C, H, W) under a Gaussian window, reflected at the border."""
    window = gaussian(side, sigma).to(x).expand(x.shape[1], 1, side, side)
    return F.conv2d(F.pad(x, [side // 2] * 4, mode="reflect"), window, groups=x.shape[1])


def background(first: Tensor, second: Tensor) -> Tensor:
    """Weighted L1 distances of the images under blurs of three sizes."""
    parts = [weight * F.l1_loss(blur(first, side, BLUR), blur(second, side, BLUR)) for side, weight in SCALES]
    return torch.stack(parts).sum()


def log_ssim(first: Tensor, second: Tensor) -> Tensor:
    """-log10 of the mean SSIM (Gaussian window, zeros beyond the border); NaN where that mean is not positive."""
    channels = first.shape[1]
    window = gaussian(WINDOW, WINDOW_SIGMA).to(first).expand(channels, 1, WINDOW, WINDOW)

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(x, window, padding=WINDOW // 2, groups=channels)

    m1, m2 = mean(first), mean(second)
    v1, v2 = mean(first**2) - m1**2, mean(second**2) - m2**2
    both = mean(first * second) - m1 * m2
    similarity = (2 * m1 * m2 + C1) * (2 * both + C2) / ((m1**2 + m2**2 + C1) * (v1 + v2 + C2))
    return -torch.log10(similarity.mean())

"""The negative evidence lower bound of VDN (paper equations 6 to 12) and the variance map of its prior."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LOWEST, HIGHEST = math.log(1e-8), math.log(1e4)
FLOOR = 1e-10


def variance_map(noisy: Tensor, clean: Tensor, radius: int) -> Tensor:
    """Gaussian-weighted mean of the squared noise around each pixel and channel, (B, 3, H, W), at least 1e-10.

    The window has 2 radius + 1 pixels a side and, as in the authors' code, a standard deviation of `radius` pixels;
    images are mirrored at their border without repeating the edge. H and W must exceed `radius`.
    """
    squares = (noisy - clean) ** 2
    channels = squares.shape[1]
    offsets = torch.arange(-radius, radius + 1, device=noisy.device, dtype=torch.float64)
    window = torch.exp(-(offsets**2) / (2 * radius**2))
    window = (window / window.sum()).to(squares.dtype).expand(channels, 1, -1)
    padded = F.pad(squares, (radius,) * 4, mode="reflect")
    rows = F.conv2d(padded, window[:, :, None, :], groups=channels)
    return F.conv2d(rows, window[:, :, :, None], groups=channels).clamp(min=FLOOR)


def negative_bound(
    phi_z: Tensor, phi_sigma: Tensor, noisy: Tensor, clean: Tensor, xi: Tensor, *, eps2: float, radius: int
) -> dict[str, Tensor]:
    """``loss`` and its three terms, means over images, channels and pixels, scalars.

    Args:
        phi_z: (B, 6, H, W), mean of the noise and logarithm of its posterior variance.
        phi_sigma: (B, 6, H, W), log alpha and log beta of the inverse gamma posterior of the noise variance.
        noisy, clean: (B, 3, H, W) in [0, 1].
        xi: (B, 3, H, W), where the prior of the noise variance has its mode.
        eps2: prior variance of the latent clean image around the photographed one.
        radius: of the window behind `xi`; its number of pixels sets how firm the prior is.
    """
    mean, log_m2 = phi_z[:, :3], phi_z[:, 3:].clamp(LOWEST, HIGHEST)
    log_alpha, log_beta = phi_sigma.clamp(LOWEST, HIGHEST).chunk(2, dim=1)
    m2, alpha = log_m2.exp(), log_alpha.exp()
    precision = (log_alpha - log_beta).exp()
    pixels = (2 * radius + 1) ** 2
    alpha0 = torch.tensor(pixels / 2 - 1, dtype=xi.dtype, device=xi.device)
    beta0 = pixels / 2 * xi
    psi = torch.digamma(alpha)

    likelihood = 0.5 * math.log(2 * math.pi) + 0.5 * (log_beta - psi + (mean**2 + m2) * precision).mean()
    gauss = 0.5 * ((mean - (noisy - clean)) ** 2 / eps2 + m2 / eps2 - 1 - (log_m2 - math.log(eps2))).mean()
    gamma = (
        (alpha - alpha0) * psi + torch.lgamma(alpha0) - torch.lgamma(alpha)
        + alpha0 * (log_beta - beta0.log()) + beta0 * precision - alpha
    ).mean()
    return {"loss": likelihood + gauss + gamma, "lh": likelihood, "kl_gauss": gauss, "kl_igamma": gamma}

"""The network of LUD-VAE (Zheng et al., TPAMI 2022), with the parameter names of the published checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

LEVELS = 3


class Block(nn.Module):
    """Four 3x3 convolutions with a ReLU between each two."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Fuse(nn.Module):
    """One 1x1 convolution of two feature maps laid on each other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(2 * width, width, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.proj(torch.cat([a, b], 1))


class Gaussian(nn.Module):
    """Mean and logarithm of the standard deviation, a 1x1 convolution each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.m = nn.Conv2d(width, width, 1)
        self.v = nn.Conv2d(width, width, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.m(features), self.v(features)


class LUDVAENetwork(nn.Module):
    """A hierarchy of three latents z3, z2, z1 that hold what the image has beside its content: the noise.

    Content comes from a copy of the image hidden under extra Gaussian noise, the latents from the image itself. For a
    clean image (label 0) every latent is 0; for a noisy one (label 1) it is Gaussian, with priors that depend on the
    levels above. Everything works at full resolution, on any size. 5,709,827 parameters at width 128.

    Random maps are given as `draws`: standard-normal (N, width, H, W) for level 3, 2 and 1 in this order.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.width = width
        self.inconv, self.inconv_n = nn.Conv2d(3, width, 1), nn.Conv2d(3, width, 1)
        self.enc_1, self.enc_2, self.enc_3 = (Block(width) for _ in range(3))
        self.enc_n_1, self.enc_n_2, self.enc_n_3 = (Block(width) for _ in range(3))
        self.Gauconv_q_3, self.Gauconv_q_2, self.Gauconv_q_1 = (Gaussian(width) for _ in range(3))
        self.Gauconv_p_2, self.Gauconv_p_1 = Gaussian(width), Gaussian(width)
        self.dec_3, self.dec_2, self.dec_1 = (Block(width) for _ in range(3))
        self.proj_3 = Fuse(width)
        self.proj_2, self.proj_c_2, self.proj_n_2 = (Fuse(width) for _ in range(3))
        self.proj_1, self.proj_c_1, self.proj_n_1 = (Fuse(width) for _ in range(3))
        self.outconv = nn.Conv2d(width, 3, 1)

    def forward(self, x: Tensor, content: Tensor, label: Tensor, draws: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Reconstruct `x` through latents drawn from the posterior.

        Args:
            x: images in [0, 1], (N, 3, H, W).
            content: the same with extra Gaussian noise.
            label: 1 noisy, 0 clean, (N, 1, 1, 1).

        Returns:
            The reconstruction, not clamped, and the divergence of posterior from prior in nats, summed over each
            level and image: (3, N), level 3 first. It is 0 for clean images.
        """
        n1 = self.enc_n_1(self.inconv_n(x))
        n2 = self.enc_n_2(n1)
        n3 = self.enc_n_3(n2)
        divergences: list[Tensor] = []

        def posterior(level: int, above: Tensor | None) -> Tensor:
            if level == 3 or above is None:
                mean, log_std = self.Gauconv_q_3(n3)
            elif level == 2:
                mean, log_std = self.Gauconv_q_2(self.proj_n_2(above, n2))
            else:
                mean, log_std = self.Gauconv_q_1(self.proj_n_1(above, n1))
            divergence = kl_divergence(mean, log_std, *self._prior(level, above, mean))
            divergences.append((divergence * label).sum(dim=(1, 2, 3)))
            return (mean + log_std.exp() * draws[LEVELS - level]) * label

        output = self._decode(content, posterior)
        return output, torch.stack(divergences)

    def generate(
        self, content: Tensor, label: Tensor, draws: Sequence[Tensor], temperature: float = 1.0
    ) -> Tensor:
        """Turn clean images into noisy ones with latents from the prior; noisy images (label 1) are denoised.

        Args:
            content: images in [0, 1] with extra Gaussian noise, (N, 3, H, W).
            label: what the images are, 1 noisy, 0 clean, (N, 1, 1, 1).
            temperature: factor on each latent, its mean included.

        Returns:
            Images of the other domain, (N, 3, H, W), not clamped.
        """
        amount = (1 - label) * temperature

        def prior(level: int, above: Tensor | None) -> Tensor:
            draw = draws[LEVELS - level]
            mean, log_std = self._prior(level, above, draw)
            return (mean + log_std.exp() * draw) * amount

        return self._decode(content, prior)

    def draws(self, images: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Random maps for a batch like `images`, drawn on the CPU and moved to its device."""
        shape = (len(images), self.width, *images.shape[-2:])
        return [torch.randn(shape, generator=generator).to(images.device) for _ in range(LEVELS)]

    def _prior(self, level: int, above: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
        if above is None:
            return torch.zeros_like(like), torch.zeros_like(like)
        mean, log_std = (self.Gauconv_p_2 if level == 2 else self.Gauconv_p_1)(above)
        return mean, log_std

    def _decode(self, content: Tensor, latent: Callable[[int, Tensor | None], Tensor]) -> Tensor:
        c1 = self.enc_1(self.inconv(content))
        c2 = self.enc_2(c1)
        c3 = self.enc_3(c2)
        seen = self.proj_3(c3, latent(3, None))
        above = self.proj_c_2(self.dec_3(seen), c2)
        seen = self.proj_2(above, latent(2, above))
        above = self.proj_c_1(self.dec_2(seen), c1)
        seen = self.proj_1(above, latent(1, above))
        image: Tensor = self.outconv(self.dec_1(seen))
        return image


def kl_divergence(mean: Tensor, log_std: Tensor, prior_mean: Tensor, prior_log_std: Tensor) -> Tensor:
    """KL(N(mean, std^2) || N(prior_mean, prior_std^2)) of each element, in nats."""
    scaled = (torch.exp(2 * log_std) + (mean - prior_mean) ** 2) / torch.exp(2 * prior_log_std)
    return prior_log_std - log_std + (scaled - 1) / 2

"""The fully paired network behind the 100 % rows (table 1) and table 3.

It is another, conditional network, not SeNM-VAE with more pairs: z is deterministic, only the degradation latent is
drawn. Images are (B, 3, H, W), RGB in [0, 1]; H and W must be multiples of `PairedVAE.stride`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from senm.blocks import GaussianHead, ResidualDenseBlock, Resize, channels_last, scaled_init
from senm.checkpoint import PAIRED_NAMES, in_authors_layout, load_exactly, paired_sizes, read_state_dict
from senm.config import PairedNetworkSettings
from senm.gaussians import Gaussian, kl
from senm.level import measured_level
from senm.model import Descent, Noise, per_sample

INIT = 0.1


class PairedVAE(nn.Module):
    """p(y | x, level) with one latent a layer.

    >>> model = PairedVAE(PairedNetworkSettings(nf=8, nls=(1, 1), growth=8))
    >>> model.generate(torch.rand(1, 3, 16, 16), level=0.1).shape
    torch.Size([1, 3, 16, 16])
    """

    def __init__(self, settings: PairedNetworkSettings | None = None) -> None:
        super().__init__()
        s = self.settings = settings or PairedNetworkSettings()
        self.stem_x = nn.Conv2d(4, s.nf, 3, padding=1)
        self.stem_y = nn.Conv2d(3, s.nf, 3, padding=1)

        def ladder(factor: float) -> nn.ModuleList:
            layers: list[nn.Module] = []
            for resolution, blocks in enumerate(s.nls):
                if resolution:
                    layers.append(Resize(s.nf, factor))
                layers.extend(ResidualDenseBlock(s.nf, s.growth) for _ in range(blocks))
            return nn.ModuleList(layers)

        self.encode_x, self.encode_y = ladder(0.5), ladder(0.5)
        layers = range(s.layers)
        self.q = nn.ModuleList(GaussianHead(s.nf, s.nf // 4, s.growth, kernel=3, scale=INIT) for _ in layers)
        self.p = nn.ModuleList(GaussianHead(s.nf, s.nf // 4, s.growth, kernel=3, scale=INIT) for _ in layers)
        self.project_z = nn.ModuleList(scaled_init(nn.Conv2d(s.nf, s.nf, 1), INIT) for _ in layers)
        self.project_zn = nn.ModuleList(scaled_init(nn.Conv2d(s.nf // 4, s.nf, 1), INIT) for _ in layers)
        self.mix = nn.ModuleList(ResidualDenseBlock(s.nf, s.growth) for _ in layers)
        self.decode = ladder(2)
        self.output = nn.Conv2d(s.nf, 3, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    @property
    def stride(self) -> int:
        """Sides of an image must be multiples of this."""
        return 2 ** (len(self.settings.nls) - 1)

    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int]]:
        """(h, w) of the latents at each layer for an image of height x width pixels."""
        shapes = []
        for layer in self.encode_x:
            if isinstance(layer, Resize):
                height, width = height // 2, width // 2
            shapes.append((height, width))
        return shapes

    def draw_noise(self, batch: int, height: int, width: int, generator: torch.Generator | None = None,
                   latents: Sequence[str] = ("zn",)) -> Noise:
        """Standard-normal draws for a batch of height x width images."""
        like = next(self.parameters())
        device = generator.device if generator is not None else like.device
        return {
            "zn": [
                torch.randn(batch, h, w, self.settings.nf // 4, generator=generator, device=device).to(like)
                .permute(0, 3, 1, 2)
                for h, w in self.latent_shapes(height, width)
            ]
        }

    def encode(self, layers: nn.ModuleList, a: Tensor) -> list[Tensor]:
        """Stem output (B, nf, H, W) -> features of all layers."""
        features = []
        for layer in layers:
            a = layer(a)
            features.append(a)
        return features

    def descend(self, x: Tensor, level: Tensor, noise: Noise, y: Tensor | None = None,
                temperature: float = 1.0, residuals: list[Tensor] | None = None) -> Descent:
        """The top-down pass: latents from the posterior where y is given, else from the prior.

        Args:
            residuals: filled with the drawn zn standardised by its prior, (zn - mean) / std, from layer 0 on.
        """
        plane = (level * self.settings.level_scale).to(x).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])
        a_x = self.encode(self.encode_x, self.stem_x(channels_last(torch.cat([x, plane], 1))))
        a_y = self.encode(self.encode_y, self.stem_y(channels_last(y))) if y is not None else None
        decoded = torch.zeros_like(a_x[-1])
        kls: list[Tensor] = []
        for i in reversed(range(self.settings.layers)):
            decoded = decoded + self.project_z[i](a_x[i] + decoded)
            decoded = self.mix[i](decoded)
            p: Gaussian = self.p[i](decoded)
            q: Gaussian = self.q[i](decoded + a_y[i]) if a_y is not None else p
            if a_y is not None:
                kls.append(per_sample(kl(q, p)))
            z_n = q.draw(noise["zn"][i])
            if residuals is not None:
                residuals.insert(0, p.standardised(z_n))
            decoded = decoded + self.project_zn[i](temperature * z_n)
            decoded = self.decode[i](decoded)
        image = self.output(decoded.to(self.output.weight.dtype))
        return Descent(image, kl_zn=torch.stack(kls[::-1]) if kls else None)

    def generate(
        self,
        x: Tensor,
        level: float | Tensor,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """A noisy image for each clean one: (B, 3, H, W) in [0, 1] -> the same shape, not clamped.

        Args:
            level: standard deviation of the noise in [0, 1] units, one number or one a sample.
            temperature: factor on the drawn latents.
        """
        noise = noise or self.draw_noise(len(x), x.shape[2], x.shape[3], generator)
        levels = torch.as_tensor(level, dtype=x.dtype, device=x.device).reshape(-1).expand(len(x))
        return self.descend(x, levels, noise, temperature=temperature).image

    def forward(self, x: Tensor, y: Tensor, noise: Noise) -> Descent:
        """The training pass on pairs (B, 3, H, W); the level is measured, std(y - x) a sample."""
        return self.descend(x, measured_level(x, y), noise, y)

    @classmethod
    def from_authors(cls, checkpoint: str | Path | dict[str, Any]) -> PairedVAE:
        """A network from a state dict (or its file) in the authors' published layout; sizes come from the shapes.

        Raises:
            CheckpointError: missing file, unsafe pickle, or another layout (names the first differing layer).
        """
        state = read_state_dict(checkpoint)
        model = cls(paired_sizes(state))
        load_exactly(model, state, PAIRED_NAMES, "the fully paired network")
        return model

    def to_authors(self) -> dict[str, Tensor]:
        """The state dict in the authors' published layout; `level_scale` moves into the weights of the level's plane.

        To the last bit where the factor is a power of two.
        """
        return in_authors_layout(self.with_scale_of_one(), PAIRED_NAMES)

    def with_scale_of_one(self) -> PairedVAE:
        """A network that computes the same from the level itself."""
        if self.settings.level_scale == 1:
            return self
        copy = PairedVAE(self.settings.but(level_scale=1.0)).to(next(self.parameters()))
        copy.load_state_dict(self.state_dict())
        with torch.no_grad():
            copy.stem_x.weight[:, -1] *= self.settings.level_scale
        return copy

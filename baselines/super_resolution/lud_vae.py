"""LUD-VAE as degradation model for super-resolution (tables 4 and 5): learns what separates real low-quality images
from clean ones reduced by a bicubic filter. The same network as for denoising; only constants differ by data set.
"""

from __future__ import annotations

from typing import ClassVar

from baselines.base import Scale
from baselines.noise.lud_vae.model import LUDVAE, scaled
from baselines.noise.lud_vae.training import LUDVAEHiding, LUDVAESettings

AIM19 = LUDVAESettings(hiding=LUDVAEHiding(clean=15, noisy=10, generation=(15, 15)), matching="aim19")
NTIRE20 = LUDVAESettings(hiding=LUDVAEHiding(clean=8, noisy=3, generation=(10, 10)))


class LUDVAEAim19(LUDVAE):
    """The configuration for AIM 2019: strong hiding, and the colour statistics of the two domains are matched.

    Source images are the clean ones at low resolution, target images the degraded ones.
    """

    name: ClassVar[str] = "lud-vae-aim19"

    @classmethod
    def default_settings(cls, scale: Scale) -> LUDVAESettings:
        """`paper` holds the published statistics of AIM 2019; the other scales, made for any data, measure them."""
        return AIM19 if scale == "paper" else scaled(AIM19, scale).but(matching="measured")


class LUDVAENtire20(LUDVAE):
    """The configuration for NTIRE 2020: weak hiding, more of it when images are generated than in training."""

    name: ClassVar[str] = "lud-vae-ntire20"

    @classmethod
    def default_settings(cls, scale: Scale) -> LUDVAESettings:
        """`paper` is the published configuration; the others are smaller and shorter."""
        return scaled(NTIRE20, scale)

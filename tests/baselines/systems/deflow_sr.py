"""DeFlow for super-resolution: preparation of all scales of an image, and matching of statistics both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.noise.deflow.matching import AIM19, Statistics, cut, matched
from senm.data.formats.bicubic import reduce
from tests.baselines.systems.vectors import Case


def to_byte(x: Tensor) -> np.ndarray:
    """Clamped, times 255, rounded half to even."""
    return x.clamp(0, 1).mul(255).round().to(torch.uint8).numpy()


def compute(case: Case) -> dict[str, Any]:
    image, scales = case.array("image_u8"), case.about["scales"]
    whole = cut(image, max(scales))
    found: dict[str, Any] = {f"x{scale}_u8": reduce(whole, scale) for scale in scales}
    if case.has("norm.in_u8"):
        x = torch.from_numpy(case.array("norm.in_u8") / 255)
        clean, degraded = (Statistics(*part) for part in case.about["ludvae"])
        found |= {
            "deflow.noisy_to_clean.hr": matched(x, AIM19.degraded, AIM19.clean).clamp(0, 1),
            "deflow.noisy_to_clean.lr": matched(x, AIM19.degraded_low, AIM19.clean_low).clamp(0, 1),
            "deflow.clean_to_noisy_u8": to_byte(matched(x, AIM19.clean, AIM19.degraded)),
            "ludvae.noisy_to_clean": matched(x, degraded, clean).clamp(0, 1),
            "ludvae.clean_to_noisy_u8": to_byte(matched(x, clean, degraded)),
        }
    return found

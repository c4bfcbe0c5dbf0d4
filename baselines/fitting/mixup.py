"""Training on blends of two crops (Zhang et al., mixup, ICLR 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def blended(images: Tensor, share: float, partner: Sequence[int] | np.ndarray) -> Tensor:
    """Each image of a batch (n, ...) keeps `share` of itself and takes the rest from the image at its `partner`."""
    index = torch.as_tensor(np.asarray(partner), device=images.device)
    return share * images + (1 - share) * images[index]


def mixup(
    noisy: Tensor, clean: Tensor, draw: np.random.Generator, chance: float, alpha: float
) -> tuple[Tensor, Tensor]:
    """With probability `chance` both sides blended alike: one share of Beta(alpha, alpha), partners permuted."""
    if draw.random() >= chance:
        return noisy, clean
    share, partner = draw.beta(alpha, alpha), draw.permutation(len(noisy))
    return blended(noisy, share, partner), blended(clean, share, partner)

"""What the cases of supervised denoisers share: the weight rule and fingerprints of tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from torch import Tensor, nn

from tests.baselines.systems.vectors import base


def single_weight(name: str, shape: tuple[int, ...], gain: float, vector: float = 0.01) -> np.ndarray:
    """The weight rule of these pages, with the product taken in float32 before it is widened."""
    factor = gain / math.sqrt(math.prod(shape[1:])) if len(shape) >= 2 else vector
    return (base(name, shape).astype(np.float32) * np.float32(factor)).astype(np.float64)


def fingerprint(values: Tensor) -> list[float]:
    """Sum, L2 norm and first element."""
    flat = values.detach().reshape(-1)
    return [float(flat.sum()), float(flat.norm()), float(flat[0])]


def fingerprints(tensors: Iterable[Tensor]) -> np.ndarray:
    """One fingerprint a row."""
    return np.array([fingerprint(each) for each in tensors])


def gradients(network: nn.Module) -> np.ndarray:
    """Fingerprints of the gradients that the parameters hold now, zeros for those without."""
    return np.array([[0.0] * 3 if p.grad is None else fingerprint(p.grad) for p in network.parameters()])

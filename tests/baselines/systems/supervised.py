"""What the cases of supervised denoisers share: fingerprints of tensors and the gradients of a first step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from torch import Tensor

from baselines.fitting.training import Supervised
from tests.baselines.systems.vectors import base


def single_weight(name: str, shape: tuple[int, ...], gain: float) -> np.ndarray:
    """The weight rule of these pages: 0.01 for vectors, and the product taken in float32 before it is widened."""
    factor = gain / math.sqrt(math.prod(shape[1:])) if len(shape) >= 2 else 0.01
    return (base(name, shape).astype(np.float32) * np.float32(factor)).astype(np.float64)


def fingerprint(values: Tensor) -> list[float]:
    """Sum, L2 norm and first element."""
    flat = values.detach().reshape(-1)
    return [float(flat.sum()), float(flat.norm()), float(flat[0])]


def fingerprints(tensors: Iterable[Tensor]) -> np.ndarray:
    """One fingerprint a row."""
    return np.array([fingerprint(each) for each in tensors])


def gradients(run: Supervised, noisy: Tensor, clean: Tensor) -> np.ndarray:
    """Fingerprints of the loss's gradients, zeros for parameters that get none; nothing is updated."""
    run.objective(noisy, clean)["loss"].backward()
    rows = [[0.0] * 3 if p.grad is None else fingerprint(p.grad) for p in run.network.parameters()]
    run.optimiser.zero_grad(set_to_none=True)
    return np.array(rows)

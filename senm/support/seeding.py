"""Named random streams: a seed is the hash of the names that describe its purpose.

Adding a row, changing the batch size or the order of work moves no other stream, because no stream is shared.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def seed(*names: str | int) -> int:
    """A 63-bit seed from names, for example ``seed("crop", "table1", 0)``.

    Integers and strings are told apart, so ``seed("a", 1) != seed("a", "1")``.
    """
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def rng(*names: str | int) -> np.random.Generator:
    """A NumPy generator on the stream of these names."""
    return np.random.default_rng(seed(*names))


def generator(*names: str | int, device: str | torch.device = "cpu") -> torch.Generator:
    """A torch generator on the stream of these names."""
    return torch.Generator(device=device).manual_seed(seed(*names))

"""Pairs that are kept back from training and from everything fitted after it."""

from __future__ import annotations

import hashlib

import numpy as np

from senm.data.domains import Domains
from senm.data.pool import Images, Pairs
from senm.support import seeding

ENOUGH, MOST = 8, 16
"""Pairs from which on some are kept back, and how many are at most."""


def keep_back(pairs: Pairs, first: int = 0, seed: int = 0) -> tuple[Pairs, Pairs]:
    """The pairs to train on, and those kept back, by the seed.

    Args:
        first: train on this many. What is left costs nothing to keep back. 0 takes all but an eighth, from `ENOUGH`
            pairs on; with fewer, none is kept back.
    """
    if first and first < len(pairs):
        order = seeding.rng("pairs", seed).permutation(len(pairs)).tolist()
        return pairs.subset(order[:first]), pairs.subset(order[first : first + MOST])
    if len(pairs) < ENOUGH:
        return pairs, pairs.subset(())
    order = seeding.rng("held out", seed).permutation(len(pairs)).tolist()
    count = min(MOST, len(pairs) // ENOUGH)
    return pairs.subset(sorted(order[count:])), pairs.subset(order[:count])


def also_seen(held: Pairs, domains: Domains) -> int:
    """How many of the pairs kept back have an image, pixel by pixel, in the training data."""
    sides = (domains.paired.clean, domains.paired.noisy, domains.source, domains.target)
    sizes = {held.clean.size(i) for i in range(len(held))}
    seen = {digest(side, i) for side in sides for i in range(len(side)) if side.size(i) in sizes}
    return sum(bool({digest(held.clean, i), digest(held.noisy, i)} & seen) for i in range(len(held)))


def digest(images: Images, index: int) -> bytes:
    """SHA-256 of an image's pixels."""
    return hashlib.sha256(np.ascontiguousarray(images[index]).tobytes()).digest()

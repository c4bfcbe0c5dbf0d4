"""Checks over pools: the two sides of pairs swapped or equal, the same pixels in two pools."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from senm.data.pool import Images, Pairs
from senm.support.errors import DataError


def roughness(image: np.ndarray) -> float:
    """Mean absolute second difference of an image in levels: grows with noise."""
    i = image.astype(np.int16)
    return float(np.abs(i[:, 2:] - 2 * i[:, 1:-1] + i[:, :-2]).mean())


def check_sides(pairs: Pairs, sample: int = 40) -> None:
    """Refuse pairs whose two sides are equal or swapped, judged on up to `sample` of them.

    Raises:
        DataError: all pairs equal, or the clean side is the rougher one on average.
    """
    chosen = range(0, len(pairs), max(1, len(pairs) // sample))
    both = ((pairs.clean[i], pairs.noisy[i]) for i in chosen)
    found = sides_in_doubt([(bool(np.array_equal(c, n)), roughness(c), roughness(n)) for c, n in both])
    if found is not None:
        raise found


def sides_in_doubt(looked: Sequence[tuple[bool, float, float]]) -> DataError | None:
    """What is wrong with the sides of pairs as a whole; of each: whether they are equal, and how rough they are.

    Args:
        looked: (equal, roughness of the clean side, roughness of the noisy side) of each pair.
    """
    if looked and all(equal for equal, _, _ in looked):
        return DataError("the noisy and the clean images are the same pixels", "two different sides",
                         "check which file is which")
    if sum(clean for _, clean, _ in looked) > sum(noisy for _, _, noisy in looked):
        return DataError("the clean images are noisier than the noisy ones", "noisy and clean not swapped",
                         "exchange the two files or folders")
    return None


def digest(image: np.ndarray) -> bytes | None:
    """SHA-256 of the pixels; None for a flat image, of which equal copies are no sign of a mistake."""
    pixels = np.ascontiguousarray(image)
    if (pixels == pixels[0, 0]).all():
        return None
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()


def check_apart(first: Images, second: Images, what: tuple[str, str], mend: str) -> None:
    """Refuse two pools that share an image, compared by pixels.

    Args:
        what: what the two pools are, for the message.
        mend: the action that mends it.

    Raises:
        DataError: an image of `second` is also in `first`.
    """
    seen = {digest(first[i]): first.names[i] for i in range(len(first))}
    seen.pop(None, None)
    shared = [(seen[d], second.names[i]) for i in range(len(second)) if (d := digest(second[i])) in seen]
    if shared:
        a, b = shared[0]
        raise DataError(f"{len(shared)} images are in {what[0]} and in {what[1]} (first: {a} = {b})",
                        "no image in both", mend)

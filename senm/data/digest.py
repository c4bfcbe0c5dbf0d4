"""A short hash of what a training sees, by which a stopped one knows its data again."""

from __future__ import annotations

import hashlib

import numpy as np

from senm.data.pool import Images, Pairs

SAMPLED = 16


def content(*pools: Images | Pairs) -> str:
    """Hash of pools, 16 hexadecimal digits: all names, and the pixels of up to `SAMPLED` images a pool, evenly spread.

    Every pixel of a data set of the paper's size would take minutes; another set of photographs, other synthetic
    noise or another order is noticed without that.
    """
    found = hashlib.sha256()
    sides = [side for pool in pools for side in ((pool.clean, pool.noisy) if isinstance(pool, Pairs) else (pool,))]
    for images in sides:
        found.update("\0".join((str(len(images)), *images.names)).encode(errors="surrogateescape"))
        for index in range(0, len(images), -(-len(images) // SAMPLED) or 1):
            image = np.ascontiguousarray(images[index])
            found.update(str(image.shape).encode() + image.tobytes())
    return found.hexdigest()[:16]

"""A x4 super-resolution set made from pairs of any data set, for tables 4 and 5 without their challenge images.

High resolution: the clean image. Clean low resolution: its bicubic reduction. Degraded low resolution: the noisy
image averaged over 2 x 2 pixels, of which every second is kept, so that what the noise model must learn is noise
and the difference between that reduction and the bicubic one, as in section 4.6 of the paper.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from senm.data.pool import Images
    from senm.data.prepared import PreparedData

FACTOR = 4
PAIRS = 10


def degrade(noisy: np.ndarray) -> np.ndarray:
    """uint8 (4h, 4w, 3) -> uint8 (h, w, 3): means of 2 x 2 blocks, every second one."""
    height, width = (side // FACTOR for side in noisy.shape[:2])
    blocks = noisy[: FACTOR * height, : FACTOR * width].reshape(height, FACTOR, width, FACTOR, 3)[:, :2, :, :2]
    return np.rint(blocks.astype(np.float64).mean(axis=(1, 3))).astype(np.uint8)


def reduce(data: PreparedData, out: Path) -> PreparedData:
    """Write the set: splits 'train' and 'validation' with the sides clean, noisy and high, and the three domains.

    Images are cut to a multiple of 4. Pairs: the first 10 of the paired domain's order; source and target as they are.
    """
    from senm.data.prepared import PreparedWriter

    with PreparedWriter(out, f"{data.name}-x4", {"from": data.fingerprint, "factor": FACTOR}) as writer:
        for split in ("train", "validation"):
            _write(writer, split, data.images(split, "clean"), data.images(split, "noisy"))
        for domain in ("paired", "source", "target"):
            if domain in data.manifest.domains:
                order = data.order(domain)
                writer.order(domain, data.manifest.domains[domain], (int(i) for i in order))
        return writer.finish(
            description=f"x4 super-resolution set made from {data.name}",
            split_rule=data.split_rule,
            paired_counts=data.paired_counts,
            notes=("low resolution made here from pairs: not the images of AIM19 or NTIRE20",),
        )


def _write(writer: object, split: str, clean: Images, noisy: Images) -> None:
    from senm.data.bicubic import reduce as bicubic

    sizes = [tuple(FACTOR * (side // FACTOR) for side in clean.size(i)) for i in range(len(clean))]
    small = [tuple(side // FACTOR for side in size) for size in sizes]
    whole = len(set(sizes)) == 1
    declared = {
        "clean": small[0] if whole else small,
        "noisy": small[0] if whole else small,
        "high": sizes[0] if whole else sizes,
    }
    pools = writer.pool(split, [{"name": name} for name in clean.names], declared)  # type: ignore[attr-defined]
    for i, (height, width) in enumerate(sizes):
        high = clean[i][:height, :width]
        pools["high"].write(i, high[None])
        pools["clean"].write(i, bicubic(high, FACTOR)[None])
        pools["noisy"].write(i, degrade(noisy[i])[None])

"""A x4 super-resolution set made from pairs of any data set, for tables 4 and 5 without their challenge images.

High resolution: the clean image. Clean low resolution: its bicubic reduction. Degraded low resolution: the noisy
image averaged over 2 x 2 pixels, of which every second is kept, so that what the noise model must learn is noise
and the difference between that reduction and the bicubic one, as in section 4.6 of the paper.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from senm.data.pool import Images
    from senm.data.prepared import PreparedData
    from senm.data.writer import PreparedWriter

FACTOR = 4


def degrade(noisy: np.ndarray) -> np.ndarray:
    """uint8 (4h, 4w, 3) -> uint8 (h, w, 3): means of 2 x 2 blocks, every second one."""
    height, width = (side // FACTOR for side in noisy.shape[:2])
    blocks = noisy[: FACTOR * height, : FACTOR * width].reshape(height, FACTOR, width, FACTOR, 3)[:, :2, :, :2]
    return np.rint(blocks.astype(np.float64).mean(axis=(1, 3))).astype(np.uint8)


def reduce(data: PreparedData, out: Path, limit: int | None = None) -> PreparedData:
    """Write the set: splits 'train' and 'validation' with the sides clean, noisy and high, and the three domains.

    Images are cut to a multiple of 4.

    Args:
        limit: keep the first `limit` images of each domain and half as many validation images; None keeps all.
    """
    from senm.data.writer import PreparedWriter

    domains = [name for name in ("paired", "source", "target") if name in data.manifest.domains]
    orders = {name: [int(i) for i in data.order(name)[:limit]] for name in domains}
    kept = sorted({i for order in orders.values() for i in order})
    if limit is None:
        kept = list(range(len(data.images("train"))))
    place = {index: position for position, index in enumerate(kept)}
    plan = {"from": data.fingerprint, "factor": FACTOR, "limit": limit}
    with PreparedWriter(out, f"{data.name}-x4", plan) as writer:
        validation = range(len(data.images("validation")))[: None if limit is None else limit // 2]
        for split, chosen in (("train", kept), ("validation", validation)):
            clean, noisy = (data.images(split, side).subset(chosen) for side in ("clean", "noisy"))
            _write(writer, split, clean, noisy)
        for domain, order in orders.items():
            writer.order(domain, data.manifest.domains[domain], (place[i] for i in order))
        most = len(orders.get("paired", ()))
        return writer.finish(
            description=f"x4 super-resolution set made from {data.name}",
            split_rule=data.split_rule,
            paired_counts={paper: min(used, most) for paper, used in data.paired_counts.items()},
            notes=("low resolution made here from pairs: not the images of AIM19 or NTIRE20",),
        )


def _write(writer: PreparedWriter, split: str, clean: Images, noisy: Images) -> None:
    from senm.data.formats.bicubic import reduce as bicubic

    sizes = [(h - h % FACTOR, w - w % FACTOR) for h, w in map(clean.size, range(len(clean)))]
    small = [(h // FACTOR, w // FACTOR) for h, w in sizes]
    low, high_size = (small[0], sizes[0]) if len(set(sizes)) == 1 else (np.array(small), np.array(sizes))
    declared: dict[str, Any] = {"clean": low, "noisy": low, "high": high_size}
    pools = writer.pool(split, [{"name": name} for name in clean.names], declared)
    for i, (height, width) in enumerate(sizes):
        high = clean[i][:height, :width]
        pools["high"].write(i, high[None])
        pools["clean"].write(i, bicubic(high, FACTOR)[None])
        pools["noisy"].write(i, degrade(noisy[i])[None])

"""A tiny prepared data set for tests: smooth photographs with signal-dependent noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from senm.data.prepared import PreparedData
from senm.data.writer import PreparedWriter
from senm.support.seeding import rng


def photograph(name: str, side: int) -> np.ndarray:
    """A smooth colour image, uint8 (side, side, 3)."""
    coarse = rng("tiny", name).uniform(30, 225, (side // 8, side // 8, 3))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)


def noisy(name: str, clean: np.ndarray) -> np.ndarray:
    """The image with noise whose deviation grows with the level."""
    draw = rng("tiny noise", name).standard_normal(clean.shape)
    return np.clip(np.rint(clean + draw * (4 + clean / 25)), 0, 255).astype(np.uint8)


def write_tiny(out: Path, train: int = 12, validation: int = 6, side: int = 48) -> PreparedData:
    """Write the set into `out`: every training image is in all three domains."""
    with PreparedWriter(out, "folder", {"train": train, "side": side}) as writer:
        for split, count in (("train", train), ("validation", validation)):
            names = [f"{split}-{i:02d}" for i in range(count)]
            pools = writer.pool(split, [{"name": n} for n in names], {"clean": (side, side), "noisy": (side, side)})
            for i, name in enumerate(names):
                clean = photograph(name, side)
                pools["clean"].write(i, clean[None])
                pools["noisy"].write(i, noisy(name, clean)[None])
        for domain in ("paired", "source", "target"):
            writer.order(domain, "train", rng("tiny order", domain).permutation(train).tolist())
        return writer.finish(description="tiny", split_rule="authors", paired_counts={10: 3, 96: 6, 960: 9})

"""Rows of a batch: its parts for small memories, and what is logged of them."""

from __future__ import annotations

import numpy as np

from senm.data.domains import Batch
from senm.losses import TERM_NAMES, Draws
from senm.training.distributed import piece


def logged_names(layers: int) -> list[str]:
    """Names of all values that a step may log."""
    return [*TERM_NAMES, *(f"{name}/layer{i}" for name in ("kl_zn", "kl_z") for i in range(layers))]


def layer_rows(name: str, counts: dict[str, int]) -> int:
    """How many rows the KL by layer of this name is a mean over."""
    return counts["paired"] + (counts["target"] if name == "kl_zn" else 0)


def split(batch: Batch, draws: Draws, parts: int) -> list[tuple[Batch, Draws]]:
    """A batch and its draws in parts, each with its share of every domain; one part is the batch itself."""
    if parts == 1:
        return [(batch, draws)]
    shares = [np.array_split(np.arange(n), parts) for n in (batch.paired, batch.source, batch.target)]
    pieces = [piece(batch, draws, *(index.tolist() for index in of_part)) for of_part in zip(*shares, strict=True)]
    return [found for found in pieces if len(found[0])]

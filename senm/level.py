"""The degradation level: one number an image, and where it comes from.

A level is a standard deviation of the noise in [0, 1] units. In training it is measured on pairs and predicted by
`LevelNet` for noisy images without a partner; when generating it is drawn from the shot/read line of SIDD, measured
on real pairs, or predicted from real noisy images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from senm.checkpoint import LEVEL_NAMES, in_authors_layout, load_exactly, read_state_dict, shape_of
from senm.data.camera import LOG10_SHOT, READ_OFFSET, READ_SLOPE, READ_SPREAD
from senm.data.levelled import LevelledImages
from senm.data.pool import Images
from senm.support import seeding
from senm.support.errors import CheckpointError


def measured_level(x: Tensor, y: Tensor) -> Tensor:
    """std(y - x) over (C, H, W) a sample: two (B, 3, H, W) -> (B,)."""
    return (y - x).flatten(1).std(1) if len(x) else x.new_zeros(0)


def sidd_line(*stream: str | int) -> float:
    """A level on the shot/read line of SIDD, drawn from a named stream (the authors' generation script).

    log10(shot) is uniform, log10(read) follows it linearly with a spread; level = sqrt(shot + read).
    """
    draw = seeding.rng("level", *stream)
    shot = draw.uniform(*LOG10_SHOT)
    read = READ_SLOPE * shot + READ_OFFSET + draw.normal(0.0, READ_SPREAD)
    return float(np.sqrt(10.0**shot + 10.0**read))


def from_list(levels: Sequence[float], *stream: str | int) -> float:
    """One of the measured (or predicted) levels, drawn with replacement from a named stream."""
    return float(levels[int(seeding.rng("level", *stream).integers(len(levels)))])


def level_source(kind: str, levels: Sequence[float], seed: int, clean: Images | None = None) -> Callable[[str], float]:
    """The level of an image by its name: on the line of SIDD, or one of `levels`.

    `measured` takes the images' own levels where `clean` has them.

    Raises:
        CheckpointError: the source needs levels and there are none.
    """
    if kind == "sidd_line":
        return partial(sidd_line, seed)
    if kind == "measured" and isinstance(clean, LevelledImages):
        return clean.levels.__getitem__
    if not levels:
        raise CheckpointError(f"the model has no {kind} levels", "a model fitted on pairs",
                              "fit again, or give a level")
    return partial(from_list, levels, seed)


def keep_mean(generated: Tensor, x: Tensor) -> Tensor:
    """Shift each generated image so that every channel keeps the clean image's mean: the `normalize` option."""
    return generated + x.mean((2, 3), keepdim=True) - generated.mean((2, 3), keepdim=True)


class LevelNet(nn.Module):
    """Noisy image (B, 3, H, W) in [0, 1] -> predicted level (B,); sides of at least 16 pixels.

    Args:
        filters: of the first convolution; the authors' network has 64.
    """

    def __init__(self, filters: int = 64) -> None:
        super().__init__()
        widths = [3, filters, 2 * filters, 4 * filters, 8 * filters]
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 4, stride=2, padding=1) for i, o in pairwise(widths)
        )
        self.dense = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise([8 * filters, 4 * filters, 2 * filters, 1]))

    def forward(self, y: Tensor) -> Tensor:
        h = y
        for k, conv in enumerate(self.convs):
            h = conv(F.relu(h) if k else h)
        h = h.mean((2, 3))
        for k, dense in enumerate(self.dense):
            h = dense(F.relu(h) if k else h)
        return h.squeeze(1)

    @classmethod
    def from_authors(cls, source: str | Path | Mapping[str, Any]) -> LevelNet:
        """The level network from a state dict (or its file) in the authors' layout.

        Raises:
            CheckpointError: missing or broken file, or another layout.
        """
        what, state = "the level network", read_state_dict(source)
        model = cls(shape_of(state, "net.0.weight", what)[0])
        load_exactly(model, state, LEVEL_NAMES, what)
        return model

    def to_authors(self) -> dict[str, Tensor]:
        """The state dict in the authors' layout."""
        return in_authors_layout(self, LEVEL_NAMES)

"""Domain-distance maps: how much each pixel of a generated image looks like the degraded domain.

Source: Wei et al., CVPR 2021, section 3.3; geometry of the receptive fields as in the published code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.super_resolution.fssr.networks import Body


@dataclass(frozen=True)
class Field:
    """Receptive field of a score: centre of the first one, distance of two, size; in pixels."""

    start: float
    jump: int
    size: int


def receptive_field(body: Body, side: int) -> Field:
    """The field of a discriminator's scores on an image of this side.

    Like the published geometry, "fsd" has four 5x5 layers, though its last is 1x1.
    """
    size, pad = (5, 2) if body == "fsd" else (4, 1)
    start, jump, field = 0.5, 1, 1
    for stride in (2, 2, 1, 1) if body == "nld_s2" else (1, 1, 1, 1):
        count = (side + 2 * pad - size) // stride + 1
        before = ((count - 1) * stride - side + size) // 2
        start += ((size - 1) / 2 - before) * jump
        field += (size - 1) * jump
        jump, side = jump * stride, count
    return Field(start, jump, field)


def domain_distance(scores: Tensor, height: int, width: int, body: Body) -> Tensor:
    """Scores (1, 1, h, w) spread over their receptive fields and averaged: (1, 1, height, width).

    Where the field starts is computed from the width and used for rows too, as published.
    """
    field = receptive_field(body, width)
    if body == "fsd":
        return F.avg_pool2d(scores, field.size, 1, field.size // 2, count_include_pad=False)
    rows, columns = (spread(count, side, field).to(scores)
                     for count, side in ((scores.shape[-2], height), (scores.shape[-1], width)))
    counts = rows.sum(1)[:, None] * columns.sum(1)[None]
    return (rows @ scores @ columns.T) / counts


def spread(count: int, side: int, field: Field) -> Tensor:
    """Which of `side` pixels each of `count` scores covers: 0 or 1, (side, count)."""
    covered = torch.zeros(side, count)
    for score in range(count):
        first = field.start + score * field.jump - field.size // 2
        covered[max(0, math.floor(first)) : max(0, math.floor(first + field.size)), score] = 1
    return covered

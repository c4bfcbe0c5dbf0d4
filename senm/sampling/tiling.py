"""Tiles: how far one pixel of a network's output reaches, and the cuts of a large image that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from senm.blocks import Down, Resize
from senm.model import SeNMVAE
from senm.sampling.noise import Network, Window

BLOCK = 5
"""Positions by which a residual dense block reaches beyond its output: five 3x3 convolutions."""

PIXELS = {"cpu": 704 * 704, "cuda": 2048 * 2048}
"""Pixels of one tile with its overlap, for 64 feature channels in float32: at 5.5 KiB a pixel below 4 GiB on a CPU."""


class Tile(NamedTuple):
    """A piece of an image: what is computed (`region`), and the part of the region that is kept (`core`)."""

    region: Window
    core: Window


def receptive_radius(model: Network) -> int:
    """Pixels beyond a tile, aligned to the stride, that its generated pixels depend on: images and draws alike.

    Followed through the network: a 3x3 convolution adds one position of its resolution; pixel-shuffles, and the mean
    of 2x2 that halves a resolution, stay inside aligned cells; doubling by interpolation reaches one coarse position.
    """
    semi = isinstance(model, SeNMVAE)
    encoder = model.encode_x.layers if isinstance(model, SeNMVAE) else model.encode_x
    scale, reach = 1, 0 if semi else 1
    encoded: list[tuple[int, int]] = []
    for layer in encoder:
        if isinstance(layer, Down):
            scale *= 2
            reach += scale
        elif isinstance(layer, Resize):
            reach += scale
            scale *= 2
        else:
            reach += BLOCK * scale
        encoded.append((reach, scale))
    total = 0
    for (reach, scale), layer in zip(reversed(encoded), reversed(list(encoder)), strict=True):
        total = max(total, reach) + 2 * BLOCK * scale + (0 if semi else scale)
        if isinstance(layer, Down):
            total += scale // 2
        elif isinstance(layer, Resize):
            total += 2 * scale
        else:
            total += BLOCK * scale
    return total + (2 if semi else 1)


def budget(model: Network, device: str) -> int:
    """Pixels, of one image or a batch, that this network may take at once on a kind of device, 'cpu' or 'cuda'."""
    return PIXELS.get(device, PIXELS["cpu"]) * 64 // max(model.settings.nf, 16)


def automatic_side(model: Network, device: str, height: int, width: int) -> int | None:
    """Side of a tile's core that keeps memory bounded; None where the whole image does."""
    pixels = budget(model, device)
    if height * width <= pixels:
        return None
    side = int(pixels**0.5) - 2 * overlap(model)
    return max(side // model.stride, 1) * model.stride


def overlap(model: Network) -> int:
    """The receptive radius, rounded up to the stride."""
    return -(-receptive_radius(model) // model.stride) * model.stride


def tiles(height: int, width: int, side: int, margin: int) -> Iterator[Tile]:
    """Cores of at most `side` x `side` pixels that cover the image, each with up to `margin` pixels around it."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            y0, x0 = max(top - margin, 0), max(left - margin, 0)
            y1, x1 = min(bottom + margin, height), min(right + margin, width)
            yield Tile((y0, x0, y1 - y0, x1 - x0), (top - y0, left - x0, bottom - top, right - left))

"""An image's noise: standard-normal draws that depend on seed, image name, layer and position only.

Every layer of every image draws from a stream of its own, cut into cells of fixed size with a stream each. So batch
size, order and number of processes move no number, and a tile can draw its part of a large image alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from senm import seeding
from senm.model import Noise, SeNMVAE
from senm.paired import PairedVAE

CELL = 256
"""Side of a cell, in latent positions."""

Network = SeNMVAE | PairedVAE
Window = tuple[int, int, int, int]
"""(top, left, height, width) in pixels or latent positions."""


def latent_channels(model: Network) -> dict[str, int]:
    """Channels of each latent that is drawn when generating."""
    if isinstance(model, SeNMVAE):
        return {"z": model.settings.nf, "zn": model.settings.zn_dim}
    return {"zn": model.settings.nf // 4}


def cell_noise(channels: int, size: tuple[int, int], stream: Sequence[str | int], device: torch.device,
               window: Window | None = None) -> Tensor:
    """Standard-normal draws (h, w, channels) for a window of a latent of `size` positions.

    The draw at a position does not depend on the window. Draws on a GPU differ from those on a CPU.
    """
    top, left, h, w = window or (0, 0, *size)
    rows = []
    for row in range(top // CELL, (top + h - 1) // CELL + 1):
        y, height = row * CELL, min(CELL, size[0] - row * CELL)
        cells = []
        for column in range(left // CELL, (left + w - 1) // CELL + 1):
            x, width = column * CELL, min(CELL, size[1] - column * CELL)
            generator = seeding.generator("sample", *stream, row, column, device=device)
            cell = torch.randn(height, width, channels, generator=generator, device=device)
            cells.append(cell[max(top - y, 0): top + h - y, max(left - x, 0): left + w - x])
        rows.append(cells[0] if len(cells) == 1 else torch.cat(cells, 1))
    return rows[0] if len(rows) == 1 else torch.cat(rows)


def image_noise(model: Network, names: Sequence[str], size: tuple[int, int], seed: int, device: torch.device,
                window: Window | None = None) -> Noise:
    """Draws for a batch of images of one size.

    Args:
        names: the images' names, which choose their streams.
        size: (height, width) of the images in pixels, multiples of the network's stride.
        window: the part in pixels that is wanted, aligned to the stride; None means all.

    Returns:
        For each latent one float32 (len(names), C, h, w) a layer.
    """
    shapes = model.latent_shapes(*size)
    noise: Noise = {}
    for latent, channels in latent_channels(model).items():
        noise[latent] = []
        for layer, (h, w) in enumerate(shapes):
            part = None
            if window is not None:
                by = size[0] // h
                part = (window[0] // by, window[1] // by, window[2] // by, window[3] // by)
            noise[latent].append(torch.stack([
                cell_noise(channels, (h, w), (seed, name, latent, layer), device, part) for name in names
            ]).permute(0, 3, 1, 2))
    return noise

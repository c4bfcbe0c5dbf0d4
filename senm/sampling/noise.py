"""An image's noise: standard-normal draws that depend on seed, image name, layer and position only.

Every layer of every image draws from a stream of its own, cut into cells of fixed size with a stream each. So batch
size, order and number of processes move no number, and a tile can draw its part of a large image alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from senm.model import Noise, SeNMVAE
from senm.paired import PairedVAE
from senm.sampling.prior import REACH, FittedPrior, joined, split
from senm.support import seeding

CELL = 256
"""Side of a cell, in latent positions."""

Network = SeNMVAE | PairedVAE
Window = tuple[int, int, int, int]
"""(top, left, height, width) in pixels or latent positions."""


class Lazy(Sequence[Tensor]):
    """Draws made when a layer asks for them, so that no more than one layer's are in memory."""

    def __init__(self, count: int, draw: Callable[[int], Tensor]) -> None:
        self.length, self.draw = count, draw

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]
        return self.draw(index)


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
                window: Window | None = None, dtype: torch.dtype = torch.float32,
                prior: FittedPrior | None = None) -> Noise:
    """Draws for a batch of images of one size, made layer by layer as they are used.

    Args:
        names: the images' names, which choose their streams.
        size: (height, width) of the images in pixels, multiples of the network's stride.
        window: the part in pixels that is wanted, aligned to the stride; None means all.
        prior: colours the draws of zn, which then are made for all layers at once.

    Returns:
        For each latent one (len(names), C, h, w) a layer, channels last in memory.
    """
    shapes = model.latent_shapes(*size)

    def draw(latent: str, channels: int, layer: int) -> Tensor:
        h, w = shapes[layer]
        by = size[0] // h
        part = (window[0] // by, window[1] // by, window[2] // by, window[3] // by) if window else None
        cells = [cell_noise(channels, (h, w), (seed, name, latent, layer), device, part).to(dtype) for name in names]
        return torch.stack(cells).permute(0, 3, 1, 2)

    found: dict[str, Sequence[Tensor]] = {
        latent: Lazy(len(shapes), partial(draw, latent, channels))
        for latent, channels in latent_channels(model).items()
    }
    if prior is not None:
        found["zn"] = coloured(prior, latent_channels(model)["zn"], shapes, names, size, seed, device, window, dtype)
    return found


def coloured(prior: FittedPrior, channels: int, shapes: Sequence[tuple[int, int]], names: Sequence[str],
             size: tuple[int, int], seed: int, device: torch.device, window: Window | None, dtype: torch.dtype
             ) -> list[Tensor]:
    """Draws of zn for all layers, coloured; inside the image the white ones are those of the standard prior.

    Around the image, as far as the filter reaches, they come from streams of their own, so that a window of the
    result is the result of the window.
    """
    lowest = min(shape[0] for shape in shapes)
    by = size[0] // lowest
    top, left, height, width = (side // by for side in window or (0, 0, *size))
    factors = [shape[0] // lowest for shape in shapes]
    images = []
    for name in names:
        layers = []
        for layer, factor in enumerate(factors):
            reach = REACH * factor
            h, w = shapes[layer]
            part = (top * factor, left * factor, height * factor + 2 * reach, width * factor + 2 * reach)
            white = cell_noise(channels, (h + 2 * reach, w + 2 * reach), (seed, name, "margin", layer), device, part)
            inside = (max(part[0] - reach, 0), max(part[1] - reach, 0))
            stop = (min(part[0] + part[2] - reach, h), min(part[1] + part[3] - reach, w))
            own = cell_noise(channels, (h, w), (seed, name, "zn", layer), device,
                             (*inside, stop[0] - inside[0], stop[1] - inside[1]))
            y, x = (inside[k] + reach - part[k] for k in (0, 1))
            white[y: y + own.shape[0], x: x + own.shape[1]] = own
            layers.append(white.permute(2, 0, 1)[None])
        images.append(split(prior.colour(joined(layers)), channels, factors))
    return [torch.cat([image[layer] for image in images]).to(dtype) for layer in range(len(shapes))]

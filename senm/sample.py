"""The sampler: noisy images from clean ones, in batches or tiles; an image's noise depends on seed and name only."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from senm.data.pool import Images
from senm.engine import Engine
from senm.errors import SettingsError
from senm.level import keep_mean
from senm.memory import bounded_memory
from senm.noise import Network
from senm.progress import NullProgress, Progress
from senm.tiling import automatic_side, overlap, tiles

NARROW = 16
"""Networks of up to so many features stay far below the memory that tiles are cut for, whatever is kept."""
BATCH = {"cpu": 4, "cuda": 32}
"""Images a batch where the caller does not say."""


def sample_images(
    model: Network,
    clean: Images,
    *,
    levels: Callable[[str], float],
    seed: int,
    device: str | torch.device = "cpu",
    batch: int | None = None,
    tile: int | None = None,
    temperature: float = 1.0,
    normalize: bool = False,
    precision: str = "float32",
    compile: bool = False,
    progress: Progress | None = None,
) -> Iterator[np.ndarray]:
    """A noisy image for each clean one: uint8 (H, W, 3), in the order of `clean`.

    Reading the next images overlaps with computing. Sides that the network cannot halve are padded and cropped back.

    Args:
        model: either network; it is copied to `device`.
        levels: degradation level of an image by name, a standard deviation in [0, 1] units.
        seed: with an image's name it decides the image's noise.
        batch: images at once; it changes speed and memory only.
        tile: side in pixels of the tiles' cores; None cuts only images too large for memory, 0 never cuts.
        temperature: factor on the drawn degradation latent.
        normalize: keep each channel's mean of the clean image.
        precision: 'float32', 'tf32' or 'bf16', see `senm.engine`.
        compile: use torch.compile where a compiler is at hand.

    Raises:
        SettingsError: an unknown precision, or a negative tile or batch.
    """
    if (batch is not None and batch < 1) or (tile is not None and tile < 0):
        raise SettingsError(f"batch is {batch} and tile is {tile}", "a batch of at least 1 and a tile of at least 0")
    engine = Engine(model, device, precision, compile)
    batch = batch or BATCH.get(engine.device.type, 4)
    return _sampled(engine, clean, levels, seed, batch, tile, temperature, normalize, progress or NullProgress())


def _sampled(engine: Engine, clean: Images, levels: Callable[[str], float], seed: int, batch: int, tile: int | None,
             temperature: float, normalize: bool, progress: Progress) -> Iterator[np.ndarray]:
    done: dict[int, np.ndarray] = {}
    following = 0

    def read(chosen: list[int]) -> np.ndarray:
        return np.stack([clean[i] for i in chosen])

    with ThreadPoolExecutor(1, "read") as reader, progress.task("sampling", len(clean)) as task:
        plan = batches(clean, batch)
        chosen = next(plan, None)
        upcoming = reader.submit(read, chosen) if chosen else None
        while chosen and upcoming:
            images = upcoming.result()
            after = next(plan, None)
            upcoming = reader.submit(read, after) if after else None
            names = [clean.names[i] for i in chosen]
            values = torch.tensor([levels(name) for name in names], dtype=torch.float32)
            out = sample_batch(engine, images, names, values, seed, tile, temperature, normalize)
            done.update(zip(chosen, out, strict=True))
            task.advance(len(chosen))
            chosen = after
            while following in done:
                yield done.pop(following)
                following += 1


def sample_batch(engine: Engine, images: np.ndarray, names: list[str], levels: Tensor, seed: int,
                 tile: int | None = None, temperature: float = 1.0, normalize: bool = False) -> np.ndarray:
    """Noisy images for clean ones of one size, uint8 (B, H, W, 3) to the same."""
    height, width = images.shape[1:3]
    side = automatic_side(engine.network, engine.device.type, height, width) if tile is None else tile
    with torch.inference_mode():
        levels = levels.to(engine.device)
        if side:
            with bounded_memory() if engine.network.settings.nf > NARROW else nullcontext():
                return np.stack([
                    sample_tiled(engine, image, name, levels[i:i + 1], seed, side, temperature, normalize)
                    for i, (image, name) in enumerate(zip(images, names, strict=True))
                ])
        x = padded(to_float(images, engine.device), engine.network.stride)
        y = engine.sample(x, names, levels, seed, temperature)
        x, y = x[..., :height, :width], y[..., :height, :width]
        return to_uint8(keep_mean(y, x) if normalize else y)


def sample_tiled(engine: Engine, image: np.ndarray, name: str, level: Tensor, seed: int, side: int,
                 temperature: float = 1.0, normalize: bool = False) -> np.ndarray:
    """One image, uint8 (H, W, 3) to the same, a tile at a time with an overlap of the receptive field.

    With `normalize` the mean shift needs the whole image first, so that the unrounded image is kept as float32.
    """
    stride = engine.network.stride
    height, width = image.shape[:2]
    whole = np.pad(image, ((0, -height % stride), (0, -width % stride), (0, 0)), mode="edge")
    size = (whole.shape[0], whole.shape[1])
    side = -(-side // stride) * stride
    out: np.ndarray = np.empty(whole.shape, np.float32 if normalize else np.uint8)
    for region, core in tiles(*size, side, overlap(engine.network)):
        top, left, h, w = region
        x = to_float(whole[None, top:top + h, left:left + w], engine.device)
        y = engine.sample(x, [name], level, seed, temperature, size, region)
        kept = y[..., core[0]:core[0] + core[2], core[1]:core[1] + core[3]]
        part = kept[0].permute(1, 2, 0).cpu().numpy() if normalize else to_uint8(kept)[0]
        out[top + core[0]:top + core[0] + core[2], left + core[1]:left + core[1] + core[3]] = part
    out = out[:height, :width]
    if not normalize:
        return out
    shift = image.mean((0, 1), dtype=np.float64) / 255 - out.mean((0, 1), dtype=np.float64)
    return to_uint8(torch.from_numpy(out + shift.astype(np.float32)).permute(2, 0, 1)[None])[0]


def to_float(images: np.ndarray, device: torch.device) -> Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) in [0, 1], channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float().div_(255)


def to_uint8(images: Tensor) -> np.ndarray:
    """(B, 3, H, W) -> uint8 (B, H, W, 3): clamped to [0, 1], rounded half to even."""
    rounded = (images.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(rounded.permute(0, 2, 3, 1).cpu().numpy())


def padded(image: Tensor, stride: int) -> Tensor:
    """(B, C, H, W) with the last row and column repeated until both sides are multiples of `stride`."""
    height, width = image.shape[2:]
    if height % stride == 0 and width % stride == 0:
        return image
    return F.pad(image, (0, -width % stride, 0, -height % stride), mode="replicate")


def batches(clean: Images, batch: int) -> Iterator[list[int]]:
    """Indices of images of one size, at most `batch` at a time, looking ahead 8 batches for images of a size."""
    waiting: list[int] = []
    upcoming = iter(range(len(clean)))
    while True:
        while len(waiting) < 8 * batch and (i := next(upcoming, None)) is not None:
            waiting.append(i)
        if not waiting:
            return
        size = clean.size(waiting[0])
        chosen = [i for i in waiting if clean.size(i) == size][:batch]
        waiting = [i for i in waiting if i not in chosen]
        yield chosen


class _Callable(types.ModuleType):
    """This module, which can be called: `senm.sample(model, images)` is `senm.api.sample`, whatever was imported."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from senm.api import sample

        return sample(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable

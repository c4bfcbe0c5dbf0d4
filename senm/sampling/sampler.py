"""The sampler: noisy images from clean ones, in batches or tiles; an image's noise depends on seed and name only.

Clean images from noisy ones go the same way, without a draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from senm.data.pool import Images
from senm.level import keep_mean
from senm.model import SeNMVAE
from senm.sampling.engine import Engine
from senm.sampling.memory import bounded_memory
from senm.sampling.noise import Lazy, Network, Window
from senm.sampling.prior import FittedPrior
from senm.sampling.tiling import automatic_side, budget, overlap, tiles
from senm.support.errors import MachineError, SettingsError
from senm.support.progress import NullProgress, Progress

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
    prior: FittedPrior | None = None,
    difference: bool = False,
    progress: Progress | None = None,
) -> Iterator[np.ndarray]:
    """A noisy image for each clean one: uint8 (H, W, 3), in the order of `clean`.

    Reading the next images overlaps with computing. Sides that the network cannot halve are padded and cropped back.

    Args:
        model: either network; it is copied to `device`.
        levels: degradation level of an image by name, a standard deviation in [0, 1] units.
        seed: with an image's name it decides the image's noise.
        batch: images at once, which changes speed and memory; on a GPU, where rounding depends on it, also single
            pixels by one level. None takes as many of their size as memory is sure to hold.
        tile: side in pixels of the tiles' cores; None cuts only images too large for memory, 0 never cuts. Tiles
            change nothing but the rounding of single pixels, by one level.
        temperature: factor on the drawn degradation latent.
        normalize: keep each channel's mean of the clean image.
        precision: 'float32', 'tf32' or 'bf16', see `senm.sampling.engine`.
        compile: use torch.compile where a compiler is at hand.
        prior: colours the draws of zn; None leaves them white.
        difference: x + noisy pass - clean pass instead of the noisy pass.

    Raises:
        SettingsError: an unknown precision, or a batch, tile, temperature or level out of range.
        MachineError: the GPU's memory does not hold one image or tile.
    """
    check_tile(tile)
    if batch is not None and batch < 1:
        raise SettingsError(f"batch is {batch}", "at least 1")
    check_noise(None, temperature)
    engine = Engine(model, device, precision, compile, prior, difference)
    kind = engine.device.type
    plan = batches(clean, batch) if batch else batches(clean, BATCH.get(kind, 4), budget(engine.network, kind))
    return _sampled(engine, clean, plan, levels, seed, tile, temperature, normalize, progress or NullProgress())


def check_tile(tile: int | None) -> None:
    """Refuse a negative side of tiles (SettingsError)."""
    if tile is not None and tile < 0:
        raise SettingsError(f"tile is {tile}", "a side in pixels, or 0 for whole images")


def check_noise(level: float | None, temperature: float = 1.0) -> None:
    """Refuse a level or temperature that no noise has.

    Raises:
        SettingsError: the level is not from 0 to 1, or the temperature negative or infinite; neither may be NaN.
    """
    if level is not None and not 0 <= level <= 1:
        raise SettingsError(f"the level is {level}", "a standard deviation from 0 to 1, where white is 1")
    if not 0 <= temperature < math.inf:
        raise SettingsError(f"the temperature is {temperature}", "a finite number of at least 0")


def _sampled(engine: Engine, clean: Images, plan: Iterator[list[int]], levels: Callable[[str], float], seed: int,
             tile: int | None, temperature: float, normalize: bool, progress: Progress) -> Iterator[np.ndarray]:
    done: dict[int, np.ndarray] = {}
    following = 0

    def read(chosen: list[int]) -> np.ndarray:
        return np.stack([clean[i] for i in chosen])

    with ThreadPoolExecutor(1, "read") as reader, progress.task("sampling", len(clean)) as task:
        chosen = next(plan, None)
        upcoming = reader.submit(read, chosen) if chosen else None
        while chosen and upcoming:
            images = upcoming.result()
            after = next(plan, None)
            upcoming = reader.submit(read, after) if after else None
            names = [clean.names[i] for i in chosen]
            values = [levels(name) for name in names]
            for value in values:
                check_noise(value)
            out = sample_in_parts(engine, images, names, torch.tensor(values, dtype=torch.float32), seed, tile,
                                  temperature, normalize)
            done.update(zip(chosen, out, strict=True))
            task.advance(len(chosen))
            chosen = after
            while following in done:
                yield done.pop(following)
                following += 1


def sample_in_parts(engine: Engine, images: np.ndarray, names: list[str], levels: Tensor, *how: Any) -> np.ndarray:
    """`sample_batch`, in halves as long as the GPU's memory does not hold the batch.

    Raises:
        MachineError: it does not hold one image.
    """
    try:
        return sample_batch(engine, images, names, levels, *how)
    except torch.cuda.OutOfMemoryError as error:
        if len(names) == 1:
            raise too_large(images.shape[1:3]) from error
    torch.cuda.empty_cache()
    middle = len(names) // 2
    return np.concatenate([sample_in_parts(engine, images[part], names[part], levels[part], *how)
                           for part in (slice(middle), slice(middle, None))])


def too_large(size: tuple[int, ...]) -> MachineError:
    """The error for one image, or a tile of it, that the GPU's memory does not hold."""
    return MachineError(f"CUDA memory does not hold what an image of {size[0]}x{size[1]} pixels takes",
                        "room for one tile", "use a smaller --tile, such as 256, or --device cpu")


def sample_batch(engine: Engine, images: np.ndarray, names: list[str], levels: Tensor, seed: int,
                 tile: int | None = None, temperature: float = 1.0, normalize: bool = False) -> np.ndarray:
    """Noisy images for clean ones of one size, uint8 (B, H, W, 3) to the same."""
    height, width = images.shape[1:3]
    side = automatic_side(engine.network, engine.device.type, height, width) if tile is None else tile
    with torch.inference_mode():
        levels = levels.to(engine.device)
        if side:
            with memory_of_tiles(engine.network):
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
    def run(x: Tensor, size: tuple[int, int], region: Window) -> Tensor:
        return engine.sample(x, [name], level, seed, temperature, size, region)

    out = by_tiles(engine.network, image, side, engine.device, run, rounded=not normalize)
    if not normalize:
        return out
    shift = image.mean((0, 1), dtype=np.float64) / 255 - out.mean((0, 1), dtype=np.float64)
    return to_uint8(torch.from_numpy(out + shift.astype(np.float32)).permute(2, 0, 1)[None])[0]


def by_tiles(network: Network, image: np.ndarray, side: int, device: torch.device,
             run: Callable[[Tensor, tuple[int, int], Window], Tensor], rounded: bool = True) -> np.ndarray:
    """What `run` makes of one image, uint8 (H, W, 3), a tile at a time: the same, or float32 if not `rounded`.

    Args:
        side: of the tiles' cores in pixels; it is rounded up to the network's stride.
        run: from a tile (1, 3, h, w) in [0, 1], the padded image's size and the tile's place in it, to (1, 3, h, w).
    """
    stride = network.stride
    height, width = image.shape[:2]
    whole = np.pad(image, ((0, -height % stride), (0, -width % stride), (0, 0)), mode="edge")
    size = (whole.shape[0], whole.shape[1])
    out: np.ndarray = np.empty(whole.shape, np.uint8 if rounded else np.float32)
    for region, core in tiles(*size, -(-side // stride) * stride, overlap(network)):
        top, left, h, w = region
        y = run(to_float(whole[None, top:top + h, left:left + w], device), size, region)
        kept = y[..., core[0]:core[0] + core[2], core[1]:core[1] + core[3]]
        part = to_uint8(kept)[0] if rounded else kept[0].permute(1, 2, 0).cpu().numpy()
        out[top + core[0]:top + core[0] + core[2], left + core[1]:left + core[1] + core[3]] = part
    return out[:height, :width]


def memory_of_tiles(network: Network) -> AbstractContextManager[None]:
    """How memory is kept while a network runs in tiles."""
    return bounded_memory() if network.settings.nf > NARROW else nullcontext()


def denoise_image(network: SeNMVAE, image: np.ndarray, tile: int | None = None) -> np.ndarray:
    """A clean image for a noisy one, uint8 (H, W, 3) to the same, with the mean of z at every layer.

    Args:
        tile: as for `sample_images`.

    Raises:
        MachineError: the GPU's memory does not hold one image or tile.
    """
    device = next(network.parameters()).device
    height, width = image.shape[:2]
    side = automatic_side(network, device.type, height, width) if tile is None else tile
    try:
        with torch.inference_mode():
            if side:
                with memory_of_tiles(network):
                    return by_tiles(network, image, side, device, lambda y, size, region: denoised(network, y))
            planar = np.ascontiguousarray(image.transpose(2, 0, 1))
            y = padded(torch.from_numpy(planar)[None].to(device).float() / 255, network.stride)
            return to_uint8(denoised(network, y)[..., :height, :width])[0]
    except torch.cuda.OutOfMemoryError as error:
        raise too_large((height, width)) from error


def denoised(network: SeNMVAE, y: Tensor) -> Tensor:
    """(1, 3, H, W) in [0, 1] to the same, unclamped: z is its mean, since its draws are zeros."""
    shapes = network.latent_shapes(*y.shape[2:])

    def zeros(layer: int) -> Tensor:
        return y.new_zeros(1, *shapes[layer], network.settings.nf).permute(0, 3, 1, 2)

    return network.denoise(y, {"z": Lazy(len(shapes), zeros)})


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


def batches(clean: Images, batch: int, pixels: int | None = None) -> Iterator[list[int]]:
    """Indices of images of one size, at most `batch` at a time, looking ahead 8 batches for images of a size.

    Args:
        pixels: how many a batch may have in all, if it is limited; a larger image comes alone.
    """
    waiting: list[int] = []
    upcoming = iter(range(len(clean)))
    while True:
        while len(waiting) < 8 * batch and (i := next(upcoming, None)) is not None:
            waiting.append(i)
        if not waiting:
            return
        size = clean.size(waiting[0])
        most = batch if pixels is None else min(batch, max(1, pixels // (size[0] * size[1])))
        chosen = [i for i in waiting if clean.size(i) == size][:most]
        waiting = [i for i in waiting if i not in chosen]
        yield chosen

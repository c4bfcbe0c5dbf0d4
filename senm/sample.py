"""The sampler: noisy images from clean ones, in batches, with noise that depends on seed, image name and layer only."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from senm.data.pool import Images
from senm.errors import SettingsError
from senm.level import keep_mean
from senm.model import Noise
from senm.noise import Network, image_noise
from senm.paired import PairedVAE
from senm.progress import NullProgress, Progress

PRECISIONS = ("float32", "tf32", "bf16")
BATCH = {"cpu": 4, "cuda": 32}
"""Images a batch where the caller does not say."""


def padded(image: Tensor, stride: int) -> Tensor:
    """(B, C, H, W) with the last row and column repeated until both sides are multiples of `stride`."""
    height, width = image.shape[2:]
    if height % stride == 0 and width % stride == 0:
        return image
    return F.pad(image, (0, -width % stride, 0, -height % stride), mode="replicate")


def generate(model: Network, x: Tensor, levels: Tensor, noise: Noise, temperature: float = 1.0) -> Tensor:
    """One batch through either network: (B, 3, H, W) in [0, 1] to the same shape, not clamped."""
    if isinstance(model, PairedVAE):
        return model.generate(x, levels, noise={"zn": [temperature * eps for eps in noise["zn"]]})
    return model.translate(x, levels, temperature, noise)


def to_uint8(images: Tensor) -> np.ndarray:
    """(B, 3, H, W) -> uint8 (B, H, W, 3): clamped to [0, 1], rounded half to even."""
    return (images.float().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


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

    Args:
        model: either network; its weights are copied to `device`.
        levels: degradation level of an image by name, a standard deviation in [0, 1] units.
        seed: with an image's name it decides the image's noise.
        batch: images at once; it changes speed and memory only.
        temperature: factor on the drawn degradation latent.
        normalize: keep each channel's mean of the clean image.

    Raises:
        SettingsError: an unknown precision.
    """
    if precision not in PRECISIONS:
        raise SettingsError(f"unknown precision {precision!r}", "one of " + ", ".join(PRECISIONS))
    device = torch.device(device)
    network = copy.deepcopy(model).to(device, torch.float32).eval()
    done: dict[int, np.ndarray] = {}
    following = 0
    with (progress or NullProgress()).task("sampling", len(clean)) as task:
        for chosen in batches(clean, batch or BATCH.get(device.type, 4)):
            images = np.stack([clean[i] for i in chosen])
            height, width = images.shape[1:3]
            names = [clean.names[i] for i in chosen]
            with torch.inference_mode():
                x = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
                x = padded(x, network.stride)
                noise = image_noise(network, names, (x.shape[2], x.shape[3]), seed, device)
                y = generate(network, x, torch.tensor([levels(n) for n in names], device=device), noise, temperature)
                x, y = x[..., :height, :width], y[..., :height, :width]
                out = to_uint8(keep_mean(y, x) if normalize else y)
            done.update(zip(chosen, out, strict=True))
            task.advance(len(chosen))
            while following in done:
                yield done.pop(following)
                following += 1

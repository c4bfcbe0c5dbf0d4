"""The Python interface: fit, load, sample and denoise in a notebook or a script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from senm.config import SHORT, NoiseModelSettings, PairedModelSettings
from senm.data.domains import Domains
from senm.data.folder import find_pairs
from senm.data.images import list_images
from senm.data.pool import ArrayImages, FileImages, Images, Pairs, RaggedImages, empty_images
from senm.errors import DataError
from senm.progress import NullProgress, Progress
from senm.trained import Trained

Picture = np.ndarray | torch.Tensor
Many = Picture | Sequence[Picture] | Images


def load(folder: str | Path, device: str = "cpu") -> Trained:
    """A trained noise model from its folder.

    Raises:
        CheckpointError: missing, broken or of another layout.
        MachineError: the device is not there.
    """
    return Trained.load(folder, device)


def images_in(folder: str | Path) -> Images:
    """The images of a folder, by the stems of their files, read when they are used.

    Raises:
        DataError: the folder is missing or empty.
    """
    return FileImages(list_images(folder))


def pairs_in(folder: str | Path, noisy: str = "", clean: str = "") -> Pairs:
    """The pairs of a folder: by suffix, such as ``_real`` and ``_mean``, or in subfolders such as noisy/ and clean/.

    Raises:
        DataError: the folder is missing or empty, an image has no partner, or one of another size.
    """
    found = find_pairs(Path(folder), *((noisy, clean) if noisy or clean else ()))
    names = [pair.name for pair in found]
    return Pairs(FileImages([pair.clean for pair in found], names), FileImages([pair.noisy for pair in found], names))


def fit(
    pairs: tuple[Many, Many] | Pairs,
    clean: Many | None = None,
    noisy: Many | None = None,
    *,
    settings: NoiseModelSettings | PairedModelSettings = SHORT.but(level="measured"),
    seed: int = 0,
    device: str = "cpu",
    workdir: str | Path = "senm-training",
    progress: Progress | None = None,
) -> Trained:
    """Train a noise model on (clean, noisy) pairs and, if there are any, unpaired clean and unpaired noisy images.

    Args:
        pairs: two equally long sets of images.
        clean, noisy: unpaired images (source and target domain).
        workdir: where the training state is kept; the same call resumes from it.

    Raises:
        DataError: no data, or pairs of different length or size.
        TrainingError: the training cannot go on.
    """
    if not isinstance(pairs, Pairs):
        pairs = Pairs(pool(pairs[0]), pool(pairs[1]))
    domains = Domains(pairs, empty_images() if clean is None else pool(clean),
                      empty_images() if noisy is None else pool(noisy))
    return Trained.fit(domains, settings, seed=seed, device=device, workdir=Path(workdir), progress=progress)


def sample(model: Trained, images: Many, seed: int = 0, *, level: float | None = None, device: str = "cpu",
           **options: Any) -> Any:
    """Noisy versions of clean images, in the form they came in.

    Args:
        images: one image or several. Arrays are uint8 (H, W, 3) or (N, H, W, 3), tensors float (3, H, W) or
            (N, 3, H, W) in [0, 1]; lists may mix sizes. Any size will do.
        seed: with an image's place (or its name in an `Images` pool) it decides the noise.
        level: one level for all, a standard deviation in [0, 1] units; None draws from the model's level source.
        options: of `senm.sample.sample_images` (batch, tile, temperature, precision, compile).

    Returns:
        One image for one image, else a list (for an array or tensor of several: the same kind again).

    Raises:
        DataError: an image of another type or shape.

    >>> import numpy as np, senm
    >>> from senm.config import SMOKE
    >>> model = senm.api.Trained(senm.SeNMVAE(SMOKE.network), SMOKE, levels=[0.05])
    >>> senm.sample(model, np.zeros((20, 30, 3), np.uint8)).shape
    (20, 30, 3)
    """
    return in_form(images, list(model.sample(pool(images), seed=seed, level=level, device=device, **options)))


def denoise(model: Trained, images: Many) -> Any:
    """Clean versions of noisy images by the semi-supervised model's own inference, in the form they came in.

    Raises:
        DataError: an image of another type or shape, or a model that cannot denoise.
    """
    return in_form(images, list(denoised(model, pool(images), NullProgress())))


def denoised(model: Trained, noisy: Images, progress: Progress) -> Any:
    """Denoised uint8 (H, W, 3) images in the order of `noisy`: the mean of z at every layer, no draw."""
    from senm.model import SeNMVAE
    from senm.sample import padded, to_uint8

    network = model.network
    if not isinstance(network, SeNMVAE):
        raise DataError("the fully paired network cannot denoise", "a semi-supervised model")
    like = next(network.parameters())
    with progress.task("denoising", len(noisy)) as task:
        for image in noisy:
            with torch.inference_mode():
                y = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].to(like.device).float() / 255
                y = padded(y, network.stride)
                noise = network.draw_noise(1, y.shape[2], y.shape[3], latents=("z",))
                mean = {"z": [torch.zeros_like(layer) for layer in noise["z"]]}
                height, width = image.shape[:2]
                result = to_uint8(network.denoise(y, mean)[..., :height, :width])[0]
            task.advance()
            yield result


def pool(images: Many) -> Images:
    """Images in any accepted form as a pool with names.

    Raises:
        DataError: another type or shape.
    """
    if isinstance(images, Images):
        return images
    single = isinstance(images, np.ndarray | torch.Tensor) and images.ndim == 3
    listed = [as_uint8(image) for image in ([images] if single else images)]
    names = [f"{i:06d}" for i in range(len(listed))]
    if len({image.shape for image in listed}) == 1:
        return ArrayImages(np.stack(listed), names)
    flat = np.concatenate([image.reshape(-1) for image in listed]) if listed else np.zeros(0, np.uint8)
    return RaggedImages(flat, np.array([image.shape[:2] for image in listed]), names)


def as_uint8(image: Any) -> np.ndarray:
    """One image as uint8 (H, W, 3)."""
    if isinstance(image, torch.Tensor) and image.ndim == 3 and image.shape[0] == 3 and image.is_floating_point():
        return (image.detach().cpu().float().clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8:
        return image
    found = f"{getattr(image, 'dtype', type(image).__name__)} of shape {tuple(getattr(image, 'shape', ()))}"
    raise DataError(f"an image is {found}", "a uint8 (H, W, 3) array or a float (3, H, W) tensor in [0, 1]")


def in_form(images: Many, made: list[np.ndarray]) -> Any:
    """Results in the form that the images came in."""
    if isinstance(images, np.ndarray):
        return made[0] if images.ndim == 3 else np.stack(made)
    if isinstance(images, torch.Tensor):
        planar = [torch.from_numpy(image).permute(2, 0, 1).float() / 255 for image in made]
        return planar[0] if images.ndim == 3 else torch.stack(planar)
    return made

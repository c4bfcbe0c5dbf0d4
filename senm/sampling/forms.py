"""The one door for images given in Python: arrays, tensors, Pillow images and lists in, the same form out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from senm.data.pool import ArrayImages, Images, RaggedImages
from senm.support.errors import DataError, UsageError

if TYPE_CHECKING:
    pass


Many = Any
"""One image, several as an array, a tensor or a list, or a pool of named ones."""
SLACK = 0.1
"""How far a float image may leave [0, 1], as the output of a network does, before its range is another one."""
EXPECTED = "a uint8 (H, W, 3) array, a float (3, H, W) tensor in [0, 1], or an RGB Pillow image"


def pool(images: Many, names: str | Sequence[str] | None = None) -> Images:
    """Images in any accepted form as a pool with names, which are what an image's noise is drawn by.

    Args:
        names: one a picture; None numbers them.

    Raises:
        DataError: another type or shape, a value that is not finite, or values of another range.
        UsageError: names for a pool that has its own, not one a picture, or one twice.
    """
    if isinstance(images, Images):
        if names is not None:
            raise UsageError("names for a pool of named images", "names beside arrays or tensors", "leave names out")
        return images
    single = is_single(images)
    listed = [as_uint8(image) for image in ([images] if single else images)]
    given = [f"{i:06d}" for i in range(len(listed))] if names is None else [names] if isinstance(names, str) else [
        str(name) for name in names]
    if len(given) != len(listed) or len(set(given)) != len(given):
        raise UsageError(f"{len(given)} names, {len(set(given))} of them different, for {len(listed)} images",
                         "one name an image")
    if len({image.shape for image in listed}) == 1:
        return ArrayImages(np.stack(listed), given)
    flat = np.concatenate([image.reshape(-1) for image in listed]) if listed else np.zeros(0, np.uint8)
    return RaggedImages(flat, np.array([image.shape[:2] for image in listed]), given)


def is_single(images: Many) -> bool:
    """Whether this is one picture and not several."""
    return (isinstance(images, np.ndarray | torch.Tensor) and images.ndim == 3) or is_pillow(images)


def is_pillow(image: Any) -> bool:
    """Whether this is an image of Pillow, without importing it where nobody has."""
    return hasattr(image, "getexif") and hasattr(image, "mode")


def as_uint8(image: Any) -> np.ndarray:
    """One image as uint8 (H, W, 3). A Pillow image is turned as its EXIF orientation says.

    Raises:
        DataError: another type or shape, a value that is not finite, or values of another range.
    """
    if is_pillow(image):
        from PIL import ImageOps

        if image.mode != "RGB":
            raise DataError(f"an image of colour mode {image.mode}", EXPECTED, "convert it yourself, with .convert()")
        return np.array(ImageOps.exif_transpose(image), dtype=np.uint8)
    shape = tuple(getattr(image, "shape", ()))
    planes = len(shape) == 3 and 0 not in shape
    if planes and isinstance(image, torch.Tensor) and shape[0] == 3 and image.is_floating_point():
        levels = (in_range(image.detach().cpu()).float().clamp(0, 1) * 255).round()
        return levels.to(torch.uint8).permute(1, 2, 0).numpy()
    if planes and isinstance(image, np.ndarray) and shape[2] == 3 and image.dtype == np.uint8:
        return image
    found = f"{getattr(image, 'dtype', type(image).__name__)} of shape {shape}"
    raise DataError(f"an image is {found}", EXPECTED)


def in_range(image: torch.Tensor) -> torch.Tensor:
    """A float image itself.

    Raises:
        DataError: it holds a value that is not finite, or its range is not [0, 1].
    """
    if not bool(image.isfinite().all()):
        count = int((~image.isfinite()).sum())
        raise DataError(f"an image holds {count} values that are not finite", EXPECTED, "look where they come from")
    low, high = float(image.min()), float(image.max())
    if low < -SLACK or high > 1 + SLACK:
        how = "divide it by 255" if high > 2 else "map it to [0, 1], as in (image + 1) / 2"
        raise DataError(f"an image has values from {low:.3g} to {high:.3g}", EXPECTED, how)
    return image


def in_form(images: Many, made: list[np.ndarray]) -> Any:
    """Results in the form that the images came in; tensors are float32 on the CPU."""
    if isinstance(images, np.ndarray):
        return made[0] if images.ndim == 3 else np.stack(made) if made else images[:0].copy()
    if isinstance(images, torch.Tensor):
        planar = [torch.from_numpy(image).permute(2, 0, 1).float() / 255 for image in made]
        return planar[0] if images.ndim == 3 else torch.stack(planar) if planar else torch.zeros(images.shape)
    if is_pillow(images) or (isinstance(images, list | tuple) and images and all(map(is_pillow, images))):
        import PIL.Image

        pictures = [PIL.Image.fromarray(image) for image in made]
        return pictures[0] if is_pillow(images) else pictures
    return made

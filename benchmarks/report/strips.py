"""Image strips as in figures 4 to 6: panels of one photograph, crops chosen by rule, residuals amplified.

A strip is stored as one .npz file, so that the names of systems and photographs never become file names.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from senm.support.errors import DataError
from senm.support.files import write_atomically

Kind = Literal["noise", "restoration"]
UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError, zipfile.BadZipFile, zlib.error)
AMPLIFICATIONS = (1, 2, 4, 8, 16)


class Box(NamedTuple):
    """A square crop: `top` and `left` in pixels of the clean image, `size` its side."""

    top: int
    left: int
    size: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The crop of an image; smaller where the image ends."""
        return image[self.top : self.top + self.size, self.left : self.left + self.size]


@dataclass(frozen=True)
class Strip:
    """Panels of one photograph in reading order, uint8 (H, W, 3) RGB, all of one size.

    A noise strip holds "clean", "noisy" (the real one) and one panel for each generator; a restoration strip
    "noisy", one panel for each restorer, and "clean", which photographs without a partner lack. `title` says where
    the strip comes from.
    """

    kind: Kind
    image: str
    panels: Mapping[str, np.ndarray] = field(repr=False)
    title: str = ""

    def __post_init__(self) -> None:
        shapes = {label: panel.shape for label, panel in self.panels.items()}
        _check_panels(self.kind, self.image, self.panels)
        one = next(iter(shapes.values()))
        if len(set(shapes.values())) != 1 or len(one) != 3 or one[2] != 3:
            raise DataError(f"the panels of the strip of {self.image!r} have shapes {shapes}", "one shape (H, W, 3)")

    @property
    def clean(self) -> np.ndarray:
        """The reference panel."""
        return self.panels["clean"]

    @property
    def judged(self) -> bool:
        """Whether there is a reference panel."""
        return "clean" in self.panels

    @property
    def shown(self) -> np.ndarray:
        """The panel that crops are chosen on: the reference, or the input of a photograph that has none."""
        return self.panels["clean" if self.judged else "noisy"]


def _check_panels(kind: Kind, image: str, panels: Mapping[str, np.ndarray]) -> None:
    needed = "clean" if kind == "noise" or "noisy" not in panels else "noisy"
    if needed not in panels:
        raise DataError(f"the strip of {image!r} has no panel {needed!r}", "panels 'clean', 'noisy' and others")


def crop_size(clean: np.ndarray) -> int:
    """Side of the zoomed crop: 64 pixels, or half the shorter side of a small image."""
    return max(1, min(64, int(min(clean.shape[:2])) // 2))


def _patches(clean: np.ndarray) -> list[tuple[Box, float, float]]:
    """(box, mean, variance) of the grey level over a grid of half-overlapping patches, in raster order."""
    grey = clean.astype(np.float64).mean(axis=2)
    size = crop_size(clean)
    stride = max(1, size // 2)
    boxes = [
        Box(top, left, size)
        for top in range(0, grey.shape[0] - size + 1, stride)
        for left in range(0, grey.shape[1] - size + 1, stride)
    ]
    return [(box, float(box.cut(grey).mean()), float(box.cut(grey).var())) for box in boxes]


def detail_crop(clean: np.ndarray) -> Box:
    """The patch with the highest grey-level variance of the clean image; the first in raster order on a tie."""
    return max(_patches(clean), key=lambda patch: patch[2])[0]


def flat_crop(clean: np.ndarray) -> Box:
    """The patch with the lowest variance among those of middle brightness (mean 40 to 215), where noise shows best."""
    patches = _patches(clean)
    middle = [patch for patch in patches if 40 <= patch[1] <= 215]
    return min(middle or patches, key=lambda patch: patch[2])[0]


def amplification(residuals: list[np.ndarray]) -> int:
    """The largest of 1, 2, 4, 8, 16 that keeps 99 % of the values of the median residual within the 8-bit range.

    The median, so that one system that went wrong does not make the others' residuals invisible.
    """
    reach = float(np.median([np.percentile(np.abs(r), 99) for r in residuals])) if residuals else 0.0
    return max((factor for factor in AMPLIFICATIONS if factor * reach <= 127), default=1)


def residual_image(image: np.ndarray, clean: np.ndarray, factor: int) -> np.ndarray:
    """The difference image - clean, times `factor`, around mid grey (128); uint8 (H, W, 3)."""
    difference = image.astype(np.int32) - clean.astype(np.int32)
    return np.clip(128 + factor * difference, 0, 255).astype(np.uint8)


def save_strip(
    folder: str | Path, kind: Kind, image: str, panels: Mapping[str, np.ndarray], limit: int = 384
) -> tuple[str, str]:
    """Write one strip into `folder` and return (key, file name) for `TableResult.images`.

    Args:
        folder: an existing or new folder, usually `images/` of a run.
        kind: "noise" or "restoration".
        image: name of the photograph; any text.
        panels: see `Strip`. A panel that is an integer factor smaller than the largest one (the input of
            super-resolution) is enlarged by repeating pixels.
        limit: larger photographs are cut to a window of this side around the crop with most detail.

    Raises:
        DataError: "clean" is missing from noise, both "clean" and "noisy" from a restoration, or sizes do not fit.
    """
    _check_panels(kind, image, panels)
    largest = max(panels.values(), key=lambda panel: panel.size) if "clean" not in panels else panels["clean"]
    grown = {label: _grow(panel, largest.shape) for label, panel in panels.items()}
    strip = Strip(kind, image, grown)
    window = _window(strip.shown, limit)
    name = f"{kind}-{hashlib.sha256(image.encode()).hexdigest()[:12]}.npz"
    arrays = {f"panel_{i}": window.cut(panel) for i, panel in enumerate(strip.panels.values())}
    header = json.dumps({"kind": kind, "image": image, "labels": list(strip.panels)})

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, header=np.array(header), **arrays)  # type: ignore[arg-type]

    write_atomically(Path(folder) / name, write)
    return f"{kind}/{image}", name


def load_strip(path: str | Path, title: str = "") -> Strip:
    """Read a strip written by `save_strip`. Raises DataError where the file is missing or not a strip."""
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            panels = {label: file[f"panel_{i}"] for i, label in enumerate(header["labels"])}
    except UNREADABLE as error:
        raise DataError(f"{Path(path).name} is not a readable strip ({error})", "a file of save_strip") from error
    return Strip(header["kind"], header["image"], panels, title)


def encode(image: np.ndarray, form: str = "png") -> str:
    """An image as a data URI, so that the page needs no file beside it; `form` is "png" (exact) or "jpeg"."""
    import base64

    from PIL import Image

    buffer = io.BytesIO()
    options = {"quality": 85} if form == "jpeg" else {"optimize": True}
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, form, **options)
    return f"data:image/{form};base64," + base64.b64encode(buffer.getvalue()).decode()


def _grow(panel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    factor = shape[0] // panel.shape[0] if panel.shape[0] else 0
    if factor > 1 and (panel.shape[0] * factor, panel.shape[1] * factor) == tuple(shape[:2]):
        return panel.repeat(factor, axis=0).repeat(factor, axis=1)
    return panel


def _window(clean: np.ndarray, limit: int) -> Box:
    height, width = clean.shape[:2]
    if max(height, width) <= limit:
        return Box(0, 0, max(height, width))
    box = detail_crop(clean)
    top = min(max(0, box.top + box.size // 2 - limit // 2), max(0, height - limit))
    left = min(max(0, box.left + box.size // 2 - limit // 2), max(0, width - limit))
    return Box(top, left, limit)

"""Strips as the page shows them: crops and amplified residuals as data URIs, with the rule that chose them in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.report.strips import Box, Strip, amplification, detail_crop, encode, flat_crop, residual_image

OVERVIEW = 320


@dataclass(frozen=True)
class Panel:
    """One picture: `source` is a data URI, `note` a number under it."""

    label: str
    source: str
    note: str = ""


@dataclass(frozen=True)
class Line:
    """Pictures of one crop, one for each panel of the strip."""

    label: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class PictureStrip:
    """A strip ready for the template. `frames` are (crop, left, top, width, height) in percent of the overview."""

    kind: str
    image: str
    title: str
    overview: str
    shape: tuple[int, int]
    frames: tuple[tuple[str, float, float, float, float], ...]
    lines: tuple[Line, ...]
    factor: int
    columns: int


def picture_strips(strips: Sequence[Strip]) -> tuple[PictureStrip, ...]:
    """Crop, amplify and encode each strip."""
    return tuple(_strip(strip) for strip in strips)


def _strip(strip: Strip) -> PictureStrip:
    crops = {"detail": detail_crop(strip.shown)}
    if strip.kind == "noise":
        crops["flat"] = flat_crop(strip.clean)
    lines = [
        Line(f"{name} crop", tuple(_panel(strip, label, box) for label in strip.panels)) for name, box in crops.items()
    ]
    factor = 1
    if strip.judged:
        factor = _amplification(strip, crops["detail"])
        residuals = [_residual(strip, label, crops["detail"], factor) for label in strip.panels]
        word = "residual" if strip.kind == "noise" else "error"
        lines.append(Line(f"{word} of the detail crop, ×{factor}", tuple(residuals)))
    height, width = strip.shown.shape[:2]
    return PictureStrip(
        kind=strip.kind,
        image=strip.image,
        title=strip.title,
        overview=encode(_small(strip.shown), "jpeg"),
        shape=(width, height),
        frames=tuple(
            (name, 100 * b.left / width, 100 * b.top / height, 100 * b.size / width, 100 * b.size / height)
            for name, b in crops.items()
        ),
        lines=tuple(lines),
        factor=factor,
        columns=len(strip.panels),
    )


def _amplification(strip: Strip, detail: Box) -> int:
    judged = [label for label in strip.panels if label not in ("clean", "noisy")]
    if strip.kind == "noise" and "noisy" in strip.panels:
        judged = ["noisy"]
    clean = strip.clean.astype(np.int32)
    return amplification([detail.cut(strip.panels[label].astype(np.int32) - clean) for label in judged])


def _panel(strip: Strip, label: str, box: Box) -> Panel:
    image = box.cut(strip.panels[label])
    bare = label == "clean" or strip.kind == "noise" or not strip.judged
    note = "" if bare else f"{_psnr(image, box.cut(strip.clean)):.2f} dB"
    return Panel(_name(label, strip.kind), encode(image), note)


def _residual(strip: Strip, label: str, box: Box, factor: int) -> Panel:
    image, clean = box.cut(strip.panels[label]), box.cut(strip.clean)
    spread = float((image.astype(np.float64) - clean.astype(np.float64)).std())
    note = "" if label == "clean" else f"std {spread:.2f}"
    return Panel(_name(label, strip.kind), encode(residual_image(image, clean, factor)), note)


def _name(label: str, kind: str) -> str:
    return "real noisy" if label == "noisy" and kind == "noise" else label


def _small(image: np.ndarray) -> np.ndarray:
    step = max(1, max(image.shape[:2]) // OVERVIEW)
    return image[::step, ::step]


def _psnr(image: np.ndarray, clean: np.ndarray) -> float:
    from benchmarks.metrics import METRICS

    return float(METRICS["psnr_rgb_uint8"](clean, image))

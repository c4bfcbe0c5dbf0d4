"""Impressionism: its pool of flat blocks, injection, files, kernels and released network."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from baselines.super_resolution.esrgan.model import ESRGAN
from baselines.super_resolution.frequency import shrink, truncated
from baselines.super_resolution.impressionism.kernels import centred, cut_off, reduced, squared
from baselines.super_resolution.impressionism.pool import blocks, flat, grey, inject
from senm.training.perceptual import find_weights
from tests.baselines.systems.vectors import Case, stored

POSITIONS = re.compile(r"noise\.positions\.sp(\d+)\.var(\d+)\.mean(\d+)")


def compute(case: Case) -> dict[str, Any]:
    """All arrays of a case."""
    found = {**pool(case), **injected(case), **files(case), **kernels(case)}
    return found | (released(case, case.about["released"]) if "released" in case.about else {})


def pool(case: Case) -> dict[str, Any]:
    """Grey values and the blocks that are kept under several limits."""
    photograph = case.array("noise.image_u8")
    found: dict[str, Any] = {"noise.grey_u8": grey(photograph), "noise.grid48": blocks(photograph, 48)}
    for name in case.names():
        match = POSITIONS.fullmatch(name.removeprefix(case.prefix))
        if match:
            size, variance, mean = (int(value) for value in match.groups())
            found[match[0]] = flat(photograph, size, variance, mean)
    return found


def injected(case: Case) -> dict[str, Any]:
    """Training samples from the stored draws; which image each is of is an input."""
    patches, crop = case.array("inject.pool_u8"), case.about["crop"]
    low, high = (case.array(f"inject.{side}_u8").transpose(0, 2, 3, 1) for side in ("lr", "hr"))
    found: dict[str, Any] = {}
    for sample in range(case.about["samples"]):
        stem = f"inject.sample{sample}"
        row, column, across, down, turned, index, top, left = (int(v) for v in case.array(f"{stem}.draws"))
        which = int(case.array(f"{stem}.index"))

        def cut(images: np.ndarray, scale: int, which: int = which, row: int = row, column: int = column,
                flips: tuple[int, int, int] = (across, down, turned)) -> np.ndarray:
            part = images[which, row * scale : (row + crop) * scale, column * scale : (column + crop) * scale]
            part = part[:, ::-1] if flips[0] else part
            part = part[::-1] if flips[1] else part
            return part.swapaxes(0, 1) if flips[2] else part

        patch = patches[index, top : top + crop, left : left + crop]
        noisy = inject(cut(low, 1).astype(np.float32) / np.float32(255), patch)
        found[f"{stem}.LQ"], found[f"{stem}.GT_u8"] = noisy.transpose(2, 0, 1), cut(high, 4).transpose(2, 0, 1)
    return found


def files(case: Case) -> dict[str, Any]:
    """What the published preparation writes of an image taken as degraded or as clean."""
    high = case.array("prep.image_u8").transpose(1, 2, 0).astype(np.float32) / np.float32(255)
    half = shrink(high, 2)
    half = half[: half.shape[0] // 4 * 4, : half.shape[1] // 4 * 4]
    written = {"source.HR": half, "source.LR": shrink(half, 4), "target.LR": shrink(high, 4)}
    return {f"prep.{name}_u8": truncated(value).transpose(2, 0, 1) for name, value in written.items()}


def kernels(case: Case) -> dict[str, Any]:
    """From an estimated kernel to a reduced image; each stage starts from the stored one before."""
    image, x4 = case.array("kernel.image_u8"), stored(case.system)[f"{case.prefix}kernel.x4"]
    filtered = cut_off(case.array("kernel.raw13"))
    x2 = centred(filtered)
    return {
        "kernel.filtered": filtered, "kernel.x2": x2, "kernel.x4": squared(x2),
        "kernel.applied_u8": reduced(image, x4), "kernel.applied_float": reduced(image.astype(np.float64), x4),
    }


def released(case: Case, about: dict[str, str]) -> dict[str, Any]:
    """The released network, where its file is on this machine."""
    file = find_weights(about["file"]) or Path(os.devnull)
    x = case.tensor("released.x_u8").double() / 255
    if not file.is_file():
        reason = f"{about['file']} of {about['package']} is not in SENM_WEIGHTS"
        case.unmet |= {f"{case.prefix}released.{name}": reason for name in ("y", "weights_check")}
        return {}
    network = ESRGAN.from_published(file).network.double()
    values = torch.cat([p.detach().flatten() for p in network.parameters()])
    with torch.inference_mode():
        y = network(x)
    count = torch.tensor(float(len(values)), dtype=torch.float64)
    return {"released.y": y, "released.weights_check": torch.stack([count, values.sum(), values.square().sum()])}

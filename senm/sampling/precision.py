"""`precision="auto"`: bfloat16 where the chip computes in it and this model's images stay the same, else float32.

The check samples two fixed images in both and compares pixels. It depends on the model and the chip alone, so that the
same command on the same machine gives the same images whatever they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from senm.data.pool import ArrayImages, Images
from senm.support import seeding

AUTO = "auto"
WITHIN, SHARE = 1, 0.999
"""Grey levels by which this share of pixels may differ."""
SIDE = 96
FLAGS = ("amx_bf16", "avx512_bf16", "bf16")
"""Words of /proc/cpuinfo for instructions in bfloat16: Intel's and AMD's, and Arm's."""
AMPERE = 8
"""Compute capability of the first NVIDIA chips with tensor cores for bfloat16."""


@dataclass(frozen=True)
class Choice:
    """A precision of `senm.sampling.engine` and why, as a clause."""

    precision: str
    reason: str

    @property
    def sentence(self) -> str:
        """One line for people."""
        return f"precision: {self.precision}, since {self.reason}"


def choose(sample: Callable[[Images, str], Iterator[np.ndarray]], device: torch.device) -> Choice:
    """Decide for a model on a device.

    Args:
        sample: generates images in a precision; called only where the chip has bfloat16.
    """
    if not computes_bf16(device):
        return Choice("float32", "this chip has no instructions in bfloat16")
    images = probes()
    exact, fast = (np.stack(list(sample(images, precision))).astype(np.int16) for precision in ("float32", "bf16"))
    same = float((np.abs(exact - fast) <= WITHIN).mean())
    words = f"in bfloat16 {100 * same:.2f} % of pixels stay within one grey level"
    if same >= SHARE:
        return Choice("bf16", words)
    return Choice("float32", f"{words}, and {100 * SHARE:.1f} % are asked for")


def computes_bf16(device: torch.device, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether a device has instructions for products in bfloat16, so that they are faster than in float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= AMPERE
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return any(flag in flags for flag in FLAGS)


def probes() -> ArrayImages:
    """Two fixed images: a ramp of all colours and a texture, uint8 (2, 96, 96, 3)."""
    ramp = np.linspace(0, 255, SIDE)
    slopes = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], 127.5 + (ramp[:, None] - ramp[None]) / 2), axis=-1)
    texture = seeding.rng("precision probe").integers(0, 256, (SIDE // 8, SIDE // 8, 3)).repeat(8, 0).repeat(8, 1)
    return ArrayImages(np.stack([np.rint(slopes), texture]).astype(np.uint8), ["ramp", "texture"])

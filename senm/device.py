"""Devices by name, and how the CPU's memory is kept."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

import torch

from senm.errors import MachineError


def torch_device(device: str) -> torch.device:
    """The torch device of this name.

    Raises:
        MachineError: an unknown name, or a GPU on a machine without one.
    """
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise MachineError(f"unknown device {device!r}", "cpu, cuda or cuda:N") from None
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise MachineError(f"device {device!r} is not available", "a CUDA GPU", "use --device cpu")
    return wanted


@cache
def keep_freed_memory() -> bool:
    """Let this process keep up to 1 GiB that it frees for its next tensors; False where that cannot be asked for.

    The C library hands large blocks back to the system at once, which clears each page anew when they are asked for
    again: a quarter of the time of sampling on a CPU. It is told so by glibc's `mallopt`, which other systems lack.
    """
    trim_threshold, mmap_threshold = -1, -3  # malloc.h
    if sys.platform != "linux" or not hasattr(library := ctypes.CDLL(None), "mallopt"):
        return False
    largest = 32 * 2**20  # what older versions accept
    kept = library.mallopt(mmap_threshold, 2**30) or library.mallopt(mmap_threshold, largest)
    return bool(kept and library.mallopt(trim_threshold, 2**30))

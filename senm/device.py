"""Devices by name."""

from __future__ import annotations

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

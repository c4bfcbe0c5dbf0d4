"""Devices by name."""

from __future__ import annotations

import torch

from senm.support.errors import MachineError


def torch_device(device: str) -> torch.device:
    """The torch device of this name.

    Raises:
        MachineError: an unknown name, or a GPU that this machine does not have.
    """
    try:
        wanted = torch.device(device)
    except RuntimeError:
        wanted = None
    if wanted is None or wanted.type not in ("cpu", "cuda"):
        raise MachineError(f"unknown device {device!r}", "cpu, cuda or cuda:N")
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise MachineError(f"device {device!r} is not available", "a CUDA GPU", "use --device cpu")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise MachineError(f"device {device!r} is not available", f"a number below {torch.cuda.device_count()}",
                           "use --device cuda")
    return wanted

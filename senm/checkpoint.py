"""Checkpoints: the authors' published layout in and out, safe reading, and atomic whole-state files.

Noise models are kept in the authors' layout (safetensors), so that a checkpoint outlives changes of this code.
"""

from __future__ import annotations

import pickle
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from senm.config import NetworkSettings, PairedNetworkSettings
from senm.support.errors import CheckpointError
from senm.support.files import write_atomically

NUMBERS: list[Any] = [
    (np.dtype(float).type(0).__reduce__()[0], f"numpy.{place}.multiarray.scalar") for place in ("core", "_core")
] + [(np.dtype, "numpy.dtype"), *(type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd")]
"""NumPy numbers that trainings leave beside their tensors: allowed by name, they run nothing."""
UNREADABLE = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError, KeyError, IndexError, TypeError,
              AttributeError, struct.error, SafetensorError)
"""What torch.load raises on files that are no checkpoint, or half of one."""

# Ours -> the authors', applied in order to each parameter name.
HEAD = [(r"\.mean\.", ".m."), (r"\.log_std\.", ".v.")]
BLOCK = [(r"\.convs\.(\d)\.", lambda m: f".net.conv{int(m[1]) + 1}.")]
SEMI_NAMES: list[tuple[str, Any]] = [
    *BLOCK, *HEAD,
    (r"^encode_([xyn])\.stem\.", lambda m: f"inconv_{'HLN'['xyn'.index(m[1])]}.0."),
    (r"^encode_([xyn])\.layers\.(\d+)\.conv\.", lambda m: f"encs_{'HLN'['xyn'.index(m[1])]}.{m[2]}.down.1."),
    (r"^encode_([xyn])\.layers\.", lambda m: f"encs_{'HLN'['xyn'.index(m[1])]}."),
    (r"^q_zx\.", "Gauconv_z_H."), (r"^q_zy\.", "Gauconv_z_L."),
    (r"^q_zn\.", "Gauconv_zn_q."), (r"^p_zn\.", "Gauconv_zn_p."),
    (r"^project_z\.", "proj_z."), (r"^project_zn\.", "proj_zn."),
    (r"^decode\.(\d+)\.conv\.", r"dec.\1.up.1."), (r"^decode\.", "dec."), (r"^output\.", "outconv."),
]
PAIRED_NAMES: list[tuple[str, Any]] = [
    *BLOCK, *HEAD,
    (r"^stem_x\.", "inconv_L."), (r"^stem_y\.", "inconv_H."),
    (r"^encode_x\.", "encs_L."), (r"^encode_y\.", "encs_H."),
    (r"^q\.", "Gauconv_q."), (r"^p\.", "Gauconv_p."),
    (r"^project_zn\.", "proj_zh."), (r"^project_z\.", "proj_z."),
    (r"^mix\.", "dec_z."), (r"^decode\.", "dec_zh."), (r"^output\.", "outconv."),
]
LEVEL_NAMES: list[tuple[str, Any]] = [
    (r"^convs\.(\d)\.", lambda m: f"net.{2 * int(m[1])}."), (r"^dense\.(\d)\.", lambda m: f"dense.{2 * int(m[1])}."),
]


def rename(name: str, rules: list[tuple[str, Any]]) -> str:
    """A parameter name of ours in the authors' layout."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def read_state_dict(source: str | Path | Mapping[str, Any]) -> dict[str, Tensor]:
    """A flat state dict from a file (safetensors or a pickle read with weights_only) or a mapping.

    Wrappers under "model_weight", "model_state_dict", "denoiser", "state_dict", "params" or "model" are opened;
    "module." is dropped.

    Raises:
        CheckpointError: missing or broken file, or one that holds more than tensors.
    """
    return _flat(dict(source) if isinstance(source, Mapping) else read_tensors(source))


def _flat(state: Any) -> dict[str, Tensor]:
    for wrapper in ("model_weight", "model_state_dict", "denoiser", "state_dict", "params", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError("the checkpoint is not a state dict", "a mapping from parameter names to tensors")
    for name, tensor in state.items():
        if why := unfit(name, tensor):
            raise CheckpointError(f"layer {name!r} of the checkpoint {why}", "finite numbers, whole in the file",
                                  "download it again, or train it again")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def read_tensors(source: str | Path) -> Any:
    """What a safetensors file or a pickle holds, as it is nested there; pickles are read with weights_only.

    Raises:
        CheckpointError: missing or broken file, or one that holds more than tensors, numbers and containers.
    """
    path = Path(source)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}", "a .safetensors, .pth or .pt file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(NUMBERS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be read ({reason})", "a file of tensors only, not truncated",
                              "download it again, or export its state dict as safetensors") from None


def read_part(source: str | Path, *entries: str) -> dict[str, Tensor]:
    """The state dict under these entries of a file, one inside the other; an entry that is not there is passed over.

    Raises:
        CheckpointError: as `read_state_dict`.
    """
    found = read_tensors(source)
    for entry in entries:
        if isinstance(found, Mapping) and isinstance(found.get(entry), Mapping):
            found = found[entry]
    return _flat(found)


def unfit(name: Any, tensor: Tensor) -> str:
    """Why an entry of a state dict is no set of weights, or an empty string."""
    if not isinstance(name, str):
        return "has no name"
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
        return "is sparse, quantised or without numbers"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"claims the shape {tuple(tensor.shape)}, of which the file holds a part"
    if tensor.is_complex():
        return "is complex"
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        return "holds values that are not finite"
    return ""


def load_exactly(model: nn.Module, state: Mapping[str, Tensor], rules: list[tuple[str, Any]], what: str) -> None:
    """Copy a state dict of the authors' layout into a model of ours, with nothing missing and nothing left over.

    Raises:
        CheckpointError: names the first layer that is missing, superfluous or of another shape.
    """
    own = {name: rename(name, rules) for name in model.state_dict()}
    for name, theirs in own.items():
        if theirs not in state:
            raise CheckpointError(f"layer {theirs!r} is missing from the checkpoint of {what}")
        want, got = tuple(model.state_dict()[name].shape), tuple(state[theirs].shape)
        if want != got:
            raise CheckpointError(f"layer {theirs!r} of {what} has shape {got}", f"{want}")
    extra = sorted(set(state) - set(own.values()))
    if extra:
        raise CheckpointError(f"layer {extra[0]!r} of the checkpoint is unknown to {what}")
    dtype = next(iter(state.values())).dtype
    if not dtype.is_floating_point:
        raise CheckpointError(f"the checkpoint of {what} is of type {dtype}", "floating-point numbers")
    model.to(dtype).load_state_dict({name: state[theirs] for name, theirs in own.items()})


def in_authors_layout(model: nn.Module, rules: list[tuple[str, Any]]) -> dict[str, Tensor]:
    """The state dict of a model of ours under the authors' names."""
    return {rename(name, rules): value.detach().contiguous() for name, value in model.state_dict().items()}


def shape_of(state: Mapping[str, Tensor], name: str, what: str) -> tuple[int, ...]:
    """Shape of a parameter from which sizes are inferred."""
    if name not in state:
        raise CheckpointError(f"layer {name!r} is missing from the checkpoint of {what}", f"the layout of {what}")
    if state[name].ndim < 2:
        raise CheckpointError(f"layer {name!r} of {what} has shape {tuple(state[name].shape)}", "weights of a layer")
    return tuple(state[name].shape)


def ladder(state: Mapping[str, Tensor], prefix: str, change: str) -> tuple[int, ...]:
    """Blocks at each resolution, from the names under `prefix`: `change` marks a layer that changes resolution."""
    indices = sorted({int(m[1]) for m in (re.match(rf"{prefix}\.(\d+)\.", name) for name in state) if m})
    counts = [0]
    for i in indices:
        if f"{prefix}.{i}.{change}.weight" in state:
            counts.append(0)
        else:
            counts[-1] += 1
    return tuple(counts)


def semi_sizes(state: Mapping[str, Tensor]) -> NetworkSettings:
    """Sizes of the semi-supervised network whose state dict, in the authors' layout, this is.

    Raises:
        CheckpointError: a layer that shows a size is missing.
    """
    what = "the semi-supervised network"
    return NetworkSettings(
        nf=shape_of(state, "inconv_H.0.weight", what)[0], zn_dim=shape_of(state, "proj_zn.0.weight", what)[1],
        nls=ladder(state, "encs_H", "down.1"), growth=shape_of(state, "encs_H.0.net.conv1.weight", what)[0],
    )


def paired_sizes(state: Mapping[str, Tensor]) -> PairedNetworkSettings:
    """Sizes of the fully paired network whose state dict, in the authors' layout, this is.

    Raises:
        CheckpointError: a layer that shows a size is missing.
    """
    what = "the fully paired network"
    return PairedNetworkSettings(
        nf=shape_of(state, "inconv_H.weight", what)[0], nls=ladder(state, "encs_H", "conv"),
        growth=shape_of(state, "encs_H.0.net.conv1.weight", what)[0],
    )


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Whole training state (tensors and plain values), atomically.

    Raises:
        MachineError: the folder cannot be written, or the disk is full.
    """
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            torch.save(state, file)

    write_atomically(path, write)


def load_state(path: Path) -> dict[str, Any] | None:
    """A whole training state, or None where there is none or it is broken (training then starts over)."""
    if not path.is_file():
        return None
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except UNREADABLE:
        return None

"""Weights of the published parameter tree (a .npz of JAX arrays) in this network's layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from baselines.restorers.maxim.networks import LEVELS
from senm.checkpoint import UNREADABLE
from senm.support.errors import CheckpointError

ROOT = "opt/target/"
"""What the published names begin with."""


def gathered(match: re.Match[str]) -> str:
    """The n-th resizing of the whole network: stage, encoded or decoded, then level and source in their order."""
    stage, place = divmod(int(match[1]), 2 * LEVELS * LEVELS)
    side, place = divmod(place, LEVELS * LEVELS)
    level, source = divmod(place, LEVELS)
    kind = "decoded" if side else "encoded"
    return f"stages.{stage}.gather_{kind}.{LEVELS - 1 - level}.{LEVELS - 1 - source if side else source}"


Rule = tuple[str, str | Callable[[re.Match[str]], str]]
RULES: list[Rule] = [
    (r"^UpSampleRatio_(\d+)/Conv_0", lambda m: f"{gathered(m)}/layer"),
    (r"^stage_(\d+)_encoder_block_(\d)/Conv_1", r"stages.\1.encoders.\2.down"),
    (r"^stage_(\d+)_encoder_block_(\d)/cross_gating_block", r"stages.\1.encoders.\2.gating"),
    (r"^stage_(\d+)_encoder_block_(\d)", r"stages.\1.encoders.\2.body"),
    (r"^stage_(\d+)_decoder_block_(\d)/ConvTranspose_0", r"stages.\1.decoders.\2.up"),
    (r"^stage_(\d+)_decoder_block_(\d)/UNetEncoderBlock_0", r"stages.\1.decoders.\2.body"),
    (r"^stage_(\d+)_global_block_", r"stages.\1.bottlenecks."),
    (r"^stage_(\d+)_input_conv_", r"stages.\1.inputs."),
    (r"^stage_(\d+)_input_fuse_sam_", r"stages.\1.fuse."),
    (r"^stage_(\d+)_cross_gating_block_", r"stages.\1.skips."),
    (r"^stage_(\d+)_(supervised_attention_module|output_conv)_", r"stages.\1.outputs."),
    (r"(body|bottlenecks\.\d)/(Conv_0|input_proj)", r"\1.start"),
    (r"channel_attention_block_1_?(\d)", r"attended.\1"),
    (r"SplitHeadMultiAxisGmlpLayer_", "axes."),
    (r"(outputs\.\d)/Conv_0", r"\1.features"), (r"(outputs\.\d)/Conv_1", r"\1.image"),
    (r"(outputs\.\d)/Conv_2", r"\1.mask"),
    (r"channel_attention/Conv_0", "attention.squeeze"), (r"channel_attention/Conv_1", "attention.excite"),
    (r"channel_mixing/Dense_0", "first"), (r"channel_mixing/Dense_1", "second"),
    (r"/conv1/", "/first/"), (r"/conv2/", "/second/"),
    (r"GridGmlpLayer", "grid"), (r"BlockGmlpLayer", "block"),
    (r"(Grid|Block)GatingUnit/Dense_0", "mixing"), (r"(Grid|Block)GatingUnit/intermediate_layernorm", "gate_norm"),
    (r"SplitHeadMultiAxisGating_([xy])/Dense_0", r"gate_\1.grid"),
    (r"SplitHeadMultiAxisGating_([xy])/Dense_1", r"gate_\1.block"),
    (r"SplitHeadMultiAxisGating_", "gate_"),
    (r"(gating|fuse\.\d|skips\.\d)/Conv_0", r"\1.start_x"), (r"(gating|fuse\.\d|skips\.\d)/Conv_1", r"\1.start_y"),
    (r"ConvTranspose_0", "up"),
    (r"(in|out)_project_([xy])", lambda m: f"{'enter' if m[1] == 'in' else 'leave'}_{m[2]}"),
    (r"in_project", "enter"), (r"out_project", "leave"),
    (r"LayerNorm_([xy])", r"norm_\1"), (r"LayerNorm_in|LayerNorm", "norm"),
    (r"(kernel|scale)$", "weight"),
    (r"/", "."),
]


def ours(path: str) -> str:
    """A published parameter path (joined by ``/``, without `ROOT`) as a name of our state dict.

    >>> ours("stage_0_encoder_block_1/SplitHeadMultiAxisGmlpLayer_0/GridGmlpLayer/GridGatingUnit/Dense_0/kernel")
    'stages.0.encoders.1.body.axes.0.grid.mixing.weight'
    """
    for pattern, replacement in RULES:
        path = re.sub(pattern, replacement, path)
    return path


def turned(name: str, array: np.ndarray) -> Tensor:
    """A published array as PyTorch keeps it, by its name here.

    Kernels are (h, w, in, out), linear ones (in, out). Those that double the resolution are also flipped, since JAX
    does not turn the kernel of a transposed convolution around.
    """
    value = torch.from_numpy(np.array(array))
    if re.search(r"(^|\.)up\.weight$", name):
        return value.permute(2, 3, 0, 1).flip(2, 3).contiguous()
    if value.ndim == 4:
        return value.permute(3, 2, 0, 1).contiguous()
    if value.ndim == 2:
        value = value.T.contiguous()
        return value if name.endswith(("mixing.weight", "grid.weight", "block.weight")) else value[..., None, None]
    return value


def from_tree(tree: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """A state dict of `MaximNetwork` from the arrays of a parameter tree, with or without `ROOT` before their paths."""
    return {
        name: turned(name, array)
        for name, array in ((ours(path.removeprefix(ROOT)), array) for path, array in tree.items())
    }


def read_tree(file: Path) -> dict[str, np.ndarray]:
    """The parameters in a published .npz; what else it holds (the optimiser's state) is left out.

    Raises:
        CheckpointError: missing, broken, or without parameters.
    """
    if not file.is_file():
        raise CheckpointError(f"no checkpoint at {file}", "the published .npz")
    try:
        with np.load(file, allow_pickle=False) as archive:
            tree = {name: archive[name] for name in archive.files if name.startswith(ROOT)}
    except (*UNREADABLE, BadZipFile) as error:
        raise CheckpointError(f"{file} is broken: {error}", "the published .npz") from error
    if not tree:
        raise CheckpointError(f"{file} holds no array whose name begins with {ROOT!r}", "the published .npz")
    return tree


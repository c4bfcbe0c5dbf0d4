"""The training pass made fast: CUDA graphs on a GPU, compiled heads and dense blocks elsewhere."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from senm.blocks import GaussianHead, ResidualDenseBlock
from senm.model import SeNMVAE
from senm.paired import PairedVAE
from senm.training.graphs import GraphedPass


def training_pass(model: SeNMVAE | PairedVAE) -> Callable[..., Any]:
    """A callable with the model's own signature and results; parameters and their names stay the model's.

    On a GPU the semi-supervised pass is replayed from CUDA graphs. Else every head and dense block is compiled in
    place, for any number of rows; where no compiler works, one warning says why and the model runs eagerly.
    """
    device = next(model.parameters()).device
    if device.type == "cuda" and isinstance(model, SeNMVAE):
        return GraphedPass(model)
    inside = {id(block) for head in model.modules() if isinstance(head, GaussianHead) for block in head.modules()}
    parts = [part for part in model.modules() if isinstance(part, GaussianHead)
             or (isinstance(part, ResidualDenseBlock) and id(part) not in inside)]
    blocks = [part for part in parts if isinstance(part, ResidualDenseBlock)]
    reason = compiler_error(blocks[0]) if blocks else "there is nothing to compile"
    if reason:
        warnings.warn(f"training without torch.compile, which does not work here: {reason}", stacklevel=3)
        return model
    for part in parts:
        part.compile(dynamic=True)
    return model


def compiler_error(block: ResidualDenseBlock) -> str:
    """Why a copy of the block cannot be compiled, forward and backward; empty where it can."""
    trial = copy.deepcopy(block)
    weight = next(trial.parameters())
    try:
        trial.compile(dynamic=True)
        trial(torch.ones(2, weight.shape[1], 8, 8, device=weight.device)).sum().backward()
    except RuntimeError as error:
        return str(error).strip().splitlines()[0][:160]
    return ""


@contextmanager
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """The GPU's switches for a training's precision, forward and backward, put back afterwards.

    float32 means float32: torch lets cuDNN round the factors of convolutions to TF32 unless told not to. A CPU has no
    such switch.
    """
    if device.type != "cuda":
        yield
        return
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = precision != "float32"
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before

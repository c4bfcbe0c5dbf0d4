"""MAXIM: images of every stage and level, and each block alone, with weights from the published tree's layout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.restorers.maxim import blocks
from baselines.restorers.maxim.networks import MaximNetwork, reduced
from baselines.restorers.maxim.published import from_tree
from tests.baselines.systems.supervised import fingerprint
from tests.baselines.systems.vectors import SINGLE, Case, base, layouts

TOLERANCES = {"all_fp": SINGLE}
"""Fingerprints of a float32 run, kept in float64."""


def tree(layout: Mapping[str, list[int]], gain: float) -> dict[str, np.ndarray]:
    """The weight rule of the page for a whole layout."""
    return {path: rule(path, tuple(shape), gain) for path, shape in layout.items()}


def rule(path: str, shape: tuple[int, ...], gain: float) -> np.ndarray:
    draw = base(path, shape).astype(np.float32)
    if len(shape) >= 2:
        return (draw * np.float32(gain / math.sqrt(math.prod(shape[:-1])))).astype(np.float64)
    if path.endswith("scale"):
        return (np.float32(1) + np.float32(0.1) * draw).astype(np.float64)
    return (np.float32(0.01) * draw).astype(np.float64)


def compute(case: Case) -> dict[str, Any]:
    about = case.about
    if case.name == "part_a":
        return parts(case)
    network = MaximNetwork(**about["network"]).double()
    network.load_state_dict(from_tree(tree(layouts("maxim")[about["layout"]], about["gain"])))
    noisy = case.tensor("noisy")
    if about.get("single"):
        network, noisy = network.float(), noisy.float()
    with torch.no_grad():
        images = [stage[::-1] for stage in network.all_images(noisy)]
    if about.get("single"):
        marks = [[fingerprint(image.movedim(1, -1)) for image in stage] for stage in images]
        return {"final": images[-1][-1], "all_fp": np.array(marks)}
    return {f"out.{s}.{k}": image for s, stage in enumerate(images) for k, image in enumerate(stage)}


def part(name: str, case: Case) -> nn.Module:
    """A block of the sizes that its inputs have."""
    size = case.about["size"]
    width = case.array(f"{name}.in0").shape[-1]
    if name == "MultiAxis":
        return blocks.MultiAxis(width, size)
    if name == "CrossGating_up":
        return blocks.CrossGating(width, case.array(f"{name}.in1").shape[-1], width, size, up=True)
    if name in ("RCAB", "RDCAB"):
        return blocks.Attended(width, linear=name == "RDCAB")
    if name == "SAM":
        return blocks.SupervisedAttention(width)
    if name == "ConvT_up":
        return blocks.doubling(width, 3)
    if name == "Conv_down":
        return blocks.conv(width, 3, 4, stride=2)
    return blocks.Resized(width, 3, case.about["steps"][name.removeprefix("UpSampleRatio_")])


def parts(case: Case) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in sorted({each.removeprefix(case.prefix).split(".")[0] for each in case.names()}):
        inputs = [case.tensor(f"{name}.in{i}").movedim(-1, 1) for i in range(2) if case.has(f"{name}.in{i}")]
        if name in case.about["levels"]:
            outputs: Any = reduced(inputs[0], case.about["levels"][name])
        else:
            theirs, mine = case.about["under"][name.split("_")[0]]
            made = tree(layouts("maxim")[f"part {name}"], case.about["gain"])
            state = from_tree({theirs + path: value for path, value in made.items()})
            block = part(name, case).double()
            block.load_state_dict({key.removeprefix(mine): value for key, value in state.items()})
            with torch.no_grad():
                outputs = block(*inputs)
        outputs = [outputs] if isinstance(outputs, Tensor) else outputs
        found |= {f"{name}.out{i}": each.movedim(1, -1) for i, each in enumerate(outputs)}
    return found

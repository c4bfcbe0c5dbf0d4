"""Restormer: output, three steps of the training itself on the stored mixed batch, rates and phases."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.fitting.mixup import blended
from baselines.restorers.restormer.networks import RestormerNetwork
from baselines.restorers.restormer.training import Progressive, RestormerTraining, phase, rate
from tests.baselines.systems.supervised import fingerprints, gradients, single_weight
from tests.baselines.systems.vectors import Case, fill

PAPER = RestormerTraining()


def rule(name: str, shape: tuple[int, ...], gain: float) -> np.ndarray:
    """The weight rule of the page: norms around 1."""
    value = single_weight(name, shape, gain, 0.1)
    return (np.float32(1) + value.astype(np.float32)).astype(np.float64) if len(shape) == 1 else value


def compute(case: Case) -> dict[str, Any]:
    if case.name == "rates":
        return {"value": np.array([rate(PAPER, int(step) - 1) for step in case.array("iteration")])}
    if case.name == "phases":
        name = "iteration_patch_batchpergpu"
        return {name: np.array([(step, *phase(PAPER, int(step) - 1)) for step in case.array(name)[:, 0]])}
    network = fill(RestormerNetwork(**case.about["network"]), lambda name, shape: rule(name, shape, case.about["gain"]))
    noisy = case.tensor("noisy")
    if case.about.get("single"):
        network, noisy = network.float(), noisy.float()
    with torch.no_grad():
        found = {"output": network(noisy)}
    if case.has("clean"):
        share, partner = float(case.array("mixup_lambda")), case.array("mixup_index")
        batch = blended(noisy, share, partner), blended(case.tensor("clean"), share, partner)
        found |= trained(network, batch, case.about["steps"])
        with torch.no_grad():
            found["output_after"] = network(noisy)
    return found


def trained(network: nn.Module, batch: tuple[Tensor, Tensor], steps: int) -> dict[str, Any]:
    """Steps of the paper's training on one batch, which its own sampling leaves as it is."""
    rows, first = [], np.zeros(0)
    run = Stored(network, batch)
    for number in range(steps):
        logged = run.step(number)
        rows.append((logged["loss"], logged["gradient norm"]))
        first = first if number else run.first
    return {"train_rows": np.array(rows), "grad_fp": first, "param_fp": fingerprints(network.parameters())}


class Stored(Progressive):
    """The training with a stored batch; `first` are the gradients before they are clipped."""

    def __init__(self, network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        sampler: Any = SimpleNamespace(seed=0)
        super().__init__(network, sampler, PAPER, "cpu")
        self.stored, self.first = batch, np.zeros(0)

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        return self.stored

    def clipped(self) -> dict[str, float]:
        if not self.first.size:
            self.first = gradients(self.network)
        return super().clipped()

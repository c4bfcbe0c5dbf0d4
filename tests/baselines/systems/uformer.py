"""Uformer: output, rates, mixing, and three steps of the training itself with the stored draws."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.restorers.uformer.model import Uformer
from baselines.restorers.uformer.networks import stochastic, uformer
from baselines.restorers.uformer.training import Mixing, epoch_rate, mixed
from tests.baselines.systems.supervised import fingerprints, gradients, single_weight
from tests.baselines.systems.vectors import Case, fill

THIRD = (..., slice(None, None, 3), slice(None, None, 3))


def compute(case: Case) -> dict[str, Any]:
    if case.name == "rates":
        return rates(case)
    if case.name == "drop path":
        return {name: drop_path_rates(case.about[name]) for name in ("full", "small")}
    about = case.about
    network = uformer(**about["network"])
    fill(network, lambda name, shape: rule(name, shape, about["gain"]))
    if about.get("single"):
        network = network.float()
    kind = next(network.parameters()).dtype
    noisy = (case.tensor("noisy").double() / 255).to(kind)
    network.eval()
    with torch.no_grad():
        output = network(noisy)
    found: dict[str, Any] = {"residual_every3": (output - noisy)[THIRD]}
    if not case.has("train_loss"):
        return found
    clean = case.tensor("clean").double() / 255
    share, partner = case.array("mixup_lambda"), case.array("mixup_index")
    batch = mixed(noisy, share, partner), mixed(clean, share, partner)
    found |= {"output_fp": fingerprints([output]), "mixed_fp": fingerprints(batch)}
    found |= trained(case, network, batch)
    network.eval()
    with torch.no_grad():
        found["residual_after_every3"] = (network(noisy) - noisy)[THIRD]
    return found


def trained(case: Case, network: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Any]:
    """Steps on the mixed batch with the stored branches kept."""
    settings = Uformer.default_settings("paper").training.but(
        batch=len(batch[0]), lr=case.about["lr"], weight_decay=case.about["weight_decay"], schedule="constant", warmup=0,
        mixup=0.0,
    )
    sampler: Any = SimpleNamespace(batch=lambda number: batch, seed=0)
    run = Mixing(network, sampler, settings, "cpu")
    losses, first = [], np.zeros(0)
    for number, kept in enumerate(case.array("droppath_keep")):
        rows = iter(kept)
        for place in stochastic(network):
            place.kept = lambda images, rows=rows: torch.from_numpy(next(rows)).double()  # type: ignore[method-assign]
        losses.append(run.step(number)["loss"])
        first = first if number else gradients(network)
    return {"train_loss": np.array(losses), "grad_fp": first, "param_fp": fingerprints(network.parameters())}


def rule(name: str, shape: tuple[int, ...], gain: float) -> np.ndarray | None:
    """The weight rule of the page: norms around 1, the table of positions left alone."""
    if name.endswith("relative_position_index"):
        return None
    if len(shape) == 1 and name.endswith(("norm1.weight", "norm2.weight")):
        return np.float32(1) + single_weight(name, shape, gain, 0.1).astype(np.float32)
    return single_weight(name, shape, gain)


def rates(case: Case) -> dict[str, Any]:
    paper = Uformer.default_settings("paper").training
    about = case.about
    paper = paper.but(steps=about["epochs"] * paper.epoch, warmup=about["warm"] * paper.epoch)
    epochs = range(1, about["epochs"] + 1)
    return {
        suffix: np.array([epoch_rate(paper.but(recent_torch=recent), epoch) for epoch in epochs])
        for suffix, recent in (("", False), (about["recent"], True))
    }


def drop_path_rates(network: dict[str, Any]) -> np.ndarray:
    """The rate of every block, 0 where nothing is left out."""
    blocks = [module for module in uformer(**network).modules() if hasattr(module, "drop_path")]
    return np.array([getattr(block.drop_path, "rate", 0.0) for block in blocks])

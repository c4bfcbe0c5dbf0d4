"""DeamNet: output, features and gates, and three steps of the training itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from baselines.restorers.deamnet.model import DeamNet, Halved
from baselines.restorers.deamnet.networks import DeamNetwork
from tests.baselines.systems.supervised import fingerprints, gradients, single_weight
from tests.baselines.systems.vectors import Case, fill


def compute(case: Case) -> dict[str, Any]:
    about = case.about
    network = DeamNetwork()
    fill(network, lambda name, shape: single_weight(name, shape, about["gain"]))
    noisy = case.tensor("noisy")
    if about.get("single"):
        network, noisy = network.float(), noisy.float()
    with torch.no_grad():
        features, deltas, last = network.stages(noisy)
        found: dict[str, Any] = {"output": network.inverse_transform_function(last)}
    if not case.has("train_loss"):
        return found
    found |= {"features_fp": fingerprints([features]), "gate1_fp": fingerprints(deltas[:1]),
              "gate4_fp": fingerprints(deltas[-1:])}
    clean = case.tensor("clean")
    settings = DeamNet.default_settings("paper").training.but(batch=len(noisy), lr=about["lr"])
    sampler: Any = SimpleNamespace(batch=lambda number: (noisy, clean), seed=0)
    run = Halved(network, sampler, settings, "cpu")
    losses = [run.step(0)["loss"]]
    found["grad_fp"] = gradients(network)
    losses += [run.step(number)["loss"] for number in range(1, len(case.array("train_loss")))]
    found["train_loss"] = np.array(losses)
    with torch.no_grad():
        found |= {"param_fp": fingerprints(network.parameters()), "output_after": network(noisy)}
    return found

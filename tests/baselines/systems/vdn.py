"""VDN: both networks, the bound with its gradients, and three steps of the training itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.restorers.vdn.losses import negative_bound, variance_map
from baselines.restorers.vdn.model import VDN
from baselines.restorers.vdn.networks import VDNNetwork
from baselines.restorers.vdn.training import Variational
from tests.baselines.systems.supervised import fingerprints, gradients, single_weight
from tests.baselines.systems.vectors import Case, fill

TERMS = ("loss", "lh", "kl_gauss", "kl_igamma")


def compute(case: Case) -> dict[str, Any]:
    about = case.about
    if "width" not in about:
        return loss_alone(case)
    network = VDNNetwork(about["width"])
    fill(network, lambda name, shape: single_weight(name, shape, about["gain"]))
    noisy = case.tensor("noisy")
    if about.get("single"):
        network, noisy = network.float(), noisy.float()
    found: dict[str, Any] = {}
    with torch.no_grad():
        if case.has("phi_z"):
            found["phi_z"], found["phi_sigma"] = network.posteriors(noisy)
        found["denoised"] = network(noisy).clamp(0, 1)
    if case.has("sigma2_map"):
        found["sigma2_map"] = variance_map(noisy.float(), case.tensor("clean").float(), about["radius"])
    if case.has("train_rows"):
        found |= trained(case, network, noisy, case.tensor("clean"))
    return found


def trained(case: Case, network: VDNNetwork, noisy: Tensor, clean: Tensor) -> dict[str, Any]:
    """Three steps on the whole batch."""
    about = case.about
    settings = VDN.default_settings("paper").training.but(
        batch=len(noisy), lr=about["lr"], eps2=about["eps2"], radius=about["radius"], augment=False,
        limits=tuple(case.array("clip_D_S").tolist()),
    )
    given, recorded = case.tensor("sigma2_map"), list[np.ndarray]()

    class Given(Variational):
        def variance(self, noisy: Tensor, clean: Tensor) -> Tensor:
            return given

        def clipped(self) -> dict[str, float]:
            recorded.append(gradients(network))
            return super().clipped()

    sampler: Any = SimpleNamespace(batch=lambda number: (noisy, clean), seed=0)
    run = Given(network, sampler, settings, "cpu")
    rows = [run.step(number) for number in range(len(case.array("train_rows")))]
    with torch.no_grad():
        after = network(noisy).clamp(0, 1)
    return {
        "grad_fp": recorded[0], "param_fp": fingerprints(network.parameters()), "denoised_after": after,
        "train_rows": np.array([[row[name] for name in (*TERMS, "norm D", "norm S")] for row in rows]),
    }


def loss_alone(case: Case) -> dict[str, Any]:
    """The bound and its gradients on given outputs of the networks."""
    noisy, clean = case.tensor("noisy"), case.tensor("clean")
    phi_z, phi_sigma = case.tensor("phi_z").requires_grad_(), case.tensor("phi_sigma").requires_grad_()
    terms = negative_bound(phi_z, phi_sigma, noisy, clean, case.tensor("sigma2_map"), eps2=case.about["eps2"],
                           radius=case.about["radius"])
    terms["loss"].backward()
    return {
        "loss_terms": np.array([float(terms[name].detach()) for name in TERMS]),
        "grad_phi_z": phi_z.grad, "grad_phi_sigma": phi_sigma.grad,
        "sigma2_map": variance_map(noisy.float(), clean.float(), case.about["radius"]),
    }

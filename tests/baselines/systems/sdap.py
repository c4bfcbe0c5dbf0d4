"""SDAP: network, restoring without and with (E), sub-samples, three training steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from baselines.fitting.noisy_only import adam
from baselines.restorers.apbsn.networks import BlindSpotNetwork
from baselines.restorers.sdap.losses import cyclic_terms, sub_samples
from baselines.restorers.sdap.model import SDAPTraining, denoised
from tests.baselines.systems.vectors import Case, base, fill

TOLERANCES = {"f32_a.denoised_S": 5e-4}
"""Before they are clamped to [0, 1] these values reach 169, and float32 keeps 1.5e-6 of that; float64 is 1.3e-4 off."""


def compute(case: Case) -> dict[str, Any]:
    about = case.about
    network = BlindSpotNetwork(about["width"], about["blocks"])

    def rule(name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        """The product is one of float32 numbers."""
        if name.endswith("mask"):
            return None
        scale = about["gain"] / np.sqrt(np.prod(shape[1:])) if len(shape) >= 2 else about["vec"]
        return base(name, shape).astype(np.float32) * np.float32(scale)

    fill(network, rule)
    dtype = getattr(torch, about.get("dtype", "float64"))
    network.to(dtype)
    noisy = case.tensor("noisy").to(dtype)
    found: dict[str, Any] = {}
    with torch.no_grad():
        found["denoised_S"] = denoised(network, noisy, enhance=False).clamp(0, 1)
        found["denoised_SE"] = denoised(network, noisy, enhance=True).clamp(0, 1)
        if case.has("forward"):
            found["forward"] = network(noisy)
    return found | trajectory(case, network, noisy) if case.has("train_images") else found


def trajectory(case: Case, network: BlindSpotNetwork, noisy: torch.Tensor) -> dict[str, Any]:
    stride, optimiser = case.about["stride"], adam(network, SDAPTraining(lr=case.about["lr"]))
    terms, found = [], {}
    for step, (images, order) in enumerate(zip(case.tensor("train_images"), case.tensor("perm"), strict=True)):
        samples = sub_samples(images, order, stride)
        optimiser.zero_grad()
        values = cyclic_terms(network, samples)
        values.sum().backward()
        terms.append(values.detach().numpy())
        if step == 0:
            found |= {"sub_images": samples, "grad_fp": fingerprints([p.grad for p in network.parameters()])}
        optimiser.step()
    found |= {"train_l1": np.stack(terms), "param_fp": fingerprints([p.detach() for p in network.parameters()])}
    with torch.no_grad():
        return found | {"forward_after": network(noisy)}


def fingerprints(tensors: Any) -> np.ndarray:
    """Sum, 2-norm and first element of each."""
    return np.array([[t.sum().item(), t.norm().item(), t.flatten()[0].item()] for t in tensors])

"""CVF-SID: network, the 31 terms over a few training steps, noise level of a block, the authors' metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from baselines.fitting.noisy_only import adam
from baselines.restorers.cvf_sid.losses import PAD, cropped, noise_level, padded, terms, total
from baselines.restorers.cvf_sid.model import CVFSIDTraining, denoised
from baselines.restorers.cvf_sid.networks import CVFSIDNetwork
from tests.baselines.systems.probes import fingerprint
from tests.baselines.systems.vectors import Case, fill, weight


def compute(case: Case) -> dict[str, Any]:
    if case.name == "block_std":
        return {"std": np.stack([noise_level(block) for block in case.array("blocks")])}
    if case.name == "metric":
        return {"psnr_ssim": metrics(case)}
    network = CVFSIDNetwork(**case.about["network"])
    fill(network, lambda name, shape: weight(name, shape, case.about["gain"], case.about["vec"]))
    return passes(case, network) | trajectory(case, network)


def passes(case: Case, network: CVFSIDNetwork) -> dict[str, Any]:
    noisy = case.tensor("noisy")
    found: dict[str, Any] = {"denoised": denoised(network, noisy).clamp(0, 1).detach()}
    with torch.no_grad():
        raw, wide = network(noisy), network(padded(noisy))
    means = []
    for short, name in (("w", "dependent"), ("b", "independent"), ("clean", "clean")):
        found |= {f"raw_{short}": getattr(raw, name), f"padded_{short}": cropped(getattr(wide, name))}
        means.append(getattr(wide, name).mean((-2, -1)))
    assert wide.clean.shape[-1] == noisy.shape[-1] + 2 * PAD
    return found | {"padded_means": torch.stack(means)}


def trajectory(case: Case, network: CVFSIDNetwork) -> dict[str, Any]:
    noisy, sigma = case.tensor("noisy"), case.tensor("std")
    optimiser = adam(network, CVFSIDTraining())
    found, each, sums = {}, [], []
    for step in range(case.about["steps"]):
        optimiser.zero_grad()
        values = terms(network, noisy, sigma)
        loss = total(values)
        loss.backward()
        each.append(values.detach().numpy())
        sums.append(loss.item())
        if step == 0:
            found = fingerprint("grad_{}", [(name, p.grad) for name, p in network.named_parameters()])
        optimiser.step()
    found |= fingerprint("param_{}_after", [(name, p.detach()) for name, p in network.named_parameters()])
    return found | {"loss_terms": np.stack(each), "loss_total": np.array(sums)}


def metrics(case: Case) -> np.ndarray:
    """In float32, as published: each image clamped and rounded to 8-bit levels, then PSNR, and SSIM with range 2."""
    clean, other = (levels(case.array(name)) for name in ("clean", "other"))
    pairs = list(zip(clean, other, strict=True))
    return np.array([
        np.mean([peak_signal_noise_ratio(a, b, data_range=1) for a, b in pairs]),
        np.mean([structural_similarity(a, b, data_range=2, channel_axis=-1) for a, b in pairs]),
    ])


def levels(images: np.ndarray) -> np.ndarray:
    scaled = (images.astype(np.float32) * np.float32(255)).clip(0, 255)
    return (np.round(scaled) / np.float32(255)).transpose(0, 2, 3, 1)

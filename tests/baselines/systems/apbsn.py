"""AP-BSN + R3: network, down-sampling, refinement, three training steps, augmentations, what the network sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.fitting.noisy_only import adam
from baselines.restorers.apbsn.model import APBSNTraining, reconstruction
from baselines.restorers.apbsn.networks import APBSNNetwork, CentreMasked
from baselines.restorers.apbsn.procedure import (
    filled,
    interleaved,
    phases,
    refined,
    reflected,
    self_ensemble,
    through_phases,
    turned,
)
from benchmarks.metrics.pairwise import psnr_float_clamped, ssim_skimage_float_range1
from tests.baselines.systems.probes import fingerprint
from tests.baselines.systems.vectors import Case, fill, weight


def compute(case: Case) -> dict[str, Any]:
    if case.name == "aug":
        return augmentations(case)
    if case.name == "blind":
        return supports(case)
    network = filled_network(case.about)
    found = passes(case, network) | metrics(case)
    return found | trajectory(case, network) if "steps" in case.about else found


def filled_network(about: Any, blocks: int | None = None) -> APBSNNetwork:
    network = APBSNNetwork(about["width"], about["blocks"] if blocks is None else blocks)

    def rule(name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        return None if name.endswith("mask") else weight(name, shape, about["gain"], about["vec"])

    fill(network, rule)
    return network


def passes(case: Case, network: APBSNNetwork) -> dict[str, Any]:
    x, pad, stride = case.tensor("x"), case.about["pad"], case.about["stride"]
    five = case.about["train_stride"]
    noisy = filled(x, stride)
    shape = tuple(case.array("r3_masks_shape"))
    bits = np.unpackbits(case.array("r3_masks_packed"))[: np.prod(shape)].reshape(shape)
    assert shape[1:] == noisy.shape

    def plain(image: Tensor) -> Tensor:
        return reflected(network.bsn, image, pad)

    def coarse(image: Tensor) -> Tensor:
        return network(filled(image, stride), stride, pad)[..., : image.shape[-2], : image.shape[-1]]

    with torch.no_grad():
        first = network(noisy, stride, pad)
        found: dict[str, Any] = {
            "bsn_out": network.bsn(x),
            "forward_pd1": network(x, 1, pad),
            "denoised_r3": refined(plain, first, noisy, torch.from_numpy(bits.astype(bool))),
            "denoised_no_r3": coarse(x),
        }
        if case.has("pd5"):
            found |= {f"pd{five}": phases(x, five, pad), f"pd{five}_nopad": phases(x, five),
                      f"pd{stride}": phases(x, stride, pad), f"forward_pd{five}": network(x, five, pad),
                      f"forward_pd{stride}": first, "self_ensemble_no_r3": self_ensemble(coarse, x)}
            assert torch.equal(interleaved(found[f"pd{five}"], five, pad), x)
            assert torch.equal(interleaved(found[f"pd{stride}"], stride, pad), x)
    return found


def metrics(case: Case) -> dict[str, Any]:
    clean, given = (case.array(name)[0].transpose(1, 2, 0) for name in ("clean", "metric_in"))
    values = []
    for image in (given, np.floor(given + 0.5)):
        reference, other = clean / 255, image.clip(0, 255) / 255
        values += [psnr_float_clamped(reference, other), ssim_skimage_float_range1(reference, other)]
    return {"metric_psnr_ssim_plain_then_rounded": np.array(values)}


def trajectory(case: Case, network: APBSNNetwork) -> dict[str, Any]:
    x = case.tensor("x")
    optimiser = adam(network, APBSNTraining(lr=case.about["lr"]))
    losses, found = [], {}
    for step in range(case.about["steps"]):
        optimiser.zero_grad()
        loss = reconstruction(network, x, case.about["train_stride"], case.about["pad"])
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            found = fingerprint("grad_{}", [(name, p.grad) for name, p in network.named_parameters()])
        optimiser.step()
    after = [(name, p.detach()) for name, p in network.named_parameters()]
    found |= fingerprint("param_{}_after3", after)
    centres = [(module.weight.detach() * (1 - module.mask)).abs().max().item()
               for module in network.modules() if isinstance(module, CentreMasked)]
    return found | {"train_losses": np.array(losses), "centre_after3": np.array(centres)}


def augmentations(case: Case) -> dict[str, Any]:
    x = case.tensor("x")
    found = {}
    for name in case.names():
        match = re.search(r"rot(\d)_flip(\d)", name)
        if match:
            found[match[0]] = turned(x, int(match[1]), match[2] == "1")
    return found


def supports(case: Case) -> dict[str, Any]:
    """Weights, biases and input all positive: every path then counts, and none cancels another."""
    found = {}
    for name, about in case.about["supports"].items():
        network = filled_network(case.about, about["blocks"])
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        stride = about["stride"]
        function: Callable[[Tensor], Tensor] = network.bsn if not stride else (
            lambda x, net=network.bsn, by=stride: through_phases(net, x, by, case.about["pad"]))
        side = 71 if not stride else 40
        found[name] = seen_by(function, side, side // 2)
    return found


def seen_by(function: Callable[[Tensor], Tensor], side: int, at: int) -> np.ndarray:
    """Where the output pixel (at, at) depends on the input."""
    x = torch.full((1, 3, side, side), 0.5, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(function(x)[..., at, at].sum(), x)
    return (gradient[0] != 0).any(0).numpy()


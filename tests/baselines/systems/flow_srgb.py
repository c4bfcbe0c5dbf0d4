"""Flow-sRGB: likelihood, sampling, one training pass, its own divergence; the published weights where they are.

SENM_WEIGHTS names a folder with the published files, which may not be shipped here.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.noise.flow_srgb.model import FlowSRGB
from baselines.noise.flow_srgb.networks import ISOS, NoiseFlow, to_levels
from benchmarks.metrics.distribution import kld_srgb_flow
from tests.baselines.systems.vectors import Case, base, fill, stored, synth, weight

LOG_256 = float(np.log(256))


def compute(case: Case) -> dict[str, Any]:
    if "weights" in case.about:
        return released(case)
    network = made(case)
    draw = np.random.default_rng(case.about["seed"] + 100)
    clean, noisy, condition = inputs(case)
    assert np.array_equal(case.array("clean"), np.round(255 * synth(32, 32, case.about["seed"], len(clean))))
    uniforms = [torch.from_numpy(draw.random(clean.shape)) for _ in range(2)]
    found = {"weights_check": summary(network), **evaluation(network, clean, noisy, condition, uniforms, "eval.")}
    found |= sampling(case, network, clean, condition, "sample.")
    found["kld_own_metric"] = divergence(case, stored(case.system)[case.prefix + "sample.image"])
    return found | training(network, clean, noisy, condition, uniforms)


def made(case: Case) -> NoiseFlow:
    """The network with the weights of the rule."""

    def rule(name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        name = name.replace(".net.0.", ".conv2d_1.").replace(".net.3.", ".conv2d_2.")
        key, last = name + case.about["suffix"], name.rsplit(".", 1)[-1]
        if last == "ldj_per_dim":
            return np.array(-LOG_256)
        if last in ("num_batches_tracked", "buffer"):
            return None
        if last == "logs":
            return base(key, shape) * 0.05
        if name.endswith("_shift_and_log_scale.scale"):
            return 0.5 + base(key, shape) * 0.05
        if last == "running_mean":
            return base(key, shape) * 0.1
        if last == "running_var":
            return np.exp(base(key, shape) * 0.2)
        if last == "weight" and any(part in name for part in ("net.1.", "net.4.", "batch_norm_layers")):
            return 1 + base(key, shape) * 0.1
        if last == "p":
            return np.eye(3)[np.random.default_rng(zlib.crc32(key.encode())).permutation(3)]
        if last == "sign_s":
            return np.where(base(key, shape) < 0, -1.0, 1.0)
        return weight(key, shape, case.about["gain"])

    network = fill(NoiseFlow(), rule)
    assert isinstance(network, NoiseFlow)
    return network.eval()


def summary(network: torch.nn.Module) -> np.ndarray:
    values = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    return np.array([len(values), float(values.sum()), float(values.square().sum())])


def inputs(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """Clean and noisy levels as float64, and the condition."""
    iso = [ISOS.index(int(value)) for value in case.array("iso")]
    condition = torch.tensor([iso, case.array("cam").astype(int).tolist()]).T
    return case.tensor("clean").double(), case.tensor("noisy").double(), condition


def evaluation(network: NoiseFlow, clean: Tensor, noisy: Tensor, condition: Tensor, uniforms: list[Tensor],
               name: str) -> dict[str, Any]:
    with torch.no_grad():
        latent = network(noisy, clean, condition, uniforms[1], uniforms[0])
    return {name + key: value for key, value in {
        "z": latent.z, "nll": latent.nll, "log_base": latent.log_base, "mean_nll": latent.nll.mean(),
        "sd_z": latent.z.flatten(1).std(1).mean(), "logdet_per_layer": latent.logdets,
    }.items()}


def sampling(case: Case, network: NoiseFlow, clean: Tensor, condition: Tensor, name: str) -> dict[str, Any]:
    draw = np.random.default_rng(case.about["seed"] + 200)
    drawn = [draw.random(clean.shape), draw.standard_normal(clean.shape)]
    for key, value in zip(("draw0_uniform", "draw1_normal"), drawn, strict=True):
        if case.has(name + key):
            assert np.array_equal(case.array(name + key), value)
    uniform, normal = (torch.from_numpy(value).to(clean) for value in drawn)
    with torch.no_grad():
        continuous = network.generate(clean, condition, uniform, normal)
    return {name + "continuous": continuous, name + "image": to_levels(continuous)}


def divergence(case: Case, generated: np.ndarray) -> np.ndarray:
    sets = (generated, case.array("noisy"), case.array("clean"))
    return np.array([kld_srgb_flow(*(image.transpose(1, 2, 0) for image in images))
                     for images in zip(*sets, strict=True)])


def training(network: NoiseFlow, clean: Tensor, noisy: Tensor, condition: Tensor, uniforms: list[Tensor],
             ) -> dict[str, Any]:
    latent = network.train()(noisy, clean, condition, uniforms[1], uniforms[0])
    latent.nll.mean().backward()
    norms = [0.0 if p.grad is None else float(p.grad.norm()) for p in network.parameters()]
    statistics = {key: torch.cat([value for name, value in network.named_buffers() if name.endswith(key)])
                  for key in ("running_mean", "running_var")}
    return {"train.mean_nll": latent.nll.mean(), "train.sd_z": latent.z.flatten(1).std(1).mean(),
            "train.grad_norms": np.array(norms),
            **{f"train.{key}_after": value for key, value in statistics.items()}}


def released(case: Case) -> dict[str, Any]:
    """The published weights in double and in single precision."""
    path = Path(os.environ.get("SENM_WEIGHTS", "")) / case.about["weights"]
    clean, noisy, condition = inputs(case)
    found: dict[str, Any] = {"kld_own_metric": divergence(case, case.array("f64.sample.image"))}
    if not path.is_file():
        case.unmet |= {name: f"SENM_WEIGHTS does not name a folder with {path.name}" for name in case.names()
                       if ".f64." in name or ".f32." in name}
        return found
    for kind, dtype in (("f64.", torch.float64), ("f32.", torch.float32)):
        network = FlowSRGB.from_published(path).network.to(dtype)
        x, y = clean.to(dtype), noisy.to(dtype)
        draw = np.random.default_rng(case.about["seed"] + 100)
        uniforms = [torch.from_numpy(draw.random(clean.shape)).to(dtype) for _ in range(2)]
        found |= {key: value for key, value in evaluation(network, x, y, condition, uniforms, kind).items()
                  if case.has(key)}
        found |= sampling(case, network, x, condition, kind + "sample.")
    return found

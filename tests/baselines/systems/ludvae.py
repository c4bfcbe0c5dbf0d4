"""LUD-VAE: reconstruction, divergence, gradients and generation with given draws; its published denoisers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.noise.lud_vae.networks import LUDVAENetwork
from baselines.noise.lud_vae.training import LUDVAETraining, divergence, kl_weight
from baselines.restorers.dncnn import DnCNN
from senm.data.manifest import file_sha256
from tests.baselines.systems.vectors import Case, fill, synth, weight


def network(about: Any) -> nn.Module:
    """The network of a case with its weights."""
    def rule(name: str, shape: tuple[int, ...]) -> np.ndarray:
        gain = about["gain_log_std"] if ".v." in name else about["gain"]
        return weight(name + about["suffix"], shape, gain, about["vec"])

    return fill(LUDVAENetwork(about["width"]), rule)


def check(model: nn.Module) -> np.ndarray:
    """Number, sum and sum of squares of all parameters."""
    values = torch.cat([p.detach().flatten() for p in model.parameters()])
    return np.array([len(values), float(values.sum()), float((values**2).sum())])


def normal(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    draw = np.random.default_rng(seed)
    return [torch.from_numpy(draw.standard_normal(shape)) for shape in shapes]


def latents(case: Case, stage: str, seed: int, x: Tensor) -> list[Tensor]:
    """Draws of levels 3, 2, 1; those that are stored must be the ones of the seed."""
    shape = (len(x), case.about["width"], *x.shape[-2:])
    made = normal(seed, shape, shape, shape)
    for level, value in zip((3, 2, 1), made, strict=True):
        same(case, f"{stage}.eps_level{level}", value)
    return made


def same(case: Case, name: str, value: Tensor) -> None:
    if case.has(name):
        assert torch.equal(case.tensor(name), value)


def compute(case: Case) -> dict[str, Any]:
    if "file" in case.about:
        return denoiser(case)
    return full(case) if "shape" in case.about else small(case)


def images(about: Any, shape: tuple[int, ...]) -> Tensor:
    """The images of a case in whole 8-bit levels."""
    return torch.from_numpy(np.round(255 * synth(shape[2], shape[3], about["synth_seed"], shape[0])) / 255)


def small(case: Case) -> dict[str, Any]:
    about, model = case.about, network(case.about)
    x, label = case.tensor("x"), case.tensor("labels").double().reshape(-1, 1, 1, 1)
    assert torch.equal(x, images(about, tuple(x.shape)))
    strength = label * about["hide_noisy"] + (1 - label) * about["hide_clean"]
    (extra,) = normal(about["condition_seed"], x.shape)
    same(case, "train.eps_condition", extra)
    hidden, eps = x + extra * strength / 255, latents(case, "train", about["draws_seed"], x)
    output, levels = model(x, hidden, label, eps)
    rec, kl = ((output - x) ** 2).mean(), divergence(levels, label, x)
    share = kl_weight(LUDVAETraining(), about["step"])
    loss = rec + share * kl
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    found: dict[str, Any] = {
        "weights_check": check(model), "train.reconstruction": output, "train.kl_sum_per_level_per_image": levels,
        "train.rec": rec, "train.kl": kl, "train.kl_weight_step4000": share, "train.loss_step4000": loss,
        "train.grad_norms": torch.stack([g.norm() for g in gradients]),
    }
    with torch.no_grad():
        none = torch.zeros_like(label)
        output, levels = model(x, hidden, none, eps)
        found["allclean.rec"], found["allclean.kl"] = ((output - x) ** 2).mean(), divergence(levels, none, x)
        (extra,) = normal(about["generate_condition_seed"], x.shape)
        same(case, "generate.eps_condition", extra)
        hidden = x + extra * float(case.array("generate.sigma")) / 255
        eps = latents(case, "generate", about["generate_draws_seed"], x)
        found["generate.image"] = model.generate(hidden, none, eps)
        found["generate.temperature0.5"] = model.generate(hidden, none, eps, 0.5)
        found["denoise.image"] = model.generate(hidden, none + 1, eps)
    return found


def full(case: Case) -> dict[str, Any]:
    about, model = case.about, network(case.about)
    x = images(about, about["shape"])
    hidden = x + normal(about["condition_seed"], x.shape)[0] * about["sigma"] / 255
    noisy = torch.ones(len(x), 1, 1, 1).double()
    with torch.no_grad():
        image = model.generate(hidden, 1 - noisy, latents(case, "generate", about["generate_draws_seed"], x))
        output, levels = model(x, hidden, noisy, latents(case, "train", about["draws_seed"], x))
        rec, kl = ((output - x) ** 2).mean(), divergence(levels, noisy, x)
    return {"weights_check": check(model), "generate.image": image, "train.rec": rec[None], "train.kl": kl[None]}


def denoiser(case: Case) -> dict[str, Any]:
    """The published DnCNN, where the folder of SENM_WEIGHTS holds it."""
    noisy = torch.from_numpy(case.array("noisy")).double() / 255
    folder = Path(os.environ.get("SENM_WEIGHTS") or "absent")
    path = next((p for p in folder.rglob(case.about["file"]) if file_sha256(p) == case.about["sha256"]), None)
    if path is None:
        reason = f"needs the published {case.about['file']} ({case.about['sha256'][:8]}) in the folder of SENM_WEIGHTS"
        case.unmet |= {case.prefix + name: reason for name in ("denoised_f32", "denoised_f64")}
        return {}
    model = DnCNN.initialised(DnCNN.default_settings("paper"), 0, path).eval()
    with torch.no_grad():
        single = model(noisy.float())
        return {"denoised_f32": single, "denoised_f64": model.double()(noisy.double())}

"""SCPGabNet: both stages over two steps with their coupled gradients, the networks, and the parts of its losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from baselines.restorers.deamnet.networks import DeamNetwork
from baselines.restorers.scpgabnet.losses import (
    Networks,
    blur,
    denoiser_terms,
    discriminator_terms,
    generator_terms,
    images,
    log_ssim,
)
from baselines.restorers.scpgabnet.networks import Discriminator, Generator
from benchmarks.metrics.pairwise import psnr_rgb_uint8, ssim_2d_valid_rgb
from tests.baselines.systems.selfsup import dots, filled, gradients, norms
from tests.baselines.systems.vectors import Case, layouts

KINDS: dict[str, type[nn.Module]] = {"D": DeamNetwork, "E": DeamNetwork, "G": Generator, "P": Discriminator}


def compute(case: Case) -> dict[str, Any]:
    return parts(case) if case.has("a") else stage(case)


def parts(case: Case) -> dict[str, Any]:
    a, b = case.tensor("a"), case.tensor("b")
    out: dict[str, Any] = {f"blur_k{k}_s{s}": blur(a, k, s) for k, s in case.about["blurs"]}
    out["log_ssim_loss"] = log_ssim(b, a)
    eight = [(x.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy() for x in (a, b)]
    pairs = list(zip(*eight, strict=True))
    out["eval_psnr_ssim"] = np.array([np.mean([psnr_rgb_uint8(x, y) for x, y in pairs]),
                                      np.mean([ssim_2d_valid_rgb(x, y) for x, y in pairs])])
    return out


def stage(case: Case) -> dict[str, Any]:
    about, noisy, clean = case.about, case.tensor("noisy"), case.tensor("clean")
    nets = {letter: filled(kind(), about["gains"][letter], f"{letter}.") for letter, kind in KINDS.items()}
    networks = Networks(nets["D"], nets["G"], nets["P"], nets["E"] if about["second"] else None)
    out: dict[str, Any] = fresh(nets, noisy, clean)
    trained = {letter: nets[letter] for letter in "GDP"}
    optimisers = {k: torch.optim.Adam(net.parameters(), lr=about["lr"]) for k, net in trained.items()}
    names = {k: [n for n in layouts(case.system)[k] if n in dict(net.named_parameters())]
             for k, net in trained.items()}
    rows = []
    for number in range(about["steps"]):
        part = slice(number * about["batch"], (number + 1) * about["batch"])
        x, y = clean[part], noisy[part]
        for optimiser in optimisers.values():
            optimiser.zero_grad()
        made = images(networks, x, y)
        terms = generator_terms(networks, made, x) | denoiser_terms(made, x)
        terms["loss_G"].backward(retain_graph=True)
        found = {k: gradients(nets[k]) for k in "GD"}
        if number == 0:
            out |= {"fake_im_noisy1": made.f1, "fake_im_noisy2": made.f2, "rec_x1": made.r1, "rec_x2": made.r2}
            out |= {} if made.t1 is None else {"tizao_1": made.t1, "tizao_2": made.t2}
            out |= {f"grad_of_loss_G_norms_{k}": norms(found[k], names[k]) for k in "GD"}
        terms["loss_D"].backward()
        found = {k: gradients(nets[k]) for k in "GD"}
        optimisers["G"].step()
        optimisers["D"].step()
        optimisers["P"].zero_grad()
        terms |= discriminator_terms(networks, made, y)
        terms["loss_P"].backward()
        found["P"] = gradients(nets["P"])
        optimisers["P"].step()
        if number == 0:
            out |= {f"grad_norms_{k}": norms(found[k], names[k]) for k in found}
            out |= {f"grad_dots_{k}": dots(found[k], names[k]) for k in found}
        rows.append([terms[name].item() for name in case.array("loss_names")])
    out["loss_terms"] = np.array(rows)
    for k, net in trained.items():
        after = dict(net.named_parameters())
        out |= {f"param_norms_after_{k}": norms(after, names[k]), f"param_dots_after_{k}": dots(after, names[k])}
    return out


@torch.no_grad()
def fresh(nets: dict[str, nn.Module], noisy: torch.Tensor, clean: torch.Tensor) -> dict[str, Any]:
    denoiser = nets["D"]
    assert isinstance(denoiser, DeamNetwork)
    return {"denoised": denoiser(noisy[:1]), "D_features_first": denoiser.stages(noisy[:1])[0][:, :4],
            "G_out": nets["G"](clean[:1], noisy[:1]), "P_out": nets["P"](noisy[:1])}

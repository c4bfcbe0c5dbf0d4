"""Noise2Self: masks, networks, both ways of restoring, four steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from baselines.restorers.n2s.networks import DnCNN, Masker, SmallUNet, UNet, masked_loss, without_own_pixels
from tests.baselines.systems.selfsup import dots, filled, gradients, norms
from tests.baselines.systems.vectors import Case, layouts

NETWORKS: dict[str, type[nn.Module]] = {"unet": UNet, "small-unet": SmallUNet, "dncnn": DnCNN}


def compute(case: Case) -> dict[str, Any]:
    about = case.about
    if "network" not in about:
        masker = Masker(about["width"])
        return {f"phase{i}": masker.mask(torch.zeros(about["size"]), i) for i in range(masker.phases)}
    x, masker = case.tensor("x"), Masker(about["width"], about["mode"])
    network = filled(NETWORKS[about["network"]](about["channels"]), 1.0).eval()
    case.unmet[f"{case.prefix}psnr"] = "the clean images that it is measured against are not stored"
    mask = masker.mask(x, about["phase"])
    out: dict[str, Any] = {"mask_phase5": mask, "masked_phase5": masker.hide(x, mask)}
    with torch.no_grad():
        out |= {"net_eval": network(x), "infer_all_phases": without_own_pixels(network, masker, x)}

    network.train()
    optimiser = torch.optim.Adam(network.parameters(), lr=about["lr"])
    parameters = {name for name, _ in network.named_parameters()}
    layout = [name for name in layouts(case.system)[about["layout"]] if "num_batches" not in name]
    names = [name for name in layout if name in parameters]
    losses = []
    for number in range(about["steps"]):
        optimiser.zero_grad()
        loss = masked_loss(network, masker, x, number)
        loss.backward()
        if number == 0:
            found = gradients(network)
            out |= {"grad_norms": norms(found, names), "grad_dots": dots(found, names)}
        optimiser.step()
        losses.append(loss.item())
    after = dict(network.state_dict())
    out |= {"train_losses": np.array(losses), "param_norms_after": norms(after, names),
            "param_dots_after": dots(after, names)}
    if case.has("buffer_norms_after"):
        out["buffer_norms_after"] = norms(after, [name for name in layout if name not in parameters])
    return out

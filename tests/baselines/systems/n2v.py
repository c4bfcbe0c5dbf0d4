"""Noise2Void: masks from the stored draws, networks, three steps, prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from baselines.restorers.n2v.masking import MANIPULATORS, box_size, masked
from baselines.restorers.n2v.networks import BatchNorm, Channels, Normalised
from baselines.restorers.n2v.training import KerasAdam, masked_loss
from tests.baselines.systems.selfsup import dots, filled, gradients, norms
from tests.baselines.systems.vectors import Case, layouts


class Replay:
    """Stored draws in the place of a generator; normal ones come from numpy's legacy generator."""

    def __init__(self, uniform: np.ndarray, whole: np.ndarray, seed: int = 0) -> None:
        self.uniform, self.whole, self.normal = list(uniform), list(whole), np.random.RandomState(seed).normal

    def random(self, size: tuple[int, ...]) -> np.ndarray:
        count = int(np.prod(size))
        taken, self.uniform = self.uniform[:count], self.uniform[count:]
        return np.array(taken).reshape(size)

    def integers(self, low: int, high: Any) -> np.ndarray:
        high = np.asarray(high)
        taken, self.whole = self.whole[:high.size], self.whole[high.size:]
        found = np.array(taken).reshape(high.shape)
        assert (found >= low).all()
        assert (found < high).all()
        return found


def compute(case: Case) -> dict[str, np.ndarray]:
    return manipulators(case) if case.has("coords") else training(case)


def manipulators(case: Case) -> dict[str, np.ndarray]:
    patch, at, radius = case.array("patch"), case.array("coords"), case.about["radius"]
    at = at.T if at.shape[0] == 2 else at
    draws = Replay(np.zeros(0), case.array("uniform_withCP_randint"), case.about["normal_seed"])
    return {name: replace(patch, at, radius, draws) for name, replace in MANIPULATORS.items()}


def training(case: Case) -> dict[str, np.ndarray]:
    about, x = case.about, case.array("x")
    size, layout = about["network"], layouts(case.system)[about["layout"]]
    network = filled(Channels(**size), 1.0)
    full = Normalised(network, x.shape[1], size["depth"]).double()
    means, stds = x.mean((0, 2, 3)), x.std((0, 2, 3))
    full.mean, full.deviation = torch.from_numpy(means), torch.from_numpy(stds)
    out: dict[str, Any] = {"means": means, "stds": stds, "box_size": np.array(box_size(about["percent"]))}

    draws = Replay(case.array("draws_rand"), case.array("draws_randint"))
    patch, index = about["patch"], case.array("batch_index")
    corners = draws.integers(0, np.array([[x.shape[2] - patch + 1, x.shape[3] - patch + 1]] * len(index)))
    patches = np.stack([x[i, :, r:r + patch, c:c + patch] for i, (r, c) in zip(index, corners, strict=True)])
    target = full.normalise(torch.from_numpy(patches)).numpy()
    inputs, mask = masked(target, int(out["box_size"]), draws)
    assert not draws.uniform
    assert not draws.whole
    out |= {"batch_input": inputs, "batch_target": target * mask, "batch_mask": mask}

    cut = torch.from_numpy(x[:1, :, :-3, :-6])
    full.eval()
    with torch.no_grad():
        out["net_eval_on_batch"] = network(torch.from_numpy(inputs))
        left, right, above, below = full.padding(*cut.shape[2:])
        out["predict_padded_shape"] = np.array([cut.shape[2] + above + below, cut.shape[3] + left + right, x.shape[1]])
        out["predict"] = full(cut)[0]
        full.ways = 8
        out["predict_tta"] = full(cut)[0]
    return out | steps(case, network, inputs, target, mask, list(layout))


def steps(case: Case, network: torch.nn.Module, inputs: np.ndarray, target: np.ndarray, mask: np.ndarray,
          layout: list[str]) -> dict[str, Any]:
    network.train()
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.unbiased = False
    optimiser = KerasAdam(network.parameters(), 4e-4)
    names = [name for name in layout if "running" not in name]
    out: dict[str, Any] = {}
    losses = []
    for number in range(case.about["steps"]):
        optimiser.zero_grad()
        loss = masked_loss(network(torch.from_numpy(inputs)), torch.from_numpy(target), torch.from_numpy(mask),
                           case.about["loss"])
        loss.backward()
        if number == 0:
            found = gradients(network)
            out |= {"grad_norms": norms(found, names), "grad_dots": dots(found, names)}
        optimiser.step()
        losses.append(loss.item())
    after = dict(network.state_dict())
    return out | {"train_losses": np.array(losses), "param_norms_after": norms(after, layout),
                  "param_dots_after": dots(after, layout)}

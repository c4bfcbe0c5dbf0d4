"""The weight rule that the vectors of the restorers without pairs share, and their norms and dots."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tests.baselines.systems.vectors import weight


def rule(network: nn.Module, gain: float, prefix: str = "") -> dict[str, Tensor]:
    """The state dict of `network` by the common rule, batch norm near 1, with `prefix` before each name in the rule."""
    state = {}
    for name, value in network.state_dict().items():
        owner = network.get_submodule(name.rpartition(".")[0])
        key, shape = prefix + name, tuple(value.shape)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros_like(value)
            continue
        made = weight(key, shape, gain, 0.01)
        if hasattr(owner, "running_var"):
            if name.endswith(".weight"):
                made = 1 + 10 * made
            elif name.endswith("running_var"):
                made = 1 + 50 * np.abs(made)
        state[name] = torch.from_numpy(np.asarray(made)).reshape(shape)
    return state


def filled(network: nn.Module, gain: float, prefix: str = "") -> nn.Module:
    """The network in float64 with the weights of `rule`."""
    network = network.double()
    network.load_state_dict(rule(network, gain, prefix))
    return network


def probe(name: str, shape: Iterable[int]) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(f"probe:{name}".encode())).standard_normal(tuple(shape))


def norms(values: Mapping[str, Tensor | None], names: Sequence[str]) -> np.ndarray:
    """Norm of each named tensor, NaN for None."""
    return np.array([np.nan if (v := values[name]) is None else float(v.detach().norm()) for name in names])


def dots(values: Mapping[str, Tensor | None], names: Sequence[str]) -> np.ndarray:
    """Product of each named tensor with the probe of its name, NaN for None."""
    return np.array([
        np.nan if (v := values[name]) is None else float((v.detach().numpy() * probe(name, v.shape)).sum())
        for name in names
    ])


def gradients(network: nn.Module) -> dict[str, Tensor | None]:
    """A copy of every parameter's gradient now."""
    return {n: None if p.grad is None else p.grad.clone() for n, p in network.named_parameters()}

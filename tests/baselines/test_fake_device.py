"""Forward passes on torch's fake CUDA tensors: a tensor that a network leaves on the CPU is an error, without a GPU."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

import baselines
from baselines.noise.c2n.networks import Generator as C2NGenerator
from baselines.noise.danet.networks import Generator as DANetGenerator
from baselines.noise.lud_vae.networks import LUDVAENetwork as LUDNetwork
from senm.config import NetworkSettings, PairedNetworkSettings
from senm.model import SeNMVAE
from senm.paired import PairedVAE

SIDE = 240  # a multiple of every stride and of the pixel-shuffle steps 2 and 5
RESTORERS = [name for name in baselines.REGISTRY if hasattr(baselines.get(name), "build")]


def tensors(result: Any) -> Iterator[Tensor]:
    """All tensors of a result of nested tuples, lists and records."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, tuple | list):
        for each in result:
            yield from tensors(each)
    elif hasattr(result, "__dict__"):
        yield from tensors(list(vars(result).values()))


def on_fake_gpu(network: nn.Module, *inputs: Any, method: str = "forward") -> list[Tensor]:
    """The outputs of a network whose parameters, buffers and inputs are said to lie on a GPU."""
    mode = FakeTensorMode(allow_non_fake_inputs=False)

    class Called(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *given: Any) -> Any:
            return getattr(self.network, method)(*given)

    called = Called()
    state = {name: mode.from_tensor(value.detach())
             for name, value in (*called.named_parameters(), *called.named_buffers())}

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [moved(each) for each in value]
        return mode.from_tensor(value).to("cuda") if isinstance(value, Tensor) else value

    with mode, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        there = {name: value.to("cuda") for name, value in state.items()}
        return list(tensors(functional_call(called, there, tuple(moved(value) for value in inputs))))


def gpu(found: list[Tensor]) -> bool:
    return bool(found) and all(tensor.device.type == "cuda" for tensor in found)


@pytest.mark.parametrize("name", RESTORERS)
def test_restorers_and_enlargers(name: str) -> None:
    system = baselines.get(name)
    side = 64 if name in ("uformer", "maxim") else SIDE
    assert gpu(on_fake_gpu(system.build(system.default_settings("smoke")).eval(), torch.rand(1, 3, side, side)))


def test_both_networks_of_the_method() -> None:
    semi = SeNMVAE(NetworkSettings(nf=8, zn_dim=4, nls=(1, 1), growth=4)).eval()
    x, level = torch.rand(1, 3, 32, 32), torch.full((1,), 0.1)
    noise = semi.draw_noise(1, 32, 32)
    assert gpu(on_fake_gpu(semi, x, level, 1.0, noise, method="translate"))
    full = PairedVAE(PairedNetworkSettings(nf=8, nls=(1, 1), growth=4)).eval()
    drawn = full.draw_noise(1, 32, 32)
    assert gpu(on_fake_gpu(full, x, level, drawn, method="generate"))


def test_noise_models() -> None:
    x, drawn = torch.rand(1, 3, 32, 32), torch.Generator().manual_seed(0)
    c2n = C2NGenerator(width=8, code=4).eval()
    assert gpu(on_fake_gpu(c2n, x, *c2n.draws(x, drawn)))
    assert gpu(on_fake_gpu(DANetGenerator(width=4).eval(), x, torch.rand(1, 1, 32, 32)))
    lud = LUDNetwork(width=8).eval()
    label = torch.zeros(1, 1, 1, 1)
    assert gpu(on_fake_gpu(lud, x, x, label, lud.draws(x, drawn)))


class Forgetful(nn.Module):
    """A network that makes a tensor on the CPU whatever it is given."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.ones(1, device="cpu")[None, None, None].expand(1, 1, 32, 32)


def test_a_tensor_left_on_the_cpu_is_found() -> None:
    with pytest.raises(RuntimeError, match="device"):
        on_fake_gpu(Forgetful(), torch.rand(1, 3, 32, 32))

"""Sampling: whole batches in the plain way and the fast one, and the fast one's layers one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.conftest import DEVICES
from benchmarks.profiling.arms import SAMPLERS, Case, make_network, sampling_work
from senm.config import PRESETS
from senm.data.pool import ArrayImages
from senm.sampling.sampler import sample_images

LAYERS = PRESETS["short"].network.layers
"""Layers of the `short` network."""


def case(model: str, device: torch.device) -> Case:
    """The `short` network on a CPU, the paper's on a GPU."""
    return Case(model, "authors", 16, 256) if device.type == "cuda" else Case(model, "short", 2, 96)


@pytest.mark.parametrize(("device", "arm"), [(d, arm) for d in DEVICES for arm in SAMPLERS[d]], indirect=["device"])
def test_sampling(arm: str, device: torch.device, measure: Callable[..., None]) -> None:
    measure(sampling_work(arm, case("senm", device), device), device)


def test_sampling_fully_paired(device: torch.device, measure: Callable[..., None]) -> None:
    measure(sampling_work("fast float32", case("paired", device), device), device)


@pytest.mark.parametrize("layer", range(LAYERS))
@pytest.mark.parametrize("part", ["encode_x", "q_zx", "p_zn", "decode"])
def test_layer(part: str, layer: int, device: torch.device, measure: Callable[..., None]) -> None:
    network: Any = make_network(Case("senm", "short")).to(device).eval()
    side = 256 if device.type == "cuda" else 96
    height, width = network.latent_shapes(side, side)[layer]
    module = network.encode_x.layers[layer] if part == "encode_x" else getattr(network, part)[layer]
    if part == "encode_x" and layer and network.latent_shapes(side, side)[layer - 1] != (height, width):
        height, width = 2 * height, 2 * width  # the layer that halves the resolution
    x = torch.rand(1, network.settings.nf, height, width, device=device).contiguous(memory_format=torch.channels_last)
    extra = (torch.full((1,), 0.05, device=device),) if part == "p_zn" else ()

    def work() -> object:
        with torch.inference_mode():
            return module(x, *extra)

    measure(work, device)


def test_whole_pipeline_with_own_draws(device: torch.device, measure: Callable[..., None]) -> None:
    what = case("senm", device)
    pixels = np.random.default_rng(0).integers(0, 256, (what.batch, what.size, what.size, 3), dtype=np.uint8)
    clean = ArrayImages(pixels, [str(i) for i in range(what.batch)])
    network = make_network(what)
    measure(lambda: list(sample_images(network, clean, levels=lambda name: 0.05, seed=0, device=device)), device)

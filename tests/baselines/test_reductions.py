"""Signs, reductions, ranges and averages of the baselines against values made by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.fitting.training import average
from baselines.noise.c2n.model import mean_shift
from baselines.restorers.drunet import DRUNet
from baselines.super_resolution.esrgan.step import Step


def test_c2n_asks_for_mean_zero_over_the_batch_and_not_of_an_image() -> None:
    clean = torch.rand(2, 3, 4, 4)
    apart = torch.tensor([0.25, -0.25]).view(2, 1, 1, 1)
    assert float(mean_shift(clean + apart, clean)) == pytest.approx(0.0, abs=1e-6)
    colours = torch.tensor([0.5, -0.25, 0.0]).view(1, 3, 1, 1)
    assert float(mean_shift(clean + colours, clean)) == pytest.approx(0.75)


def test_the_average_moves_by_one_minus_the_decay() -> None:
    slow, fast = nn.Linear(1, 1), nn.Linear(1, 1)
    for network, value in ((slow, 1.0), (fast, 2.0)):
        for parameter in network.parameters():
            nn.init.constant_(parameter, value)
    average(slow, fast, 0.9)
    assert [float(parameter.detach().sum()) for parameter in slow.parameters()] == pytest.approx([1.1, 1.1])


def test_esrgan_compares_features_of_both_images_in_one_range() -> None:
    seen: list[Tensor] = []

    def distance(a: Tensor, b: Tensor) -> Tensor:
        seen.extend((a, b))
        return (a - b).abs().mean()

    fake, high = torch.full((1, 3, 8, 8), 0.5), torch.full((1, 3, 8, 8), 0.75)
    settings = SimpleNamespace(loss="l1", low_weight=0)
    terms: dict[str, Any] = Step._terms(
        SimpleNamespace(settings=settings, distance=distance), fake, SimpleNamespace(high=high, weight=None)  # type: ignore[arg-type]
    )
    assert torch.equal(seen[0], fake) and torch.equal(seen[1], high)
    assert float(terms["features"]) == float(terms["pixel"]) == 0.25


def test_drunet_begins_orthogonal_with_a_small_gain() -> None:
    network = DRUNet.build(DRUNet.default_settings("smoke"))
    weights = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]
    for weight in weights:
        rows = weight.detach().flatten(1)
        few = rows if rows.shape[0] <= rows.shape[1] else rows.T
        assert torch.allclose(few @ few.T, 0.04 * torch.eye(len(few)), atol=1e-5)


def test_a_restorer_pads_by_reflection() -> None:
    class Whole(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            self.seen = image
            return image

    settings = DRUNet.default_settings("smoke")
    restorer, whole = DRUNet(DRUNet.build(settings), settings), Whole()
    image = torch.rand(1, 3, 13, 15)
    assert torch.equal(restorer._padded(whole, image), image)
    assert whole.seen.shape[-2:] == (16, 16)
    assert torch.equal(whole.seen[..., 13:, :15], image[..., [11, 10, 9], :])

"""SDAP: layout, blind spot, sub-samples, the two stages, switches of inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import count_parameters
from baselines.restorers.apbsn.networks import BlindSpotNetwork
from baselines.restorers.sdap.losses import cyclic_terms, permutations, sub_samples
from baselines.restorers.sdap.model import PAPER_SECOND, SDAP, TwoStages, by_stride
from senm.data.pool import ArrayImages
from senm.support.errors import SettingsError
from senm.support.seeding import rng
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import QUIET, pool, with_noise


def test_layouts_and_size() -> None:
    network = BlindSpotNetwork()
    for made, layout in ((network, "full DBSNl()"), (BlindSpotNetwork(16, 2), "small DBSNl(base_ch=16, num_module=2)")):
        assert shapes(made) == {name: tuple(shape) for name, shape in layouts("sdap")[layout].items()}
    assert count_parameters(network) == 3_656_131
    assert sum(mask.numel() for mask in network.buffers()) == 557_056


@pytest.mark.parametrize("stride", [1, 2])
def test_no_output_pixel_depends_on_its_own_input_pixel_without_e(stride: int) -> None:
    torch.manual_seed(0)
    network, x = BlindSpotNetwork(8, 2).double(), torch.rand(1, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    for at in (0, 7, 15):
        (gradient,) = torch.autograd.grad(by_stride(network, x, stride)[..., at, at].sum(), x)
        assert (gradient[..., at, at] == 0).all()
        assert (gradient != 0).any()


def test_sub_samples_hold_every_pixel_once_and_stay_in_their_cells() -> None:
    images = torch.arange(2 * 3 * 10 * 15, dtype=torch.float64).reshape(2, 3, 10, 15)
    order = permutations(2 * 2 * 3, 5, rng("test"))
    samples = sub_samples(images, order, 5)
    assert samples.shape == (25, 2, 3, 2, 3)
    assert torch.equal(samples.flatten().sort().values, images.flatten())
    cell = images[1, :, 5:10, 10:15].flatten(1)
    assert torch.equal(samples[:, 1, :, 1, 2].T.sort(1).values, cell)
    assert torch.equal(samples[3, 1, :, 1, 2], cell[:, order[-1, 3]])
    assert not torch.equal(order[0], order[1])


def test_the_loss_compares_each_sub_sample_with_the_next() -> None:
    samples = torch.tensor([0.0, 1.0, 5.0]).reshape(3, 1, 1, 1, 1)
    assert cyclic_terms(torch.nn.Identity(), samples).tolist() == [1.0, 4.0, 5.0]


def test_the_paper_s_second_stage_follows_the_first() -> None:
    settings = SDAP.default_settings("paper").but(training={"steps": 24_000, "second": dict(PAPER_SECOND)})
    assert SDAP.length(settings) == 56_000
    assert [settings.training.rate(step) for step in (0, 23_999, 24_000)] == [1e-4, 1e-4, 1e-5]
    crops = TwoStages([with_noise(pool(2, 260))], settings.training, 0)
    assert crops.batch(23_999)[0].shape == (16, 3, 160, 160)
    assert crops.batch(24_000)[0].shape == (8, 3, 250, 250)


def restored(images: ArrayImages, **inference: Any) -> np.ndarray:
    torch.manual_seed(2)
    settings = SDAP.default_settings("smoke").but(inference=inference)
    return next(SDAP(SDAP.build(settings), settings).restore_exactly(images, device="cpu", progress=QUIET))


def test_every_switch_of_inference_changes_the_result() -> None:
    images = with_noise(pool(1, 25))
    base = restored(images)
    for change in ({"enhance": True}, {"stride": 1}, {"stride": 3}):
        other = restored(images, **change)
        assert other.shape == base.shape == (25, 25, 3)
        assert not np.array_equal(base, other)


def test_e_is_on_at_paper_scale_and_off_in_small_networks() -> None:
    assert [SDAP.default_settings(scale).inference.enhance for scale in ("paper", "short", "smoke")] == [
        True, False, False]


def test_bad_input_of_sdap() -> None:
    with pytest.raises(SettingsError, match=r"training\.crop is 32; expected: a multiple of training\.stride, 5"):
        SDAP.default_settings("smoke").but(training={"crop": 32})
    with pytest.raises(SettingsError, match=r"second\.crop is 33"):
        SDAP.default_settings("smoke").but(training={"second": {"steps": 1, "crop": 33}})

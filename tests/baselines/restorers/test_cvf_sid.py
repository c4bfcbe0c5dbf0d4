"""CVF-SID: layout, what its noise maps are, the terms, the noise level of an image, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.base import count_parameters
from baselines.restorers.cvf_sid.losses import noise_level, padded, terms, total
from baselines.restorers.cvf_sid.model import CVFSID, Levels
from baselines.restorers.cvf_sid.networks import CVFSIDNetwork, Parts
from senm.data.pool import ArrayImages
from senm.support.errors import DataError, SettingsError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import QUIET, pool, with_noise


def test_layouts_and_size() -> None:
    network = CVFSIDNetwork()
    small = "small_a (clean 5 layers, noise 3 layers, 8 features)"
    for made, layout in ((network, "full"), (CVFSIDNetwork(4, 3, noise_width=8), small)):
        listed = {name: tuple(shape) for name, shape in layouts("cvf_sid")[layout].items()}
        assert shapes(made) == listed
        assert list(shapes(made)) == list(listed)
    assert count_parameters(network) == 1_185_865
    assert count_parameters(network.genclean) == 555_907


def test_noise_maps_have_mean_zero_and_biases_start_at_zero() -> None:
    torch.manual_seed(0)
    network = CVFSIDNetwork(2, 2, 8, 8)
    assert all((value == 0).all() for name, value in network.named_parameters() if name.endswith("bias"))
    parts = network(torch.rand(2, 3, 12, 14))
    for noise in (parts.dependent, parts.independent):
        assert torch.allclose(noise.mean((-2, -1)), torch.zeros(2, 3), atol=1e-6)
    assert torch.allclose(parts.together(-1, 1), parts.clean - parts.clean * parts.dependent + parts.independent)
    assert torch.equal(parts.together(0, 0), parts.clean)


def test_only_the_level_term_is_left_for_a_network_that_finds_no_noise() -> None:
    class Idle(nn.Module):
        def forward(self, x: Tensor) -> Parts:
            return Parts(0 * x, 0 * x, x)

    noisy, sigma = torch.rand(2, 3, 30, 30), torch.full((2, 3), 0.1)
    values = terms(Idle(), noisy, sigma)  # type: ignore[arg-type]
    assert values.shape == (31,)
    assert float(values[9]) == pytest.approx(0.01)
    assert torch.equal(values[:9], torch.zeros(9))
    assert float(total(values)) == pytest.approx(0.01)


def test_augmented_terms_weigh_a_tenth() -> None:
    assert float(total(torch.ones(31))) == pytest.approx(10 + 2.1)


def test_the_noise_level_is_the_one_of_white_noise() -> None:
    flat = np.random.default_rng(0).normal(128, 10, (200, 200, 3)).round().clip(0, 255).astype(np.uint8)
    assert noise_level(flat) == pytest.approx([10 / 255] * 3, rel=0.03)
    assert noise_level(np.full((8, 9, 3), 7, np.uint8)).tolist() == [0, 0, 0]


def test_levels_are_those_of_the_whole_image_a_crop_is_from() -> None:
    pools = [with_noise(pool(2, 40)), with_noise(pool(1, 50), 30.0)]
    found = Levels(pools).of(np.array([[1, 0], [0, 1], [1, 0]]))
    assert np.array_equal(found, [noise_level(pools[1][0]), noise_level(pools[0][1]), noise_level(pools[1][0])])


def test_the_rate_falls_every_200_steps() -> None:
    training = CVFSID.default_settings("paper").training
    assert [training.rate(step) for step in (0, 199, 200)] == pytest.approx([1e-4, 1e-4, 0.99e-4])
    assert training.rate(99_999) == pytest.approx(6.6e-7, rel=0.02)


def test_bad_input_of_cvf_sid() -> None:
    settings = CVFSID.default_settings("smoke")
    with pytest.raises(SettingsError, match="greater than or equal to 21"):
        settings.but(training={"crop": 20})
    model = CVFSID(CVFSID.build(settings), settings)
    with pytest.raises(DataError, match="20x20 pixels; expected: at least 21"):
        list(model.restore(ArrayImages(np.zeros((1, 20, 20, 3), np.uint8), ("a",)), device="cpu", progress=QUIET))


def test_padding_is_by_reflection() -> None:
    row = torch.arange(25.0).expand(1, 1, 25, 25)
    assert padded(row)[0, 0, 30, :21].tolist() == list(range(20, -1, -1))

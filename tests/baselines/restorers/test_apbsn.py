"""AP-BSN + R3: layout, blind spot, what surrounds the network, switches of inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.base import count_parameters
from baselines.restorers.apbsn.model import APBSN
from baselines.restorers.apbsn.networks import APBSNNetwork, BlindSpotNetwork, CentreMasked
from baselines.restorers.apbsn.procedure import interleaved, masks, phases, refined, self_ensemble, turned, turned_back
from senm.data.pool import ArrayImages
from senm.support.errors import DataError, SettingsError
from tests.baselines.systems.apbsn import seen_by
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import QUIET, pool, with_noise


def listed(layout: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(shape) for name, shape in layout.items()}


def test_layouts_and_size() -> None:
    network = APBSNNetwork()
    assert shapes(network) == listed(layouts("apbsn")["full_base128_modules9"])
    assert shapes(APBSNNetwork(8, 2)) == listed(layouts("apbsn")["small_base8_modules2"])
    assert [name for name, _ in APBSNNetwork(8, 2).named_parameters()] == layouts("apbsn")["parameter_order"]
    assert [name for name, _ in network.named_buffers()] == layouts("apbsn")["buffers"]
    assert count_parameters(network) == 3_656_131


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_no_output_pixel_depends_on_its_own_input_pixel(stride: int) -> None:
    torch.manual_seed(0)
    network = APBSNNetwork(8, 3).double()
    for at in (0, 9, 19):
        x = torch.rand(1, 3, 20, 20, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(network(x, stride, 2)[..., at, at].sum(), x)
        assert (gradient[..., at, at] == 0).all()
        assert (gradient != 0).any()


def test_the_network_sees_29_pixels_far_but_for_241_places() -> None:
    torch.manual_seed(0)
    network = BlindSpotNetwork(4).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    seen = seen_by(network, 63, 31)
    assert not seen[31, 31]
    assert np.flatnonzero(seen.any(0)).tolist()[:: seen.any(0).sum() - 1] == [2, 60]
    inside = np.zeros_like(seen)
    inside[2:61, 2:61] = True
    assert not (seen & ~inside).any()
    assert (inside & ~seen).sum() == 241


def test_a_centre_with_a_value_has_no_effect() -> None:
    torch.manual_seed(0)
    conv, x = CentreMasked(4, 3), torch.rand(1, 4, 8, 8)
    before = conv(x).detach()
    with torch.no_grad():
        conv.weight[..., 1, 1] = 5.0
    assert torch.equal(conv(x), before)
    assert (conv.weight[..., 1, 1] == 0).all()


def test_phases_and_back() -> None:
    x = torch.arange(2 * 3 * 12 * 6, dtype=torch.float32).reshape(2, 3, 12, 6)
    mosaic = phases(x, 3, 1)
    assert mosaic.shape == (2, 3, 18, 12)
    assert torch.equal(mosaic[..., 7:11, 9:11], x[..., 1::3, 2::3])
    assert torch.equal(interleaved(mosaic, 3, 1), x)


def test_refinement_replaces_the_share_it_is_told() -> None:
    noisy, first = torch.ones(1, 3, 50, 50), torch.zeros(1, 3, 50, 50)
    drawn = list(masks(noisy.shape, 0.16, 8, torch.Generator().manual_seed(0)))
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0][:, 0], drawn[0][:, 1])
    out = refined(lambda x: x, first, noisy, drawn)
    assert float(out.mean()) == pytest.approx(0.16, abs=0.01)


def test_the_self_ensemble_undoes_each_turn() -> None:
    x = torch.rand(1, 3, 4, 6)
    for quarters in range(4):
        for flip in (False, True):
            assert torch.equal(turned_back(turned(x, quarters, flip), quarters, flip), x)
    assert torch.allclose(self_ensemble(lambda y: 2 * y, x), 2 * x)


def model(**inference: Any) -> APBSN:
    torch.manual_seed(2)
    settings = APBSN.default_settings("smoke").but(inference=inference)
    return APBSN(APBSN.build(settings), settings)


def restored(system: APBSN, images: ArrayImages) -> list[np.ndarray]:
    return list(system.restore_exactly(images, device="cpu", progress=QUIET))


@pytest.mark.parametrize("change", [{"r3": False}, {"repeats": 2}, {"share": 0.5}, {"ensemble": True}, {"seed": 1},
                                    {"stride": 1}, {"stride": 3}], ids=str)
def test_every_switch_of_inference_changes_the_result(change: dict[str, Any]) -> None:
    images = with_noise(pool(1, 25))
    base, other = restored(model(), images)[0], restored(model(**change), images)[0]
    assert base.shape == other.shape == (25, 25, 3)
    assert not np.array_equal(base, other)


def test_the_masks_depend_on_the_pixels_only() -> None:
    images = with_noise(pool(2, 20))
    renamed = ArrayImages(images.array[[1]], ("another",))
    assert np.array_equal(restored(model(), images)[1], restored(model(), renamed)[0])


def test_bad_input_of_apbsn() -> None:
    with pytest.raises(SettingsError, match=r"training\.crop is 32; expected: a multiple of training\.stride, 5"):
        APBSN.default_settings("paper").but(training={"crop": 32})
    with pytest.raises(DataError, match="2x2 pixels; expected: at least 3"):
        restored(model(), ArrayImages(np.zeros((1, 2, 2, 3), np.uint8), ("a",)))


def test_the_rate_falls_after_epochs_8_and_16() -> None:
    training = APBSN.default_settings("paper").training
    assert [training.rate(step) for step in (0, 24_543, 24_544, 49_087, 49_088)] == pytest.approx(
        [1e-4, 1e-4, 1e-5, 1e-5, 1e-6])


def test_the_loss_is_on_the_scale_of_8_bit() -> None:
    class Zero(nn.Module):
        def forward(self, x: Tensor, stride: int, pad: int) -> Tensor:
            return 0 * x

    settings = APBSN.default_settings("smoke")
    loss = APBSN.objective(settings, [], 0)(Zero(), torch.full((1, 3, 30, 30), 0.5), np.zeros((1, 2)), 0)["loss"]
    assert float(loss) == pytest.approx(127.5)

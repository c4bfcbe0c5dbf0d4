"""Noise2Self: layouts, J-invariance, training on noisy images alone, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from baselines.base import count_parameters
from baselines.restorers.n2s.model import N2S, N2SSettings
from baselines.restorers.n2s.networks import DnCNN, Masker, SmallUNet, UNet, masked_loss, without_own_pixels
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, DataError, SettingsError, TrainingError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import Interrupt, fitting, noisy, pairs, pool, restored, with_noise


def tiny(network: dict[str, Any] | None = None, **training: Any) -> N2SSettings:
    base = {"steps": 4, "batch": 2, "crop": 16, "log_every": 1, "checkpoint_every": 1}
    settings: N2SSettings = N2S.default_settings("smoke")
    return settings.but(network={"width": 4, **(network or {})}, training={**base, **training})


def fit(folder: Path, settings: N2SSettings, **more: Any) -> N2S:
    return N2S.fit([noisy()], settings, **fitting(folder, **more))


@pytest.mark.parametrize(
    ("layout", "network", "count"),
    [("unet_rgb", UNet, 3_327_159), ("baby_rgb", SmallUNet, 72_675), ("dncnn_rgb", DnCNN, 558_336)],
)
def test_layouts_and_counts(layout: str, network: type[nn.Module], count: int) -> None:
    built = network()
    assert shapes(built) == {name: tuple(shape) for name, shape in layouts("n2s")[layout].items()}
    assert count_parameters(built) == count


def test_the_paper_s_network() -> None:
    assert count_parameters(N2S.build(N2S.default_settings("paper"))) == 3_327_159
    assert N2S.capabilities.needs_pairs is False


@pytest.mark.parametrize("network", [UNet(3, 4), SmallUNet(3, 4), DnCNN(3, 4, 6)], ids=lambda n: type(n).__name__)
@pytest.mark.parametrize("mode", ["interpolate", "zero"])
def test_an_output_pixel_does_not_depend_on_its_own_input_pixel(network: nn.Module, mode: Any) -> None:
    network, x = network.double().eval(), torch.rand(1, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    for masker in (Masker(4, mode), Masker(3, mode)):
        output = without_own_pixels(network, masker, x)
        for row, column in ((0, 0), (7, 9), (15, 2)):
            (gradient,) = torch.autograd.grad(output[0, :, row, column].sum(), x, retain_graph=True)
            assert (gradient[0, :, row, column] == 0).all()
            assert gradient.abs().max() > 0


def test_phases_hide_every_pixel_once_and_the_loss_is_over_all_pixels() -> None:
    masker, x = Masker(4), torch.rand(2, 3, 10, 9)
    assert torch.equal(torch.stack([masker.mask(x, i) for i in range(16)]).sum(0), torch.ones(10, 9))
    constant = nn.Identity()
    mask = masker.mask(x, 3)
    error = ((masker.hide(x, mask) - x) * mask).square().mean()
    assert torch.allclose(masked_loss(constant, masker, x, 3), error)


def test_saved_and_loaded_restores_the_same_in_any_order(tmp_path: Path) -> None:
    model = fit(tmp_path / "work", tiny())
    model.save(tmp_path / "saved")
    again = N2S.load(tmp_path / "saved", "cpu")
    assert again.settings == model.settings
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (2, 21, 27, 3), dtype=np.uint8), "ab")
    first, second = restored(model, images), restored(again, images.subset([1, 0]))
    assert first[0].shape == (21, 27, 3)
    assert np.array_equal(first[0], second[1])
    assert np.array_equal(first[1], second[0])


@pytest.mark.parametrize("selection", ["none", "last_phase"])
def test_resume_equals_an_uninterrupted_run(tmp_path: Path, selection: str) -> None:
    settings = tiny(selection=selection, select_every=1)
    whole = fit(tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "parts", settings, progress=Interrupt(3))
    parts = fit(tmp_path / "parts", settings)
    for mine, other in zip(whole.network.state_dict().values(), parts.network.state_dict().values(), strict=True):
        assert torch.equal(mine, other)
    other_seed = fit(tmp_path / "c", settings, seed=4)
    assert not np.array_equal(restored(whole, noisy()), restored(other_seed, noisy()))


@pytest.mark.parametrize(
    "change",
    [{"mode": "zero"}, {"width": 3}, {"schedule": "constant"}, {"augment": False}, {"lr": 1e-3}, {"crop": 32},
     {"selection": "last_phase", "select_every": 1}, {"batch": 3}],
    ids=str,
)
def test_every_switch_changes_the_result(change: dict[str, Any], tmp_path: Path) -> None:
    images = with_noise(pool(side=40))

    def run(name: str, **more: Any) -> dict[str, torch.Tensor]:
        settings = tiny(**{"steps": 20, "width": 4, **more})
        return N2S.fit([images], settings, **fitting(tmp_path / name)).network.state_dict()

    first, second = run("a"), run("b", **change)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_both_ways_of_restoring_differ(tmp_path: Path) -> None:
    fit(tmp_path / "a", tiny()).save(tmp_path / "saved")
    again = fit(tmp_path / "b", tiny().but(inference={"passes": "all_phases"}))
    single = restored(N2S.load(tmp_path / "saved", "cpu"), noisy())
    assert not np.array_equal(single[0], restored(again, noisy())[0])


@pytest.mark.parametrize("kind", ["unet", "dncnn"])
def test_the_other_networks_train(kind: str, tmp_path: Path) -> None:
    model = fit(tmp_path, tiny({"kind": kind, "depth": 3}, steps=2))
    assert restored(model, noisy())[0].shape == (24, 24, 3)


def test_bad_input_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no noisy images"):
        N2S.fit([], tiny(), **fitting(tmp_path / "a"))
    with pytest.raises(DataError, match="no pairs"):
        N2S.fit([pairs()], tiny(), **fitting(tmp_path / "b"))
    with pytest.raises(DataError, match="24x24 pixels"):
        fit(tmp_path / "c", tiny(crop=32))
    with pytest.raises(SettingsError, match="multiple of 16"):
        tiny(crop=24)
    with pytest.raises(SettingsError, match="width"):
        tiny(width=1)
    with pytest.raises(TrainingError):
        fit(tmp_path / "e", tiny({"kind": "unet"}, lr=1e30, schedule="constant", steps=20, skip_limit=0))
    N2S.fit([noisy().subset([0])], tiny(), **fitting(tmp_path / "one")).save(tmp_path / "saved")
    with pytest.raises(CheckpointError, match="layer"):
        fit(tmp_path / "two", tiny({"width": 5}), start=tmp_path / "saved")

"""Noise2Void: layouts, blind pixels, masks, training on noisy images alone, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import count_parameters
from baselines.restorers.n2v.masking import box_size, masked
from baselines.restorers.n2v.model import N2V, N2VSettings
from baselines.restorers.n2v.networks import Channels, Normalised
from baselines.restorers.n2v.training import Plateau
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, DataError, SettingsError, TrainingError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import Interrupt, fitting, noisy, pairs, restored


def tiny(**training: Any) -> N2VSettings:
    base = {"steps": 4, "epoch": 2, "batch": 2, "crop": 16, "validation": 2, "log_every": 1, "checkpoint_every": 1}
    settings: N2VSettings = N2V.default_settings("smoke").but(network={"width": 4}, training={**base, **training})
    return settings


def fit(folder: Path, settings: N2VSettings, **more: Any) -> N2V:
    return N2V.fit([noisy()], settings, **fitting(folder, **more))


@pytest.mark.parametrize(
    ("layout", "network", "count"),
    [
        ("full_gray", {"channels": 1}, 795_969),
        ("full_rgb_per_channel", {}, 2_387_907),
        ("joint_rgb_notebook", {"depth": 3, "width": 64, "kernel": 3, "joint": True}, None),
    ],
)
def test_layouts_and_counts(layout: str, network: dict[str, Any], count: int | None) -> None:
    built = Channels(**network)
    assert shapes(built) == {name: tuple(shape) for name, shape in layouts("n2v")[layout].items()}
    assert count in (None, count_parameters(built))
    assert count_parameters(Channels(joint=True)) == 797_635


def test_the_paper_s_settings_are_the_published_defaults() -> None:
    network = N2V.build(N2V.default_settings("paper"))
    assert isinstance(network, Normalised)
    assert count_parameters(network) == 2_387_907
    assert N2V.capabilities.needs_pairs is False


def test_the_loss_at_a_hidden_pixel_does_not_see_its_value() -> None:
    rng = np.random.default_rng(0)
    patch = rng.random((1, 1, 16, 16))
    inputs, mask = masked(patch, 8, np.random.default_rng(1), "mean")
    other = np.where(mask, rng.random(patch.shape), patch)
    again, same = masked(other, 8, np.random.default_rng(1), "mean")
    assert np.array_equal(mask, same)
    assert mask.sum() == 4
    assert np.allclose(inputs, again)


def test_boxes_hold_one_hidden_pixel_each() -> None:
    _, mask = masked(np.zeros((2, 3, 64, 64)), box_size(1.5), np.random.default_rng(0))
    assert (mask.reshape(2, 3, 8, 8, 8, 8).sum((3, 5)) == 1).all()
    _, shared = masked(np.zeros((1, 3, 64, 64)), 8, np.random.default_rng(0), shared=True)
    assert np.array_equal(shared[:, 0], shared[:, 2])


def test_each_network_reads_its_own_channel_unless_all_read_the_last() -> None:
    x = torch.rand(1, 3, 8, 8)
    other = x.clone()
    other[:, 0] = 0.5
    for last in (False, True):
        network = Channels(width=2, read_last=last).eval()
        first, second = network(x), network(other)
        assert torch.equal(first[:, 1:], second[:, 1:])
        assert torch.equal(first[:, 0], second[:, 0]) is last


def test_saved_and_loaded_restores_the_same_in_any_order(tmp_path: Path) -> None:
    model = fit(tmp_path / "work", tiny())
    model.save(tmp_path / "saved")
    again = N2V.load(tmp_path / "saved", "cpu")
    assert again.settings == model.settings
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (2, 21, 27, 3), dtype=np.uint8), "ab")
    first, second = restored(model, images), restored(again, images.subset([1, 0]))
    assert first[0].shape == (21, 27, 3)
    assert np.array_equal(first[0], second[1])
    assert np.array_equal(first[1], second[0])
    assert np.abs(first[0].astype(int) - first[1]).max() > 0


def test_the_same_seed_gives_the_same_and_resume_goes_on(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", tiny())
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "parts", tiny(), progress=Interrupt(3))
    parts = fit(tmp_path / "parts", tiny())
    for mine, other in zip(whole.network.state_dict().values(), parts.network.state_dict().values(), strict=True):
        assert torch.equal(mine, other)
    assert not np.array_equal(restored(whole, noisy()), restored(fit(tmp_path / "c", tiny(), seed=4), noisy()))


@pytest.mark.parametrize(
    "change",
    [{"loss": "mse"}, {"manipulator": "median"}, {"manipulator": "mean"}, {"manipulator": "normal_withoutCP"},
     {"percent": 6.0}, {"radius": 1}, {"augment": False}, {"lr": 1e-3, "patience": 1, "epoch": 1}],
    ids=str,
)
def test_every_switch_changes_the_result(change: dict[str, Any], tmp_path: Path) -> None:
    def run(name: str, **more: Any) -> dict[str, torch.Tensor]:
        return fit(tmp_path / name, tiny(lr=1e-2, **more) if "lr" not in more else tiny(**more)).network.state_dict()

    first, second = run("a"), run("b", **change)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_the_rate_halves_where_validation_stands_still_and_the_best_weights_stay() -> None:
    network = torch.nn.Linear(1, 1)
    plateau = Plateau(network, 2)
    plateau.saw(1.0)
    with torch.no_grad():
        kept = network.weight.clone()
        network.weight.add_(1)
    plateau.saw(2.0)
    assert plateau.factor == 1
    plateau.saw(1.0)
    assert plateau.factor == 0.5
    assert torch.equal(plateau.kept["weight"], kept)


def test_averaging_eight_ways_changes_little_but_something(tmp_path: Path) -> None:
    model = fit(tmp_path, tiny())
    one = restored(model, noisy())[0]
    assert isinstance(model.network, Normalised)
    model.network.ways = 8
    assert not np.array_equal(one, restored(model, noisy())[0])


def test_bad_input_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no noisy images"):
        N2V.fit([], tiny(), **fitting(tmp_path / "a"))
    with pytest.raises(DataError, match="no pairs"):
        N2V.fit([pairs()], tiny(), **fitting(tmp_path / "b"))
    with pytest.raises(DataError, match="24x24 pixels"):
        fit(tmp_path / "c", tiny(crop=32))
    flat = ArrayImages(np.full((1, 24, 24, 3), 9, dtype=np.uint8), "a")
    with pytest.raises(DataError, match="the same value everywhere"):
        N2V.fit([flat], tiny(), **fitting(tmp_path / "d"))
    with pytest.raises(SettingsError, match="crop"):
        tiny(crop=18)
    with pytest.raises(TrainingError):
        fit(tmp_path / "e", tiny(lr=1e38, steps=20, skip_limit=0))


def test_one_image_is_enough_and_a_checkpoint_of_another_layout_is_refused(tmp_path: Path) -> None:
    N2V.fit([noisy().subset([0])], tiny(), **fitting(tmp_path / "one")).save(tmp_path / "saved")
    wider = tiny().but(network={"width": 5})
    with pytest.raises(CheckpointError, match="layer"):
        fit(tmp_path / "two", wider, start=tmp_path / "saved")

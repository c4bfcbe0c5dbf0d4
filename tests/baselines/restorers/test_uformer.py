"""Uformer: layout, restoring, stochastic depth, mixing, rates, switches, bad input."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import count_parameters
from baselines.restorers.uformer.model import Uformer
from baselines.restorers.uformer.networks import StochasticDepth, stochastic, uformer
from baselines.restorers.uformer.training import Mixing, epoch_rate, mixed
from senm.support.errors import CheckpointError, DataError, SettingsError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import Interrupt, fitting, pairs
from tests.baselines.trained import check_restorer, published

SMOKE = Uformer.default_settings("smoke").but(
    network={"width": 2, "heads": (1,) * 9, "window": 2, "side": 16, "drop_path": 0.5},
    training={"steps": 6, "crop": 16, "batch": 2, "warmup": 2, "mixup_from": 3, "log_every": 1, "checkpoint_every": 2},
)


def parameters(settings: Any, folder: Path, **changes: Any) -> list[torch.Tensor]:
    return list(Uformer.fit([pairs()], settings, **fitting(folder, **changes)).network.parameters())


@pytest.mark.parametrize(("size", "layout", "count"), [
    ({}, "full Uformer_B", 50_880_946),
    ({"width": 8, "depths": (1, 2, 2, 2, 2, 2, 2, 2, 1)}, "small embed_dim=8 depths=1,2,2,2,2,2,2,2,1", 1_378_474),
], ids=["full", "small"])
def test_the_layout_is_the_published_one(
    size: dict[str, Any], layout: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spandrel.architectures.Uformer.__arch.Uformer.trunc_normal_", lambda tensor, std: tensor)
    network = uformer(**size)
    assert shapes(network) == {name: tuple(shape) for name, shape in layouts("uformer")[layout].items()}
    assert count_parameters(network) == count
    if not size:
        published(Uformer, network, tmp_path / "Uformer_B.pth", wrap=True)


def test_fit_restore_save_load(tmp_path: Path) -> None:
    check_restorer(Uformer, SMOKE, tmp_path, side=21)


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = parameters(SMOKE, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        parameters(SMOKE, tmp_path / "parts", progress=Interrupt(3))
    parts = parameters(SMOKE, tmp_path / "parts")
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


@pytest.mark.parametrize("change", [
    {"training": {"mixup": 0.0}}, {"training": {"mixup": 0.2}}, {"training": {"mixup_from": 5}},
    {"training": {"epoch": 2}}, {"training": {"recent_torch": True}}, {"training": {"weight_decay": 0.5}},
    {"training": {"warmup": 0}}, {"training": {"final_lr": 5e-4}}, {"training": {"augment": False}},
    {"network": {"drop_path": 0.0}}, {"network": {"side": 32}, "training": {"crop": 32}},
], ids=str)
def test_every_switch_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    sources = [pairs(side=32)]

    def trained(settings: Any, folder: str) -> torch.nn.Module:
        return Uformer.fit(sources, settings, **fitting(tmp_path / folder)).network

    plain, other = trained(SMOKE, "a"), trained(SMOKE.but(**change), "b")
    names = {name for name, _ in plain.named_parameters()}
    assert any(not torch.equal(plain.state_dict()[name], other.state_dict()[name]) for name in names)


def test_stochastic_depth_keeps_the_mean_and_is_off_when_restoring() -> None:
    place = StochasticDepth(0.25)
    place.generator = torch.Generator().manual_seed(0)
    branch = torch.ones(4_000, 2, 2)
    out = place(branch)
    assert sorted(set(out[:, 0, 0].tolist())) == pytest.approx([0, 4 / 3])
    assert float(out.mean()) == pytest.approx(1, abs=0.03)
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    assert torch.equal(place.eval()(branch), branch)


def test_branches_are_left_out_in_training_only() -> None:
    torch.manual_seed(0)
    network, image = uformer(2, (1,) * 9, (1,) * 9, 2, 16, drop_path=0.9), torch.rand(2, 3, 16, 16)
    assert len(list(stochastic(network))) == 7  # the first and the last of nine blocks leave nothing out
    with torch.no_grad():
        assert not torch.equal(network.train()(image), network.train()(image))
        assert torch.equal(network.eval()(image), network.eval()(image))


def test_mixing_of_pairs() -> None:
    images = torch.arange(3.0)[:, None, None, None].expand(3, 3, 2, 2)
    out = mixed(images, np.array([1.0, 0.25, 0.5]), np.array([2, 0, 1]))
    assert out[:, 0, 0, 0].tolist() == [0.0, 0.25, 1.5]


def test_crops_are_mixed_from_the_named_epoch_on_with_one_share_for_both_sides() -> None:
    images = torch.rand(8, 3, 16, 16)
    sampler: Any = SimpleNamespace(batch=lambda number: (images, images), seed=0)
    network = uformer(2, (1,) * 9, (1,) * 9, 2, 16)
    run = Mixing(network, sampler, SMOKE.training.but(epoch=2, mixup_from=3, steps=8), "cpu")
    assert torch.equal(run.batch(3)[0], images)
    noisy, clean = run.batch(4)
    assert torch.equal(noisy, clean) and not torch.equal(noisy, images)


def test_rates_by_epoch() -> None:
    paper = Uformer.default_settings("paper").training
    assert [round(epoch_rate(paper, epoch) * 1e4, 6) for epoch in (1, 2, 3, 4)] == [0.666667, 1.333333, 2.0, 2.0]
    assert epoch_rate(paper, 250) == pytest.approx(1.008e-6, rel=1e-4)
    assert epoch_rate(paper.but(recent_torch=True), 4) == pytest.approx(2.000080e-4, rel=1e-6)


def test_images_are_restored_in_the_middle_of_a_square_of_zeros() -> None:
    seen: list[torch.Tensor] = []

    class Same(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(image)
            return image

    image = torch.rand(1, 3, 20, 40)
    restorer = Uformer(Same(), SMOKE)
    assert torch.equal(restorer._padded(restorer.network, image), image)
    assert seen[0].shape == (1, 3, 48, 48)
    assert float(seen[0][..., :14, :].abs().max()) == 0 and torch.equal(seen[0][..., 14:34, 4:44], image)


@pytest.mark.parametrize(("change", "sentence"), [
    ({"training": {"crop": 24}}, "a multiple of 16 pixels"),
    ({"network": {"side": 24}}, "a multiple of 16 windows"),
    ({"network": {"window": 3}}, "an even number"),
    ({"network": {"heads": (3,) * 9}}, "a divisor"),
    ({"network": {"depths": (0,) * 9}}, "at least one block"),
    ({"training": {"warmup": 3, "epoch": 2}}, "a multiple of training.epoch"),
    ({"training": {"warmup": 6}}, "less than training.steps"),
])
def test_bad_settings_are_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        SMOKE.but(**change)


def test_bad_data_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 16x16"):
        Uformer.fit([pairs(side=12)], SMOKE, **fitting(tmp_path / "work"))
    Uformer(Uformer.initialised(SMOKE, 0), SMOKE).save(tmp_path / "saved")
    torch.save({"state_dict": {"input_proj.proj.0.weight": torch.zeros(2, 3, 3, 3)}}, tmp_path / "saved" / "x.pth")
    with pytest.raises(CheckpointError, match="lacks layer|has shape"):
        Uformer.initialised(SMOKE, 0, tmp_path / "saved" / "x.pth")

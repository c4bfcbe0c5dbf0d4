"""DeamNet: layout, restoring, what is trained and what is not, switches, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.base import count_parameters
from baselines.restorers.deamnet.model import DeamNet
from baselines.restorers.deamnet.networks import DeamNetwork
from senm.support.errors import CheckpointError, DataError, SettingsError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import fitting, pairs
from tests.baselines.trained import check_restorer, fit, published, state

SMOKE = DeamNet.default_settings("smoke").but(
    network={"width": 4},
    training={"steps": 3, "batch": 2, "crop": 16, "log_every": 1, "checkpoint_every": 2, "milestones": (2,)},
)


@pytest.mark.parametrize(("channels", "layout", "count"), [
    (3, "RGB Deam(True)", 2_228_131), (1, "grey Deam(False)", 2_225_825),
])
def test_the_layout_is_the_published_one(channels: int, layout: str, count: int) -> None:
    with torch.device("meta"):
        network = DeamNetwork(channels=channels)
    assert shapes(network) == {name: tuple(shape) for name, shape in layouts("deamnet")[layout].items()}
    assert count_parameters(network) == count


def test_fit_restore_save_load(tmp_path: Path) -> None:
    check_restorer(DeamNet, SMOKE, tmp_path, side=21)


def test_unused_layers_stay_as_they_are_and_all_others_move(tmp_path: Path) -> None:
    start = DeamNet.initialised(SMOKE, seed=3)
    before = {name: value.clone() for name, value in start.named_parameters()}
    after = dict(fit(DeamNet, SMOKE, tmp_path).network.named_parameters())
    still = {name for name in before if torch.equal(before[name], after[name])}
    unused = {name for name in before if name.startswith(("net2.conv_dila", "net2.cat1"))}
    assert still == unused
    full = layouts("deamnet")["RGB Deam(True)"]
    assert sum(torch.Size(full[name]).numel() for name in unused) == 352_512


@pytest.mark.parametrize("change", [
    {"loss": "l1"}, {"lr": 1e-5}, {"milestones": ()}, {"gamma": 0.9}, {"augment": False}, {"precision": "bf16"},
], ids=str)
def test_every_switch_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    plain = fit(DeamNet, SMOKE, tmp_path / "a")
    other = fit(DeamNet, SMOKE.but(training=change), tmp_path / "b")
    assert any(not torch.equal(a, b) for a, b in zip(state(plain), state(other), strict=True))


def test_gates_lie_between_nothing_and_all() -> None:
    torch.manual_seed(0)
    network = DeamNetwork(8, 2)
    with torch.no_grad():
        _, deltas, last = network.stages(torch.rand(1, 3, 16, 32))
    assert len(deltas) == 4
    assert all(0 < float(delta.min()) and float(delta.max()) < 1 for delta in deltas)
    assert last.shape == (1, 8, 16, 32)


def test_published_weights(tmp_path: Path) -> None:
    published(DeamNet, DeamNetwork(), tmp_path / "Real.pth", wrap=False)


def test_the_grey_network_is_refused(tmp_path: Path) -> None:
    torch.save(DeamNetwork(channels=1).state_dict(), tmp_path / "noise25.pth")
    with pytest.raises(CheckpointError, match=r"layer 'transform_function\.ext\.conv2d\.weight' has shape"):
        DeamNet.from_published(tmp_path / "noise25.pth")


def test_bad_settings_and_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="multiple of 16"):
        SMOKE.but(training={"crop": 24})
    with pytest.raises(DataError, match="at least 16x16"):
        DeamNet.fit([pairs(side=12)], SMOKE, **fitting(tmp_path))

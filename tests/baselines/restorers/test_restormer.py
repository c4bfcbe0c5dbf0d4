"""Restormer: layout, phases, mixing, fitting, and published files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import Restorer, count_parameters
from baselines.fitting.mixup import blended, mixup
from baselines.restorers.restormer.model import Restormer, RestormerSettings, RestormerSize
from baselines.restorers.restormer.networks import BiasFreeNorm, ChannelAttention, RestormerNetwork
from baselines.restorers.restormer.training import Progressive, RestormerTraining, phase, rate
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, DataError, SettingsError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import QUIET, Interrupt, fitting, pairs, pool, restored, with_noise

SMOKE = Restormer.default_settings("smoke")
SIDE = 40


def trained(folder: Path, progress: Any = QUIET, seed: int = 3) -> Restormer:
    return Restormer.fit([pairs(4, SIDE)], SMOKE, **fitting(folder, progress=progress, seed=seed))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Restormer:
    return trained(tmp_path_factory.mktemp("restormer"))


def test_the_layout_is_the_published_one() -> None:
    with torch.device("meta"):
        full = RestormerNetwork()
    assert shapes(full) == {name: tuple(shape) for name, shape in layouts("restormer")["full"].items()}
    assert count_parameters(full) == 26_111_668
    small = RestormerNetwork(width=16, blocks=(1, 2, 1, 1), refinement=1)
    (found,) = [value for name, value in layouts("restormer").items() if name.startswith("small")]
    assert shapes(small) == {name: tuple(shape) for name, shape in found.items()}
    assert count_parameters(small) == 829_179


def test_the_class_keeps_the_contract() -> None:
    assert isinstance(Restormer, Restorer)
    assert Restormer.name == "restormer"
    assert Restormer.capabilities.trains
    assert Restormer.default_settings("paper") == RestormerSettings()


def test_what_is_fitted_is_restored_saved_and_read_again(model: Restormer, tmp_path: Path) -> None:
    images = with_noise(pool(3, 21, prefix="odd"))
    first = restored(model, images)
    assert [image.shape for image in first] == [(21, 21, 3)] * 3
    model.save(tmp_path)
    again = restored(Restormer.load(tmp_path, "cpu"), ArrayImages(images.array[::-1].copy(), images.names[::-1]))
    assert all(np.array_equal(a, b) for a, b in zip(first, again[::-1], strict=True))


def test_a_seed_and_an_interrupted_training_give_the_same_weights(model: Restormer, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, Interrupt(15))
    state = trained(tmp_path).network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.network.state_dict().items())
    other = Restormer.initialised(SMOKE, 4).state_dict()
    assert not torch.equal(other["output.weight"], Restormer.initialised(SMOKE, 3).state_dict()["output.weight"])


def test_attention_does_not_depend_on_the_scale_of_its_queries_and_keys() -> None:
    torch.manual_seed(0)
    layer = ChannelAttention(8, 2)
    x = torch.rand(1, 8, 5, 6)
    before = layer(x)
    with torch.no_grad():
        layer.qkv.weight[:16] *= 7
    assert torch.allclose(before, layer(x), atol=1e-6)


def test_the_norm_keeps_the_mean() -> None:
    x = torch.rand(1, 6, 2, 2) + 3
    assert torch.allclose(BiasFreeNorm(6)(x) * torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-5), x)


def test_patches_grow_and_batches_shrink() -> None:
    settings = SMOKE.training
    sampler: Any = SimpleNamespace(seed=1, batch=lambda number: (torch.rand(4, 3, 32, 32), torch.rand(4, 3, 32, 32)))
    run = Progressive(torch.nn.Conv2d(3, 3, 1), sampler, settings, "cpu")
    sizes = [tuple(run.batch(number)[0].shape) for number in (0, 11, 12, 18, 23)]
    assert sizes == [(4, 3, 16, 16), (4, 3, 16, 16), (2, 3, 24, 24), (1, 3, 32, 32), (1, 3, 32, 32)]
    assert phase(settings, 10_000) == (32, 1)


def test_each_share_of_a_batch_is_cut_at_one_position_on_both_sides() -> None:
    settings = RestormerTraining(batch=4, crop=16, gpus=2, phases=((10, 8, 2),), mixup=0.0, steps=10, hold=1)
    at = torch.arange(256.0).reshape(1, 1, 16, 16).expand(4, 3, 16, 16) + 1_000 * torch.arange(4.0)[:, None, None, None]
    sampler: Any = SimpleNamespace(seed=1, batch=lambda number: (at, at + 0.5))
    run = Progressive(torch.nn.Conv2d(3, 3, 1), sampler, settings, "cpu")
    drawn = [run.batch(number) for number in range(6)]
    for noisy, clean in drawn:
        assert torch.equal(noisy + 0.5, clean)
        corners = noisy[:, 0, 0, 0] % 1_000
        assert corners[0] == corners[1]
        assert corners[2] == corners[3]
        assert set((noisy[:, 0, 0, 0] // 1_000).tolist()) == {0.0, 1.0, 2.0, 3.0}
    assert len({float(noisy[0, 0, 0, 0]) for noisy, _ in drawn}) > 1


def test_mixup_treats_both_sides_alike_and_can_be_switched_off() -> None:
    a = torch.rand(6, 3, 4, 4)
    draw = np.random.default_rng(0)
    noisy, clean = mixup(a, a + 1, draw, 1.0, 1.2)
    assert torch.allclose(noisy + 1, clean)
    assert not torch.equal(noisy, a)
    assert mixup(a, a, draw, 0.0, 1.2)[0] is a
    assert torch.allclose(blended(a, 0.25, [1, 0, 2, 3, 4, 5])[0], 0.25 * a[0] + 0.75 * a[1])


def test_the_rate_is_held_and_then_falls() -> None:
    paper = RestormerTraining()
    assert rate(paper, 0) == rate(paper, 92_000) == 3e-4
    assert rate(paper, 92_001) < 3e-4
    assert rate(paper.but(schedule="constant"), 200_000) == 3e-4
    assert rate(paper.but(warmup=10), 4) == pytest.approx(1.5e-4)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"phases": ()}, "one phase or more"),
        ({"phases": ((10, 128, 8), (5, 160, 5))}, "each ending after"),
        ({"phases": ((10, 392, 8),)}, "at most training.crop, 384"),
        ({"phases": ((10, 100, 8),)}, "a multiple of 8"),
        ({"phases": ((10, 128, 9),)}, "1 to 8"),
        ({"batch": 60}, "a multiple of training.gpus, 8"),
    ],
)
def test_settings_that_cannot_train_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        RestormerTraining().but(**changes)


def test_heads_that_do_not_divide_are_refused(tmp_path: Path) -> None:
    settings = SMOKE.but(network=RestormerSize(width=10, heads=(3, 1, 1, 1)).model_dump())
    with pytest.raises(SettingsError, match="heads that divide"):
        Restormer.fit([pairs(2, SIDE)], settings, **fitting(tmp_path))


def test_published_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Restormer, "default_settings", classmethod(lambda cls, scale: SMOKE))
    network = Restormer.initialised(SMOKE, 5)
    torch.save({"params": network.state_dict()}, tmp_path / "real_denoising.pth")
    opened = Restormer.from_published(tmp_path / "real_denoising.pth")
    assert torch.equal(opened.network.state_dict()["output.weight"], network.state_dict()["output.weight"])
    with pytest.raises(CheckpointError, match="no checkpoint"):
        Restormer.from_published(tmp_path / "absent.pth")
    torch.save({"params": {"output.weight": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="patch_embed"):
        Restormer.from_published(tmp_path / "other.pth")


def test_images_smaller_than_a_crop_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        Restormer.fit([pairs(2, 24)], SMOKE, **fitting(tmp_path))

"""The restorers that train on noisy images alone: AP-BSN, SDAP and CVF-SID behind the same contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import SCALES, Restorer
from baselines.fitting.noisy_only import NoisySampler
from baselines.restorers.apbsn.model import APBSN
from baselines.restorers.cvf_sid.model import CVFSID
from baselines.restorers.sdap.model import SDAP
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, DataError, SettingsError, TrainingError
from tests.baselines.tiny import QUIET, Interrupt, fitting, pairs, pool, restored, with_noise

SYSTEMS = [APBSN, SDAP, CVFSID]
every = pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)


def tiny(system: Any, **training: Any) -> Any:
    base = {"steps": 2, "batch": 2, "log_every": 1, "checkpoint_every": 1}
    return system.default_settings("smoke").but(training={**base, **training})


def noisy(count: int = 3, side: int = 36, seed: int = 0, prefix: str = "image") -> ArrayImages:
    return with_noise(pool(count, side, seed, prefix))


def fitted(system: Any, folder: Path, sources: Any = None, settings: Any = None, **changes: Any) -> Any:
    return system.fit([noisy()] if sources is None else sources, settings or tiny(system), **fitting(folder, **changes))


@every
def test_smoke_scale_trains_restores_saves_and_loads(system: Any, tmp_path: Path) -> None:
    model = fitted(system, tmp_path / "work", [noisy(2), noisy(2, 44, 3, "other")], system.default_settings("smoke"))
    assert isinstance(model, Restorer)
    assert not system.capabilities.needs_pairs
    images = noisy(2, 27, 7)
    out = restored(model, images)
    assert all(image.shape == (27, 27, 3) and image.dtype == np.uint8 for image in out)
    model.save(tmp_path / "saved")
    again = system.load(tmp_path / "saved", "cpu")
    assert again.settings == model.settings
    assert all(np.array_equal(a, b) for a, b in zip(out, restored(again, images), strict=True))
    turned = restored(again, images.subset([1, 0]))
    assert np.array_equal(turned[0], out[1])
    exact = list(model.restore_exactly(images, device="cpu", progress=QUIET))
    assert np.array_equal(np.rint(exact[0] * 255).astype(np.uint8), out[0])


@every
def test_a_seed_decides_and_resume_equals_an_uninterrupted_run(system: Any, tmp_path: Path) -> None:
    settings = tiny(system, steps=4, ema=0.5)
    whole = fitted(system, tmp_path / "whole", settings=settings)
    with pytest.raises(KeyboardInterrupt):
        fitted(system, tmp_path / "parts", settings=settings, progress=Interrupt(3))
    parts = fitted(system, tmp_path / "parts", settings=settings)
    other = fitted(system, tmp_path / "other", settings=settings, seed=4)
    assert same(whole, parts)
    assert not same(whole, other)
    assert (tmp_path / "whole" / "log.jsonl").read_text() == (tmp_path / "parts" / "log.jsonl").read_text()


@every
def test_one_step_changes_every_parameter_that_matters(system: Any, tmp_path: Path) -> None:
    first = fitted(system, tmp_path / "a", settings=tiny(system, steps=1)).network.state_dict()
    second = fitted(system, tmp_path / "b", settings=tiny(system, steps=2)).network.state_dict()
    still = {name for name in first if torch.equal(first[name], second[name])}
    assert {name for name in still if not name.endswith("mask")} <= {"gen_noise.gen_noise_w.8.bias",
                                                                     "gen_noise.gen_noise_b.8.bias"}


COMMON = [{"lr": 1e-2}, {"betas": (0.5, 0.9)}, {"weight_decay": 0.1}, {"ema": 0.5}, {"augment": False}, {"batch": 1}]
OWN = {
    "apbsn": [{"milestones": (1,)}, {"stride": 3}, {"crop": 15}],
    "sdap": [{"stride": 3}, {"crop": 15}, {"second": {"steps": 1, "crop": 25, "batch": 1}}],
    "cvf_sid": [{"decay_every": 1}, {"crop": 30}, {"amsgrad": False, "steps": 4}],
}


@pytest.mark.parametrize(("system", "change"), [(s, c) for s in SYSTEMS for c in COMMON + OWN[s.name]], ids=str)
def test_every_switch_of_training_changes_the_result(system: Any, change: dict[str, Any], tmp_path: Path) -> None:
    start = tiny(system, steps=change.get("steps", 2))
    base = fitted(system, tmp_path / "a", settings=start)
    assert not same(base, fitted(system, tmp_path / "b", settings=start.but(training=change)))


@every
def test_weights_to_start_from(system: Any, tmp_path: Path) -> None:
    settings = tiny(system, steps=1)
    fitted(system, tmp_path / "a", settings=settings).save(tmp_path / "saved")
    started = fitted(system, tmp_path / "b", settings=settings.but(training={"lr": 1e-12}), start=tmp_path / "saved")
    saved, found = system.load(tmp_path / "saved", "cpu").network.state_dict(), started.network.state_dict()
    for name, value in saved.items():
        mask = saved.get(name.replace(".weight", ".mask"), torch.ones(()))  # a centre that has no effect may differ
        assert torch.allclose(value * mask, found[name] * mask, atol=1e-9)


@every
def test_bad_input_gets_one_sentence(system: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no noisy images"):
        fitted(system, tmp_path, [])
    with pytest.raises(DataError, match=r"Pairs as training data.*noisy images only"):
        fitted(system, tmp_path, [pairs()])
    with pytest.raises(DataError, match="image0 is 12x12 pixels"):
        fitted(system, tmp_path, [noisy(1, 12)])
    with pytest.raises(TrainingError, match="in a row"):
        fitted(system, tmp_path / "diverges", settings=tiny(system, lr=1e30, steps=8, skip_limit=0))
    with pytest.raises(SettingsError, match="unknown setting 'stepps'"):
        tiny(system, stepps=3)
    others = [each for each in SYSTEMS if each is not system]
    others[0](others[0].build(others[0].default_settings("smoke")), others[0].default_settings("smoke")).save(
        tmp_path / "other")
    with pytest.raises(CheckpointError, match="belongs to"):
        system.load(tmp_path / "other", "cpu")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        system.from_published(tmp_path / "other" / "model.safetensors")


@every
def test_one_grey_image_is_enough(system: Any, tmp_path: Path) -> None:
    grey = ArrayImages(np.repeat(noisy(1).array[..., :1], 3, -1), ("grey",))
    (out,) = restored(fitted(system, tmp_path, [grey]), grey)
    assert out.shape == (36, 36, 3)


@every
def test_published_weights_of_the_right_layout_are_taken(system: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = system.build(system.default_settings("paper"))
    state = network.state_dict()
    wrapped = {"apbsn": {"epoch": 20, "model_weight": {"denoiser": state}, "optimizer_weight": {}},
               "cvf_sid": {"arch": "Model", "epoch": 5, "state_dict": {f"module.{k}": v for k, v in state.items()}}}
    torch.save(wrapped.get(system.name, state), tmp_path / "published.pth")
    taken = system.from_published(tmp_path / "published.pth").network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in taken.items())


@every
def test_tiles_change_nothing(system: Any) -> None:
    torch.manual_seed(1)
    settings = system.default_settings("smoke")
    settings = settings.but(inference={"enhance": True}) if system is SDAP else settings
    model = system(system.build(settings), settings)
    images = noisy(1, 120)
    (whole,) = model.restore_exactly(images, device="cpu", progress=QUIET)
    model.whole, model.tile, model.overlap = 1000, 84, 30
    (tiled,) = model.restore_exactly(images, device="cpu", progress=QUIET)
    assert np.abs(whole - tiled).max() < 1e-5
    assert np.ptp(whole) > 0


def test_scales_are_settings_of_every_system() -> None:
    for system in SYSTEMS:
        assert len({system.default_settings(scale) for scale in SCALES}) == 3
        assert system.default_settings("paper") == system.settings_type()


def test_the_sampler_draws_every_pool_and_says_where_from() -> None:
    first, second = noisy(2), noisy(3, 40, 3, "other")
    sampler = NoisySampler([first, second], batch=40, crop=20, seed=1, turn=False)
    crops, origins = sampler.batch(0)
    assert crops.shape == (40, 3, 20, 20)
    assert {tuple(each) for each in origins.tolist()} == {(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)}
    for crop, (source, image) in zip(crops, origins, strict=True):
        whole = (first, second)[source][image]
        wanted = (crop.permute(1, 2, 0) * 255).round().numpy().astype(np.uint8)
        windows = np.lib.stride_tricks.sliding_window_view(whole, (20, 20, 3))
        assert (windows == wanted).all((-3, -2, -1)).any()
    assert torch.equal(sampler.batch(0)[0], crops)
    assert not torch.equal(sampler.batch(1)[0], crops)


def same(a: Any, b: Any) -> bool:
    state, other = a.network.state_dict(), b.network.state_dict()
    return all(torch.equal(value, other[name]) for name, value in state.items())

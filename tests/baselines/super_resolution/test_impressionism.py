"""Impressionism: pool, injection by name and seed, saving, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from baselines.super_resolution.impressionism.model import Impressionism
from baselines.super_resolution.impressionism.pool import blocks
from senm.data.domains import Domains
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, DataError, SettingsError
from tests.baselines.tiny import draw, fitting, pool, unpaired, with_noise


def fitted(folder: Path, domains: Domains | None = None, **changes: Any) -> Impressionism:
    settings = Impressionism.default_settings("smoke").but(**changes)
    return Impressionism.fit(domains or unpaired(), settings, **fitting(folder))


def test_fit_sample_save_load(tmp_path: Path) -> None:
    model, low = fitted(tmp_path), pool(3, 21)
    assert model.pool.dtype == np.uint8
    assert model.pool.shape[1:] == (8, 8, 3)
    first = draw(model, low)
    assert all(image.shape == (21, 21, 3) and image.dtype == np.uint8 for image in first)
    turned = draw(model, low.subset([2, 0]))
    assert np.array_equal(turned[0], first[2])
    assert np.array_equal(turned[1], first[0])
    assert not np.array_equal(draw(model, low, seed=1)[0], first[0])
    renamed = draw(model, ArrayImages(low.storage[[0]], ("other",)))
    assert not np.array_equal(renamed[0], first[0])
    model.save(tmp_path / "saved")
    again = Impressionism.load(tmp_path / "saved", "cpu")
    assert all(np.array_equal(a, b) for a, b in zip(draw(again, low), first, strict=True))


@pytest.mark.parametrize("change", [{"pool": {"flattest": 0.5}}, {"pool": {"size": 10}}, {"pool": {"most": 1}},
                                    {"tile": 4}, {"truncate": True}], ids=str)
def test_every_switch_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    low = pool(1, 21)
    assert not np.array_equal(draw(fitted(tmp_path), low)[0], draw(fitted(tmp_path, **change), low)[0])


def test_the_noise_of_a_tile_has_no_mean(tmp_path: Path) -> None:
    grey = ArrayImages(np.full((1, 16, 16, 3), 128, np.uint8), ("grey",))
    noisy = fitted(tmp_path).degrade(grey[0], "grey", 0)
    assert np.abs(noisy.reshape(2, 8, 2, 8, 3).mean((1, 3)) - 128 / 255).max() < 1e-6
    assert noisy.std() > 0.01


def test_limits_choose_flat_blocks(tmp_path: Path) -> None:
    images = with_noise(pool(3, 24), sigma=2.0)
    chosen = fitted(tmp_path, Domains(target=images), pool={"flattest": None, "variance": 2000.0, "mean": 100.0})
    looked = np.concatenate([blocks(image, 8) for image in images])
    assert len(chosen.pool) == int(((looked[:, 2] < 2000) & (looked[:, 3] > 100)).sum()) > 0


def test_an_empty_pool_says_what_to_change(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the \d+ blocks .* raise pool\.variance"):
        fitted(tmp_path, pool={"flattest": None, "variance": 1e-3})
    with pytest.raises(DataError, match=r"mean above 255.*lower pool\.mean"):
        fitted(tmp_path, pool={"mean": 255.0})
    with pytest.raises(DataError, match="smaller pool.size"):
        fitted(tmp_path, pool={"size": 24})
    with pytest.raises(DataError, match="no degraded photographs"):
        fitted(tmp_path, Domains(source=pool()))


def test_bad_settings_and_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"at most pool\.size"):
        Impressionism.default_settings("smoke").but(tile=9)
    model = fitted(tmp_path)
    model.save(tmp_path / "saved")
    text = (tmp_path / "saved" / "settings.json").read_text()
    (tmp_path / "saved" / "settings.json").write_text(text.replace('"size": 8', '"size": 9'))
    with pytest.raises(CheckpointError, match="no pool of these settings"):
        Impressionism.load(tmp_path / "saved", "cpu")

"""TensorBoard output: what is written can be read back, and nothing happens unless asked."""

from __future__ import annotations

import builtins
import math

import numpy as np
import pytest

from senm.config import PAIRED_SMOKE
from senm.support.errors import MachineError
from senm.training.tensorboard import VARIABLE, Writer, observer
from senm.training.train import Training
from tests.senm.training.test_train import TINY, domains, same


@pytest.fixture
def events(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard")

    def read():
        found = accumulator.EventAccumulator(str(tmp_path / "events"))
        found.Reload()
        return found

    return read


def test_scalars_and_images_are_read_back(tmp_path, events):
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 0] = 255
    with Writer(tmp_path / "events") as writer:
        assert writer.on
        writer.write(3, {"loss": 1.5, "terms": {"kl": 2, "note": "text"}, "step": 3, "flag": True}, {"sample": image})
        writer.write(4, {"loss": math.inf})
    found = events()
    assert set(found.Tags()["scalars"]) == {"loss", "terms/kl"}
    first, second = found.Scalars("loss")
    assert (first.step, first.value) == (3, 1.5)
    assert second.step == 4 and math.isnan(second.value)
    stored = found.Images("sample")[0]
    assert (stored.step, stored.width, stored.height) == (3, 6, 4)


def test_nothing_is_written_unless_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Writer(None) as writer:
        writer.write(1, {"loss": 1.0}, {"sample": np.zeros((2, 2, 3), np.uint8)})
        assert not writer.on
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    original = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MachineError, match="pip install tensorboard"):
        Writer(tmp_path)


@pytest.mark.parametrize("settings", [TINY, PAIRED_SMOKE.but(train=TINY.train)], ids=["semi", "paired"])
def test_observing_a_training_changes_none_of_its_numbers(tmp_path, monkeypatch, events, settings):
    plain = Training(settings, domains(), seed=3).run(tmp_path / "plain")
    assert observer("run") is None
    monkeypatch.setenv(VARIABLE, str(tmp_path / "events"))
    watched = Training(settings, domains(), seed=3).run(tmp_path / "watched", observe=observer("."))
    assert same(plain, watched)
    found = events()
    assert len(found.Scalars("lr")) == settings.train.iterations
    name = found.Tags()["images"][0]
    crop = settings.train.crop
    assert name.startswith("clean, generated")
    assert found.Images(name)[0].height == crop * len(name.split(", "))

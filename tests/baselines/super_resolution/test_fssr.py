"""FSSR: layout, training, sampling, resume, switches, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import count_parameters
from baselines.super_resolution.fssr.model import FSSR, FSSREnlarger
from baselines.super_resolution.fssr.networks import Critic, Generator
from baselines.super_resolution.fssr.training import DegradationTraining, learning_rate
from senm.data.domains import Domains
from senm.support.errors import CheckpointError, DataError, TrainingError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import QUIET, Interrupt, draw, enlarged, fitting, pool, unpaired, with_noise


def tiny(**training: Any) -> Any:
    steps = {"steps": 4, "constant": 2, "batch": 2, "crop": 20, "log_every": 1, "checkpoint_every": 1}
    return FSSR.default_settings("smoke").but(training={**steps, **training})


def test_layouts_and_sizes() -> None:
    for network, name, count in ((Generator(), "dsgan.generator", 594_380),
                                 (Critic(), "dsgan.discriminator", 1_030_273)):
        assert shapes(network) == {key: tuple(shape) for key, shape in layouts("fssr")[name].items()}
        assert count_parameters(network) == count


def test_fit_sample_save_load(tmp_path: Path) -> None:
    model, low = FSSR.fit(unpaired(), tiny(), **fitting(tmp_path / "work")), pool(3, 20)
    first = draw(model, low)
    assert all(image.shape == (20, 20, 3) and image.dtype == np.uint8 for image in first)
    assert np.array_equal(draw(model, low.subset([2, 0]))[0], first[2])
    model.save(tmp_path / "saved")
    again = FSSR.load(tmp_path / "saved", "cpu")
    assert again.settings == model.settings
    assert all(np.array_equal(a, b) for a, b in zip(draw(again, low), first, strict=True))
    twice = FSSR.fit(unpaired(), tiny(), **fitting(tmp_path / "twice"))
    assert all(np.array_equal(a, b) for a, b in zip(draw(twice, low), first, strict=True))


@pytest.mark.parametrize("reading", ["recompute", "in-place"])
def test_resume_equals_an_uninterrupted_run(tmp_path: Path, reading: str) -> None:
    settings = tiny(reading=reading)
    whole = FSSR.fit(unpaired(), settings, **fitting(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        FSSR.fit(unpaired(), settings, **fitting(tmp_path / "parts", progress=Interrupt(2)))
    parts = FSSR.fit(unpaired(), settings, **fitting(tmp_path / "parts"))
    assert all(torch.equal(a, b) for a, b in zip(whole.generator.parameters(), parts.generator.parameters(),
                                                 strict=True))


@pytest.mark.parametrize("change", [{"colour_weight": 0.1}, {"texture_weight": 1.0}, {"perceptual_weight": 0.0},
                                    {"reading": "before"}, {"reading": "in-place"}, {"turn": True}, {"crop": 24}],
                         ids=str)
def test_every_switch_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    def run(name: str, **more: Any) -> torch.Tensor:
        model = FSSR.fit(unpaired(), tiny(**{"lr": 1e-2, "texture_weight": 0.5, **more}), **fitting(tmp_path / name))
        return torch.cat([p.flatten() for p in model.generator.parameters()])

    assert not torch.equal(run("a"), run("b", **change))


def test_the_rate_falls_after_each_epoch() -> None:
    settings = DegradationTraining(steps=100, constant=50, epoch=10)
    found = [learning_rate(settings, n) / settings.lr for n in (0, 59, 60, 69, 99)]
    assert found == pytest.approx([1, 1, 0.8, 0.8, 0.2])


def test_the_enlarger_sees_frequencies(tmp_path: Path) -> None:
    settings = FSSREnlarger.default_settings("smoke").but(
        psnr={"steps": 0}, training={"steps": 1, "batch": 2, "crop": 8, "log_every": 1})
    assert settings.training.split == "average"
    model = FSSREnlarger.fit([enlarged(pool(side=12))], settings, **fitting(tmp_path))
    assert next(iter(model.restore(pool(1, 12), device="cpu", progress=QUIET))).shape == (48, 48, 3)


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no degraded photographs"):
        FSSR.fit(Domains(source=pool()), tiny(), **fitting(tmp_path))
    with pytest.raises(DataError, match="24x24"):
        FSSR.fit(unpaired(), tiny(crop=512, fit_crop=False), **fitting(tmp_path))
    small = Domains(target=with_noise(pool(side=10)))
    with pytest.raises(DataError, match="side of 10 pixels"):
        FSSR.fit(small, tiny(), **fitting(tmp_path))
    with pytest.raises(TrainingError):
        FSSR.fit(unpaired(), tiny(lr=1e30, skip_limit=0, steps=20), **fitting(tmp_path / "far"))
    torch.save({"block_input.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"other\.pth lacks layer"):
        FSSR.from_published(tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        FSSR.from_published(tmp_path / "absent.pth")
    torch.save({"epoch": 3, "model_g_state_dict": Generator().state_dict()}, tmp_path / "whole.tar")
    assert count_parameters(FSSR.from_published(tmp_path / "whole.tar").generator) == 594_380

"""C2N and the Gaussian noise models: sizes, laws, independence of order, resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from baselines.base import count_parameters
from baselines.noise.c2n.model import C2N, C2NSettings, gradient_penalty, swap_red_and_blue
from baselines.noise.c2n.networks import Critic, Generator
from baselines.noise.gaussian import (
    HeteroscedasticGaussian,
    HeteroscedasticSettings,
    WhiteGaussian,
    WhiteSettings,
    fit_line,
)
from senm.data.domains import Domains
from senm.data.levelled import LevelledImages
from senm.data.pool import ArrayImages, Pairs
from senm.level import sidd_line
from senm.support.errors import CheckpointError, DataError, TrainingError
from tests.baselines.tiny import Interrupt, draw, fitting, pairs, pool, unpaired, with_noise


def tiny(**training: Any) -> C2NSettings:
    base = {"steps": 2, "batch": 2, "crop": 16, "log_every": 1, "checkpoint_every": 1}
    settings = C2N.default_settings("smoke").but(training={**base, **training})
    return settings.but(network={"width": 4, "code": 2, "critic_blocks": 1})


def noise_models(folder: Path) -> list[Any]:
    paired = Domains(paired=pairs())
    return [
        C2N.fit(unpaired(), tiny(), **fitting(folder)),
        WhiteGaussian.fit(paired, WhiteSettings(level="measured"), **fitting(folder)),
        WhiteGaussian.fit(paired, WhiteSettings(level="sidd_line"), **fitting(folder)),
        HeteroscedasticGaussian.fit(paired, HeteroscedasticSettings(), **fitting(folder)),
    ]


def test_an_image_s_noise_depends_on_seed_and_name_only(tmp_path: Path) -> None:
    clean = pool(3, 20)
    same_pixels = ArrayImages(clean.storage[[0, 0]], ("image0", "another"))
    for model in noise_models(tmp_path):
        first = draw(model, clean)
        assert all(image.shape == (20, 20, 3) and image.dtype == np.uint8 for image in first)
        turned = draw(model, clean.subset([2, 0]))
        assert np.array_equal(turned[0], first[2])
        assert np.array_equal(turned[1], first[0])
        assert not np.array_equal(draw(model, clean, seed=1)[0], first[0])
        named = draw(model, same_pixels)
        assert np.array_equal(named[0], first[0])
        assert not np.array_equal(named[1], first[0])


def test_saved_and_loaded_noise_is_the_same(tmp_path: Path) -> None:
    clean = pool(2, 20)
    for number, model in enumerate(noise_models(tmp_path / "work")):
        model.save(tmp_path / str(number))
        again = type(model).load(tmp_path / str(number), "cpu")
        assert again.settings == model.settings
        assert all(np.array_equal(a, b) for a, b in zip(draw(model, clean), draw(again, clean), strict=True))


def test_sizes_at_paper_scale() -> None:
    assert count_parameters(Generator()) == 2_154_068
    assert count_parameters(Critic()) == 445_512


def test_the_published_generator_is_turned_from_bgr_to_rgb(tmp_path: Path) -> None:
    torch.manual_seed(0)
    bgr = Generator()
    names = {"ext_head.2.bias", "ext.4.body.1.weight", "pipe_indep_3.2.body.2.weight", "T_tail.bias"}
    assert names <= set(bgr.state_dict())
    torch.save(bgr.state_dict(), tmp_path / "C2N.ckpt")
    rgb = C2N.from_published(tmp_path / "C2N.ckpt").generator
    x = torch.rand(1, 3, 8, 8)
    draws = bgr.draws(x, torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(rgb(x.flip(1), *draws).flip(1), bgr(x, *draws), atol=1e-5)
    torch.save(Generator(8).state_dict(), tmp_path / "small.ckpt")
    with pytest.raises(CheckpointError, match=r"small\.ckpt: layer 'ext_head\.0\.weight'"):
        C2N.from_published(tmp_path / "small.ckpt")
    assert torch.equal(swap_red_and_blue({"other": x})["other"], x)


def test_one_step_changes_every_parameter(tmp_path: Path) -> None:
    first = C2N.fit(unpaired(), tiny(steps=1), **fitting(tmp_path / "a")).generator.state_dict()
    second = C2N.fit(unpaired(), tiny(steps=2), **fitting(tmp_path / "b")).generator.state_dict()
    assert [name for name in first if torch.equal(first[name], second[name])] == []


def test_resume_equals_an_uninterrupted_run_bit_for_bit(tmp_path: Path) -> None:
    whole = C2N.fit(unpaired(), tiny(steps=4), **fitting(tmp_path / "whole")).generator
    with pytest.raises(KeyboardInterrupt):
        C2N.fit(unpaired(), tiny(steps=4), **fitting(tmp_path / "parts", progress=Interrupt(3)))
    parts = C2N.fit(unpaired(), tiny(steps=4), **fitting(tmp_path / "parts")).generator
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))
    assert (tmp_path / "whole" / "log.jsonl").read_text() == (tmp_path / "parts" / "log.jsonl").read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"penalty": 0.0}, {"zero_mean": 10.0}, {"critic_steps": 1}, {"decay_every": 1}, {"betas": (0.9, 0.99)},
        {"lr": 1e-3},
    ],
    ids=str,
)
def test_every_switch_of_c2n_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    base = C2N.fit(unpaired(), tiny(), **fitting(tmp_path / "a")).generator.state_dict()
    other = C2N.fit(unpaired(), tiny(**change), **fitting(tmp_path / "b")).generator.state_dict()
    assert any(not torch.equal(base[name], other[name]) for name in base)


def test_gradient_penalty_of_a_linear_critic() -> None:
    class Linear(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 5 * x

    real, fake = torch.rand(3, 3, 4, 4), torch.rand(3, 3, 4, 4)
    norm = 5 * 48**0.5 / 4
    found = gradient_penalty(Linear(), real, fake, torch.Generator())
    assert float(found) == pytest.approx((norm - 1) ** 2, rel=1e-5)


def test_a_diverging_c2n_names_the_term(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="critic"):
        C2N.fit(unpaired(), tiny(lr=1e30, skip_limit=0, steps=4), **fitting(tmp_path))


def known_pairs(slope: float, offset: float) -> Pairs:
    """Ramps over all intensities with noise of variance slope * x + offset, the same in each channel."""
    ramp = np.tile(np.linspace(0, 255, 160).round().astype(np.uint8)[None, :, None], (160, 1, 3))
    clean = np.stack([ramp] * 6)
    x = clean / 255
    noise = np.random.default_rng(0).standard_normal(x.shape) * np.sqrt(slope * x + offset)
    noisy = np.rint(np.clip(x + noise, 0, 1) * 255).astype(np.uint8)
    names = [str(i) for i in range(len(clean))]
    return Pairs(ArrayImages(clean, names), ArrayImages(noisy, names))


@pytest.mark.parametrize(("slope", "offset"), [(0.004, 0.0004), (0.0, 0.001), (0.006, 0.0)])
def test_the_heteroscedastic_fit_recovers_known_noise(tmp_path: Path, slope: float, offset: float) -> None:
    data = Domains(paired=known_pairs(slope, offset))
    model = HeteroscedasticGaussian.fit(data, HeteroscedasticSettings(), **fitting(tmp_path))
    power = float((model.levels**2).mean())
    assert model.slope * power == pytest.approx([slope] * 3, rel=0.05, abs=1e-4)
    assert model.offset * power == pytest.approx([offset] * 3, rel=0.1, abs=6e-5)
    again = draw(model, data.paired.clean)
    mine = np.std([(a.astype(float) - b)[:, 70:90] for a, b in zip(again, data.paired.clean, strict=True)])
    real = np.std([(a.astype(float) - b)[:, 70:90] for a, b in zip(data.paired.noisy, data.paired.clean, strict=True)])
    assert mine == pytest.approx(real, rel=0.03)


def test_fit_line_is_never_negative_and_uses_what_there_is() -> None:
    count, squares = np.zeros(256), np.zeros(256)
    count[[60, 200]] = 1000
    squares[[60, 200]] = 1000 * np.array([0.004, 0.001])
    slope, offset = fit_line(count, squares, 64, 0.06)
    assert slope == 0
    assert offset > 0
    dark = np.zeros(256)
    dark[0] = 10
    assert fit_line(dark, dark * 0.01, 64, 0.06)[1] == pytest.approx(0.01, rel=0.01)


def test_the_white_level_is_the_one_of_its_source(tmp_path: Path) -> None:
    clean = ArrayImages(np.full((2, 96, 96, 3), 128, np.uint8), ("a", "b"))
    line = WhiteGaussian.fit(Domains(), WhiteSettings(level="sidd_line"), **fitting(tmp_path))
    assert line.level(4, "a") == sidd_line(4, "a")
    first = draw(line, clean, 4)[0]
    assert np.std(first / 255.0) == pytest.approx(line.level(4, "a"), rel=0.05)
    paired = Domains(paired=Pairs(clean, with_noise(clean, 20.0)))
    measured = WhiteGaussian.fit(paired, WhiteSettings(level="measured"), **fitting(tmp_path))
    assert measured.levels == pytest.approx([20 / 255] * 2, rel=0.03)
    assert measured.level(0, "a") in measured.levels
    own = draw(measured, LevelledImages(clean, {"a": 0.02, "b": 0.1}), 0)
    assert [np.std(image / 255.0) for image in own] == pytest.approx([0.02, 0.1], rel=0.05)


def test_models_that_need_pairs_say_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pairs"):
        WhiteGaussian.fit(Domains(), WhiteSettings(level="measured"), **fitting(tmp_path))
    with pytest.raises(DataError, match="no pairs"):
        HeteroscedasticGaussian.fit(unpaired(), HeteroscedasticSettings(), **fitting(tmp_path))

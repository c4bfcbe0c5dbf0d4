"""What a model is worth: closed forms, warnings, ten lines and a page that needs nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import senm
from senm.config import PAIRED_SMOKE, SMOKE
from senm.data.pool import ArrayImages, Images, Pairs
from senm.quality.measure import RINGS, Quality, measure, spectrum
from senm.quality.page import page, write_page
from senm.sampling.trained import Trained


class Camera(Trained):
    """Makes white noise of `factor` times the level, and denoises by adding `error`."""

    factor, error = 1.0, 0.0

    def sample(self, clean: Images, *, seed: int = 0, level: float | None = None, **options: Any
               ) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(seed)
        for image in clean:
            noise = rng.normal(0, self.factor * float(level or 0) * 255, image.shape)
            yield np.clip(np.round(image + noise), 0, 255).astype(np.uint8)

    def denoise(self, noisy: Images, **options: Any) -> Iterator[np.ndarray]:
        for image in noisy:
            yield np.clip(np.round(image + np.random.default_rng(1).normal(0, self.error, image.shape)), 0, 255
                          ).astype(np.uint8)


def pairs(count: int = 3, side: int = 300) -> Pairs:
    rng = np.random.default_rng(0)
    clean = np.full((count, side, side, 3), 128, np.uint8)
    spread = 255 * np.linspace(0.02, 0.06, count)[:, None, None, None]
    noisy = np.round(clean + spread * rng.normal(size=clean.shape)).astype(np.uint8)
    names = [str(i) for i in range(count)]
    return Pairs(ArrayImages(clean, names), ArrayImages(noisy, names))


def camera(factor: float = 1.0, error: float = 0.0, health: dict[str, Any] | None = None) -> Camera:
    model = Camera(senm.SeNMVAE(SMOKE.network), SMOKE, [0.05], health=health or {})
    model.factor, model.error = factor, error
    return model


@pytest.mark.parametrize("shape", [(64, 64, 3), (50, 91, 3)])
def test_white_noise_has_its_variance_in_every_ring(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).normal(3, 10, shape)
    np.testing.assert_allclose(spectrum(noise)[2:], (10 / 255) ** 2, rtol=0.25)
    smooth = spectrum(np.repeat(np.repeat(noise, 4, 0), 4, 1))
    assert smooth[0] > 10 * smooth[RINGS // 2]


def test_a_model_that_is_the_camera_is_found_to_be_it() -> None:
    quality = measure(camera(), pairs(), held_out=True)
    assert max(map(abs, quality.errors)) < 0.02 and max(map(abs, quality.decibels[1:])) < 1
    assert quality.denoised == pytest.approx(quality.noisy)
    assert "measured on 3 held-out pairs" in quality.lines()[0] and not any("warning" in x for x in quality.lines())


def test_noise_of_half_the_level_is_six_decibels_below() -> None:
    quality = measure(camera(0.5), pairs(), held_out=True)
    assert quality.errors == pytest.approx([-0.5] * 3, abs=0.02)
    assert np.mean(quality.decibels) == pytest.approx(-6.0, abs=0.3)
    assert "off by 50%" in "".join(quality.lines())


def test_worse_than_doing_nothing_and_few_pairs_and_alarms_are_said() -> None:
    model = camera(error=30.0, health={"skipped": 4, "collapsed_layers": [1]})
    said = "\n".join(measure(model, pairs(), held_out=False, seen=1).lines())
    assert "worse than doing nothing" in said and "4 steps were skipped" in said and "layer 1 carries nothing" in said
    assert "training itself, which flatters" in said and "1 of them are among the training images" in said
    assert len(said.splitlines()) < 10


def test_the_fully_paired_network_is_measured_without_denoising() -> None:
    model = Trained(senm.PairedVAE(PAIRED_SMOKE.network), PAIRED_SMOKE, [0.05])
    quality = measure(model, pairs(1, 32), held_out=True)
    assert quality.denoised is None and not any("denoising" in line for line in quality.lines())


def test_the_page_stands_alone_and_shows_every_pair(tmp_path: Path) -> None:
    quality = measure(camera(error=30.0), pairs(), held_out=True)
    text = write_page(quality, "<mine>", tmp_path).read_text()
    assert "&lt;mine&gt;" in text and "<mine>" not in text
    assert not re.search(r"(src|href)='(?!data:)|https?://|@import|<script", text)
    assert text.count("<circle") == 3 + 2 * RINGS and text.count("<img") == 4 and "class=warning" in text


def test_a_page_of_one_pair_without_noise_can_be_drawn() -> None:
    flat = (1e-9,) * RINGS
    assert "<svg" in page(Quality(1, True, 0, ((0.0, 0.0),), flat, flat, 99.0, None), "x")

"""The small camera: closed forms before and after demosaicing, and the structure that developing gives the noise."""

from __future__ import annotations

import numpy as np
import pytest

from senm.data import camera
from senm.data.camera import MARGIN, Camera, Exposure
from senm.level import LOG10_SHOT

CAMERA, NOISE = Camera(), Exposure(shot=0.01, read=0.0004)


def flat(value: float, side: int = 64) -> np.ndarray:
    """Sensor RGB whose developed linear value is `value` in every channel."""
    return np.full((side, side, 3), value) / CAMERA.gains


def residual(value: float, noise: Exposure = NOISE, draws: int = 8) -> np.ndarray:
    """Linear noise after demosaicing and white balance: (draws, H, W, 3), borders cut."""
    rng = np.random.default_rng(0)
    raw = flat(value)
    out = [camera.demosaic(CAMERA.sensor(raw, noise, rng)) * CAMERA.gains - value for _ in range(draws)]
    return np.stack(out)[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


def test_the_tone_curve_is_inverted_exactly() -> None:
    v = np.linspace(0, 1, 1001)
    assert np.allclose(camera.tone(camera.untone(v)), v, atol=1e-9)
    assert (np.diff(camera.tone(v)) > 0).all() and camera.tone(np.array([0.0, 1.0])).tolist() == [0, 1]


def test_a_flat_photograph_comes_through_unchanged() -> None:
    for grey in (0, 1, 17, 128, 254, 255):
        photograph = np.full((12, 12, 3), (grey, 255 - grey, grey // 2), np.uint8)
        assert np.array_equal(CAMERA.clean(CAMERA.raw(photograph)), photograph)


def test_demosaicing_keeps_what_was_measured_and_any_plane() -> None:
    pattern = np.random.default_rng(0).random((10, 12))
    rgb = camera.demosaic(pattern)
    assert np.allclose(rgb[0::2, 0::2, 0], pattern[0::2, 0::2]) and np.allclose(rgb[1::2, 1::2, 2], pattern[1::2, 1::2])
    assert np.allclose(rgb[0::2, 1::2, 1], pattern[0::2, 1::2]) and np.allclose(rgb[1::2, 0::2, 1], pattern[1::2, 0::2])
    rows, columns = np.mgrid[0:16, 0:16]
    plane = np.stack([0.1 + 0.01 * rows, 0.5 - 0.02 * columns, 0.3 + 0.01 * (rows - columns)], -1)
    assert np.allclose(camera.demosaic(camera.mosaic(plane))[2:-2, 2:-2], plane[2:-2, 2:-2])


def test_block_averaging_happens_in_linear_light() -> None:
    photograph = np.zeros((4, 4, 3), np.uint8)
    photograph[::2] = 255
    raw = CAMERA.raw(photograph, exposure=0.5, reduce=2)
    assert raw.shape == (2, 2, 3) and np.allclose(raw, 0.25 / CAMERA.gains)


def test_sensor_noise_has_the_stated_variance_and_is_white() -> None:
    rng, raw = np.random.default_rng(0), np.full((64, 64, 3), 0.3)
    noise = np.stack([CAMERA.sensor(raw, NOISE, rng) - 0.3 for _ in range(40)])
    expected = NOISE.shot * 0.3 + NOISE.read
    n = noise.size
    assert abs(noise.var() / expected - 1) < 5 * np.sqrt(3 / n)
    assert abs(noise.mean()) < 5 * np.sqrt(expected / n)
    for shift in ((0, 1), (1, 0), (1, 1)):
        moved = np.roll(noise, shift, axis=(1, 2))
        assert abs((noise * moved).mean() / expected) < 5 / np.sqrt(n)


def test_the_true_std_after_demosaicing_agrees_with_many_draws() -> None:
    rng = np.random.default_rng(1)
    raw = 0.05 + 0.4 * np.random.default_rng(2).random((16, 16, 3))
    draws = np.stack([camera.demosaic(CAMERA.sensor(raw, NOISE, rng)) * CAMERA.gains for _ in range(4000)])
    inside = (slice(3, -3), slice(3, -3))
    ratio = draws.std(0)[inside] / CAMERA.linear_std(raw, NOISE)[inside]
    assert np.abs(ratio - 1).max() < 0.06 and abs(ratio.mean() - 1) < 0.003


def test_green_at_its_own_sites_has_the_sensor_variance() -> None:
    """Closed form: a measured green is untouched, an interpolated one is the mean of four."""
    std = CAMERA.linear_std(flat(0.5), NOISE)[8:-8, 8:-8, 1]
    own = np.sqrt(NOISE.shot * 0.5 + NOISE.read)
    assert np.allclose(std[0::2, 1::2], own) and np.allclose(std[0::2, 0::2], own / 2)


def test_noise_grows_with_the_signal() -> None:
    stds = [residual(v, draws=3).std() for v in (0.05, 0.2, 0.6)]
    assert stds[0] < 0.8 * stds[1] < 0.64 * stds[2]


def test_noise_is_correlated_between_neighbours_and_between_colours() -> None:
    noise = residual(0.4)
    unit = noise / noise.std(axis=(0, 1, 2))
    assert (unit[:, :, 1:] * unit[:, :, :-1]).mean() > 0.25 and (unit[:, 1:] * unit[:, :-1]).mean() > 0.25
    assert (unit[..., 0] * unit[..., 1]).mean() > 0.2 and (unit[..., 0] * unit[..., 2]).mean() > 0.05
    assert abs((unit[:, :, 5:] * unit[:, :, :-5]).mean()) < 0.02


def test_without_noise_the_two_images_are_the_same() -> None:
    photograph = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    clean, noisy = CAMERA.pair(CAMERA.raw(photograph), Exposure(1e-12, 0.0), np.random.default_rng(0))
    assert clean.shape == (40 - 2 * MARGIN, 40 - 2 * MARGIN, 3)
    assert np.abs(clean.astype(int) - noisy).max() <= 1


def test_the_margin_is_wide_enough() -> None:
    """Inside the margin, a crop is what the whole photograph gives there."""
    photograph = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    whole = CAMERA.clean(CAMERA.raw(photograph))
    part = CAMERA.pair(CAMERA.raw(photograph[10:40, 10:40]), NOISE, np.random.default_rng(0))[0]
    assert np.array_equal(part, whole[10 + MARGIN:40 - MARGIN, 10 + MARGIN:40 - MARGIN])


def test_exposures_lie_on_the_line_of_sidd() -> None:
    drawn = [camera.draw_exposure("test", i) for i in range(2000)]
    shot, read = np.log10([e.shot for e in drawn]), np.log10([e.read for e in drawn])
    assert shot.min() >= LOG10_SHOT[0] and shot.max() <= LOG10_SHOT[1]
    slope, offset = np.polyfit(shot, read, 1)
    assert slope == pytest.approx(1.85, abs=0.05) and offset == pytest.approx(0.30, abs=0.12)
    assert np.std(read - 1.85 * shot - 0.30) == pytest.approx(0.20, abs=0.015)
    assert drawn[0] == camera.draw_exposure("test", 0) != drawn[1]
    assert Exposure(0.03, 0.06).level == pytest.approx(0.3)

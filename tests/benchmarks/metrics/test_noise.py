"""Measures of noise structure: closed forms, and what each of them must and must not see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate1d
from scipy.stats import ks_2samp

from benchmarks.metrics import METRICS, get
from benchmarks.metrics.residual import correlations, variance_curve
from senm.support.errors import DataError, UsageError


def clean_images(seed: int = 0, count: int = 4, side: int = 64) -> np.ndarray:
    """Horizontal ramps of random colour between 60 and 190."""
    low = np.random.default_rng(seed).uniform(60, 110, (count, 1, 1, 3))
    return np.broadcast_to(low + np.linspace(0, 80, side)[:, None], (count, side, side, 3)).round().astype(np.uint8)


def noisy_images(clean: np.ndarray, seed: int, sigma: float = 8, blur: float = 0, mixing: float = 0) -> np.ndarray:
    """Gaussian noise of one variance; `blur` ties neighbours in a row, `mixing` ties the channels."""
    noise = np.random.default_rng(seed).standard_normal(clean.shape)
    noise = correlate1d(noise, [blur, 1, blur], axis=2) / np.sqrt(1 + 2 * blur**2)
    noise = (noise + mixing * noise.mean(3, keepdims=True)) / np.sqrt(1 + (2 * mixing + mixing**2) / 3)
    return (clean + sigma * noise).round().clip(0, 255).astype(np.uint8)


def test_correlations_of_known_noise() -> None:
    clean = clean_images()
    found = correlations(noisy_images(clean, 1, blur=0.5, mixing=1), clean)
    assert found[:3] == pytest.approx([2 * 0.5 / 1.5] * 3, abs=0.03)
    assert found[3:6] == pytest.approx([0] * 3, abs=0.03)
    # with n + m * mean(n): the covariance of two channels is (2m + m^2) / 3 of the white variance
    assert found[6:] == pytest.approx([0.5] * 3, abs=0.03)


def test_correlation_error_sees_structure_only() -> None:
    clean = clean_images()
    real = noisy_images(clean, 1, blur=0.5, mixing=1)
    error = METRICS["noise_correlation_error"]
    same_law = error(generated=noisy_images(clean, 2, blur=0.5, mixing=1), real=real, clean=clean)
    stronger = error(generated=noisy_images(clean, 3, sigma=16, blur=0.5, mixing=1), real=real, clean=clean)
    white = error(generated=noisy_images(clean, 4), real=real, clean=clean)
    assert error(generated=real, real=real, clean=clean) == 0
    assert max(same_law, stronger) < 0.03
    assert white == pytest.approx((3 * 2 / 3 + 3 * 0.5) / 9, abs=0.03)


def test_variance_curve_of_known_noise() -> None:
    clean = clean_images()
    curve = variance_curve(noisy_images(clean, 1, sigma=8), clean)
    used = curve[~np.isnan(curve)]
    assert used.size > 12
    assert used == pytest.approx(np.full(used.size, 64 + 1 / 12), rel=0.2)


def test_a_variance_is_around_the_bins_own_mean() -> None:
    """100 pixels of one clean level, half of them 5 and half of them 9 levels above it, and 50 of another level."""
    clean = np.full((15, 10, 3), 100, np.uint8)
    clean[10:] = 200
    noisy = clean.copy()
    noisy[:5] += 5
    noisy[5:10] += 9
    curve = variance_curve(noisy[None], clean[None])
    assert curve[:, 100 // 16] == pytest.approx([4.0] * 3)
    assert np.isnan(np.delete(curve, 100 // 16, axis=1)).all(), "50 pixels are too few for a variance"


def test_each_pair_of_channels_has_its_own_correlation() -> None:
    one, other = np.random.default_rng(5).normal(0, 8, (2, 64, 64))
    noise = np.stack([one, other, -one], axis=-1)
    clean = np.full((64, 64, 3), 128, np.uint8)
    found = correlations((clean + noise).round().astype(np.uint8)[None], clean[None])
    assert found[6:] == pytest.approx([0, -1, 0], abs=0.05), "red and green, red and blue, green and blue"


def test_variance_error_sees_strength_by_intensity() -> None:
    clean = clean_images()
    real = noisy_images(clean, 1, sigma=8)
    error = METRICS["variance_curve_error"]
    assert error(generated=noisy_images(clean, 2, sigma=8, blur=0.5), real=real, clean=clean) < 0.12
    doubled = error(generated=noisy_images(clean, 3, sigma=16), real=real, clean=clean)
    assert doubled == pytest.approx(np.log(4), abs=0.1)
    assert error(generated=clean, real=real, clean=clean) > np.log(64 * 12) - 0.1
    sloped = (real.astype(float) - clean) * (clean / clean.mean()) + clean
    assert error(generated=sloped.round().clip(0, 255).astype(np.uint8), real=real, clean=clean) > 0.2


def test_measures_without_an_answer_are_errors() -> None:
    clean = clean_images()
    with pytest.raises(DataError, match="without variation"):
        METRICS["noise_correlation_error"](generated=clean, real=clean, clean=clean)
    tiny = clean[:1, :2, :2]
    with pytest.raises(DataError, match="too few pixels"):
        METRICS["variance_curve_error"](generated=tiny, real=tiny, clean=tiny)


def test_random_frechet_orders_noise_models() -> None:
    clean = clean_images(count=6)
    real = noisy_images(clean, 1, blur=0.5, mixing=1)
    fd = METRICS["fd_random"]
    same_law = fd(generated=noisy_images(clean, 2, blur=0.5, mixing=1), real=real)
    slightly_strong = fd(generated=noisy_images(clean, 2, sigma=10, blur=0.5, mixing=1), real=real)
    uncoloured = fd(generated=noisy_images(clean, 3, blur=0.5), real=real)
    white = fd(generated=noisy_images(clean, 4), real=real)
    none = fd(generated=clean, real=real)
    assert same_law < min(slightly_strong, uncoloured) / 3
    assert uncoloured < white < none
    assert abs(fd(generated=real, real=real)) < 1e-6


def test_ks_is_scipys_two_sample_statistic() -> None:
    clean = clean_images()
    real, generated = noisy_images(clean, 1), noisy_images(clean, 2, sigma=11, mixing=1)
    found = METRICS["ks"].values(generated=generated, real=real, clean=clean)
    for value, fake, true, truth in zip(found, generated, real, clean, strict=True):
        sides = [(noisy.astype(int) - truth).ravel() for noisy in (fake, true)]
        assert value == pytest.approx(ks_2samp(*sides).statistic, abs=1e-12)
    assert METRICS["ks"](generated=real, real=real, clean=clean) == 0


def test_naflows_divergence_by_hand() -> None:
    """Two grey levels fall into a bin of 1/128; a bin that is empty in either counts nothing, real is the first."""
    clean = np.full((1, 2, 4, 3), 100, np.uint8)
    real, fake = clean.copy(), clean.copy()
    real[..., :2, :], fake[..., :1, :] = 110, 110  # 50 % and 25 % at 10 levels, the rest at 0
    value = METRICS["kld_noise_256"](generated=fake, real=real, clean=clean)
    assert value == pytest.approx(0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75))
    fake[..., 3:, :] = 200  # a quarter lies where the real noise has nothing
    value = METRICS["kld_noise_256"](generated=fake, real=real, clean=clean)
    assert value == pytest.approx(0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.5))


def test_average_kld_has_a_name_for_every_number_of_draws() -> None:
    assert get("akld[draws=50]").name == "akld[draws=50]"
    assert get("akld[draws=1]").convention == METRICS["akld[draws=1]"].convention
    for wrong in ("akld[draws=0]", "akld[draws=]", "akld"):
        with pytest.raises(UsageError, match="akld"):
            get(wrong)

"""Noise statistics against known noise, and training curves from logs."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.report.noise_stats import noise_stats, total_variation
from benchmarks.report.parts.curves import families, quantities
from senm.support.errors import DataError


def pairs(make, count=3, side=128, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        clean = np.broadcast_to(rng.integers(60, 196, (side, 1, 1)), (side, side, 3)).astype(np.uint8)
        yield clean, np.clip(np.round(clean + make(rng, clean.astype(float))), 0, 255).astype(np.uint8)


def white(rng, clean, sigma=6.0):
    return rng.normal(0, sigma, clean.shape)


def test_white_noise_has_its_variance_and_no_structure():
    stats = noise_stats("white", pairs(white))
    assert stats.images == 3 and stats.mean == pytest.approx(0, abs=0.1)
    assert stats.std == pytest.approx(np.sqrt(36 + 1 / 12), rel=0.02)
    filled = [v for v in stats.variance if v is not None]
    assert np.mean(filled) == pytest.approx(36, rel=0.1)
    assert stats.horizontal[0] == stats.vertical[0] == 1.0
    assert np.abs([*stats.horizontal[1:], *stats.vertical[1:]]).max() < 0.03
    assert np.abs(np.array(stats.channels) - np.eye(3)).max() < 0.03
    assert sum(stats.histogram) == pytest.approx(1.0)
    assert stats.histogram[stats.edges.index(0.0)] == pytest.approx(max(stats.histogram), rel=0.1)


def test_variance_follows_brightness():
    stats = noise_stats("shot", pairs(lambda rng, clean: rng.normal(0, 1, clean.shape) * np.sqrt(0.3 * clean), count=6))
    for middle, value in zip(stats.intensity, stats.variance, strict=True):
        if value is not None and 70 < middle < 190:
            assert value == pytest.approx(0.3 * middle, rel=0.15)
    assert stats.variance[0] is None, "no clean pixel is that dark"


def test_the_two_directions_are_told_apart():
    def rows(rng, clean):
        draw = rng.normal(0, 6, clean.shape)
        return (draw + np.roll(draw, 1, axis=1)) / np.sqrt(2)

    stats = noise_stats("rows", pairs(rows))
    assert stats.horizontal[1] == pytest.approx(0.5, abs=0.04) and abs(stats.horizontal[2]) < 0.04
    assert abs(stats.vertical[1]) < 0.04


def test_shared_noise_correlates_channels():
    def shared(rng, clean):
        return rng.normal(0, 5, clean.shape) + rng.normal(0, 5, (*clean.shape[:2], 1))

    stats = noise_stats("shared", pairs(shared))
    assert stats.channels[0][1] == pytest.approx(0.5, abs=0.04)


def test_distance_of_histograms():
    one, again = noise_stats("a", pairs(white, seed=1)), noise_stats("b", pairs(white, seed=2))
    far = noise_stats("c", pairs(lambda rng, clean: white(rng, clean, 18.0)))
    assert total_variation(one, one) == 0
    assert total_variation(one, again) < 0.03 < 0.3 < total_variation(one, far) < 1


def test_pairs_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="no pairs"):
        noise_stats("none", [])
    with pytest.raises(DataError, match="shapes"):
        noise_stats("bad", [(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8))])


def test_quantities_of_a_log():
    steps = [
        {"step": 10, "loss": 2.0, "terms": {"kl": 1.0}, "seconds": 3.0, "note": "x", "same": 5, "on": True},
        {"step": 20, "loss": float("nan"), "terms": {"kl": 0.5}, "seconds": 6.0, "same": 5},
        {"step": 30, "loss": 1.0, "terms": {"kl": 0.25}, "seconds": 9.0, "same": 5},
    ]
    found = quantities(steps)
    assert found == {"loss": [(10.0, 2.0), (30.0, 1.0)], "terms/kl": [(10.0, 1.0), (20.0, 0.5), (30.0, 0.25)]}


def test_runs_share_plots_only_with_their_like():
    log = [{"step": s, "lr": s, "zeta": -s, "loss": s} for s in (1, 2)]
    critic = [{"step": s, "critic": s} for s in (1, 2)]
    runs = {f"run {i}": log for i in range(10)} | {"other": critic, "empty": []}
    first, second, third = families(runs)
    assert list(first.quantities) == ["loss", "zeta", "lr"], "losses first, rates last"
    assert (len(first.labels), len(second.labels), third.labels) == (8, 2, ("other",))

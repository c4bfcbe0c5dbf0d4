"""Levels of images: one for each name, from named streams, replicates apart."""

from __future__ import annotations

import numpy as np
import pytest

from senm.data.levelled import LevelledImages
from senm.data.pool import ArrayImages
from senm.level import from_list, level_source, sidd_line
from senm.support.errors import CheckpointError
from senm.support.seeding import rng

LEVELS = [0.01, 0.02, 0.04, 0.08]
NAMES = [f"image{i}" for i in range(200)]


@pytest.mark.parametrize("kind", ["measured", "predicted", "sidd_line"])
def test_the_level_depends_on_the_image_and_on_the_seed(kind: str) -> None:
    first, again, other = (level_source(kind, LEVELS, seed) for seed in (0, 0, 1))
    found = [first(name) for name in NAMES]
    assert found == [again(name) for name in NAMES]
    assert len(set(found)) >= len(LEVELS) and found != [other(name) for name in NAMES]


def test_levels_of_a_list_are_drawn_equally_often() -> None:
    found = [from_list(LEVELS, 0, name) for name in NAMES]
    assert set(found) == set(LEVELS)
    assert all(abs(found.count(level) - 50) < 25 for level in LEVELS)


def test_levels_on_the_line_of_sidd_spread_over_its_range() -> None:
    found = np.array([sidd_line(0, name) for name in NAMES])
    assert found.std() / found.mean() > 0.2 and 0.005 < found.min() < found.max() < 0.4


def test_the_line_of_sidd_is_the_published_one() -> None:
    """log10 of shot uniform between two numbers, of read 1.85 times that plus 0.30, spread 0.20; level from both."""
    for name in NAMES[:20]:
        draw = rng("level", 3, name)
        shot = draw.uniform(np.log10(0.00068674), np.log10(0.02194856))
        read = 1.85 * shot + 0.30 + draw.normal(0.0, 0.20)
        assert sidd_line(3, name) == pytest.approx(np.sqrt(10**shot + 10**read), rel=1e-12)


def test_an_image_keeps_its_own_level_where_it_has_one() -> None:
    pixels = np.zeros((2, 16, 16, 3), np.uint8)
    clean = LevelledImages(ArrayImages(pixels, ["a", "b"]), {"a": 0.05, "b": 0.11})
    own = level_source("measured", LEVELS, 0, clean)
    assert (own("a"), own("b")) == (0.05, 0.11)


def test_a_source_without_levels_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no measured levels"):
        level_source("measured", [], 0)

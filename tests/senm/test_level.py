"""Levels of images: one for each name, from named streams, replicates apart."""

from __future__ import annotations

import numpy as np
import pytest

from senm.level import from_list, level_source, sidd_line
from senm.support.errors import CheckpointError

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


def test_a_source_without_levels_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no measured levels"):
        level_source("measured", [], 0)

"""Golden numbers: the same to the last bit whatever the number of threads around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import environment, golden


@pytest.mark.parametrize("measure", [golden.sampler, golden.metrics], ids=["sampler", "metrics"])
def test_numbers_do_not_depend_on_threads(measure: Callable[[], Any]) -> None:
    found = []
    for count in (1, 2):
        with environment.threads(count):
            found.append(measure())
    assert found[0] == found[1]


def test_the_platform_names_everything_that_kernels_are_chosen_by() -> None:
    parts = environment.golden_key().split("-")
    assert [parts[0][:2], parts[1][:5]] == ["py", "torch"]
    assert len(parts) >= 4 and all(parts), "and architecture, vector unit and, where it is known, the chip"

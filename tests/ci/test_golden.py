"""Golden numbers: the same to the last bit whatever the number of threads around them."""

from __future__ import annotations

import pytest

from benchmarks.core import environment
from ci import golden


def test_numbers_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "noise_models", dict)  # these take too long for a test
    found = []
    for count in (1, 2):
        with environment.threads(count):
            found.append(golden.measure().cases)
    assert found[0] == found[1] and {"train dncnn", "metrics", "sample, uint8"} <= set(found[0])


def test_the_platform_names_everything_that_kernels_are_chosen_by() -> None:
    parts = environment.golden_key().split("-")
    assert [parts[0][:2], parts[1][:5]] == ["py", "torch"]
    assert len(parts) >= 4 and all(parts), "and architecture, vector unit and, where it is known, the chip"

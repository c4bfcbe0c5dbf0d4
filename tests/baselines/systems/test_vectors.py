"""Every stored array of every system is met, read as an input, or named with the reason why not."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from tests.baselines.systems.vectors import cases, run, stored, tolerance

EVERY = [(system, name) for system, found in sorted(cases().items()) for name in found]


@pytest.mark.parametrize(("system", "name"), EVERY)
def test_arrays(system: str, name: str) -> None:
    found, case = run(system, name)
    assert found or case.unmet, "nothing was computed"
    limits = importlib.import_module(f"tests.baselines.systems.{system}")
    own: dict[str, float] = getattr(limits, "TOLERANCES", {})
    worse = {key: value for key, value in found.items()
             if not value <= own.get(case.prefix + key, own.get(key, tolerance(key, stored(system)[case.prefix + key])))
             }
    assert worse == {}
    met = {case.prefix + key for key in found}
    assert set(case.names()) - met - case.read - set(case.unmet) == set(), "arrays that nothing uses"


@pytest.mark.parametrize("system", sorted(cases()))
def test_every_array_belongs_to_a_case(system: str) -> None:
    from tests.baselines.systems.vectors import Case

    owned = [array for name, about in cases()[system].items() for array in Case(system, name, about).names()]
    assert sorted(owned) == sorted(stored(system))
    assert all(np.asarray(value).dtype != object for value in stored(system).values())

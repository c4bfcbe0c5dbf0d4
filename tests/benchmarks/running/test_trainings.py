"""What the steps that train hand on: the seed of the replicate, and the start of a fine-tuning."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.core.step import Step
from benchmarks.running import steps
from benchmarks.running.steps import Bench, fit, fit_restorer


class System:
    """Keeps what it was fitted with."""

    given: dict[str, Any] = {}

    def fit(self, data: Any, settings: Any, **options: Any) -> System:
        System.given = {"data": data, **options}
        return self

    def save(self, folder: Path) -> None:
        folder.mkdir()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(steps, "get", lambda name: System())
    monkeypatch.setattr(steps, "settings_from", lambda system, values: values)
    monkeypatch.setattr(steps, "training_data", lambda step, inputs, bench: ["pairs"])
    return Bench("cpu", {"f": SimpleNamespace(domains=lambda **given: given)})  # type: ignore[dict-item]


@pytest.mark.parametrize("train", [fit, fit_restorer])
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_a_replicate_trains_with_its_own_seed(tmp_path: Path, bench: Bench, train: Any, seed: int) -> None:
    params = {"system": "x", "settings": {}, "domains": {"paired": 3}, "fingerprint": "f"}
    train(Step("fit", "fit", params, seed), {}, tmp_path, bench)
    assert System.given["seed"] == seed


def test_a_fine_tuning_begins_with_the_network_of_its_start(tmp_path: Path, bench: Bench) -> None:
    step = Step("fit-restorer", "fit", {"system": "x", "settings": {}, "fingerprint": "f"}, 0)
    fit_restorer(step, {"start": tmp_path / "begun"}, tmp_path, bench)
    assert System.given["start"] == tmp_path / "begun" / "model"

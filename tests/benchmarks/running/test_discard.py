"""Synthetic images that are deleted once they were learnt from: not before, not while others wait, by every runner."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster.drive import Driver
from benchmarks.cluster.resources import Resources
from benchmarks.cluster.view import View
from benchmarks.core.scale import scale
from benchmarks.core.step import Step
from benchmarks.data.datasets import OFFICIAL_COUNTS, Data
from benchmarks.planning.plan import Plan, Planner
from benchmarks.running import runner
from benchmarks.running.discard import discard
from benchmarks.running.estimate import Estimate
from benchmarks.running.runner import Runner, missing
from benchmarks.running.steps import Bench
from benchmarks.store.store import Store
from benchmarks.tables import table
from tests.benchmarks.cluster.fakes import FakePool, plan

FIT = Step("fit", "fit", {})
SAMPLE = Step("sample", "sample", {}, inputs={"model": FIT})
FIRST = Step("fit-restorer", "first", {"number": 1}, inputs={"synthetic": SAMPLE})
SECOND = Step("fit-restorer", "second", {"number": 2}, inputs={"synthetic": SAMPLE})
JUDGED = Step("sample", "judged", {"pool": "validation"}, inputs={"model": FIT})


def ends(*networks: Step) -> Any:
    return plan(*(Step("evaluate", f"judge {each.label}", {}, inputs={"images": each}) for each in networks), JUDGED)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    labels: list[str] = []

    def work(step: Step, inputs: dict[str, Path], folder: Path, bench: Bench) -> None:
        assert all(path.is_dir() for path in inputs.values()), "an input was deleted too early"
        labels.append(step.label)
        (folder / "out").write_text(step.label)

    monkeypatch.setattr(runner, "_function", lambda target: work)
    return labels


def test_images_go_when_the_last_network_has_learnt_from_them(tmp_path: Path, ran: list[str]) -> None:
    store, whole = Store(tmp_path), ends(FIRST, SECOND)
    there: dict[str, bool] = {}

    def made(step: Step) -> None:
        discard(step, whole, store)
        there[step.label] = store.has(SAMPLE.key)

    Runner(store, Bench("cpu", {}), made=made).run(whole)
    assert (there["sample"], there["first"], there["second"]) == (True, True, False)
    assert store.has(JUDGED.key) and store.has(FIT.key), "images that are measured stay, and so do models"
    assert missing(whole, store) == [] and ran.count("sample") == 1
    Runner(store, Bench("cpu", {}), made=made).run(whole)
    assert ran.count("sample") == 1, "a finished run asks for nothing"


def test_they_are_made_anew_where_a_result_was_lost(tmp_path: Path, ran: list[str]) -> None:
    store, whole = Store(tmp_path), ends(FIRST)
    made = partial(discard, plan=whole, store=store)
    Runner(store, Bench("cpu", {}), made=made).run(whole)
    store.remove(FIRST.key)
    store.remove(missing(ends(FIRST), Store(tmp_path / "other"))[-2].key)
    Runner(store, Bench("cpu", {}), made=made).run(whole)
    assert ran.count("sample") == 2 and ran.count("fit") == 1 and not store.has(SAMPLE.key)


def test_a_cluster_does_the_same(tmp_path: Path) -> None:
    store, whole = Store(tmp_path), ends(FIRST, SECOND)
    made = partial(discard, plan=whole, store=store)
    outcome = Driver(store, FakePool(store), Resources(), lambda step: 1.0, View(), made).run(whole)
    assert not outcome.failed and not store.has(SAMPLE.key) and store.has(JUDGED.key)


def test_nothing_is_freed_where_nothing_was_made(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert discard(FIRST, ends(FIRST), store) == 0, "not trained yet"
    assert discard(FIT, ends(FIRST), store) == 0 and store.remove(SAMPLE.key) == 0


def test_a_plan_says_what_it_saves(tmp_path: Path) -> None:
    spec, data = table("table1"), Data("sidd", "f", OFFICIAL_COUNTS["sidd"])
    planner, store = Planner(data, scale("paper")), Store(tmp_path)

    def disk(*rows: str) -> str:
        planned = planner.table(spec, [spec.row(row) for row in rows], (0,))
        return Estimate("", "paper").totals(Plan((planned,), scale("paper"), (0,)), store)[0]

    assert "at once with --discard" not in disk("senm-10"), "one set of images is all there is"
    said = disk("senm-10", "senm-96", "c2n")
    whole, least = (float(part.split()[0]) for part in (said.split("disk: ")[1], said.split(", ")[1]))
    assert whole > 2 * least, said

"""Running plans: on demand, once, resumable, failures kept apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.core.step import Step
from benchmarks.running import runner
from benchmarks.running.runner import Runner, missing, translated
from benchmarks.running.steps import CHUNK, Bench, read_images, write_images
from benchmarks.store.store import Store
from senm.data.pool import ArrayImages, Images
from senm.support.errors import MachineError, TrainingError

FIT = Step("fit", "fit", {})
SAMPLE = Step("sample", "sample", {}, inputs={"model": FIT})
EVALUATE = Step("evaluate", "evaluate", {}, inputs={"images": SAMPLE})
OTHER = Step("evaluate", "another", {"other": True})


def plan(*steps: Step) -> Any:
    rows = [SimpleNamespace(evaluations={"noise": step}) for step in steps]
    return SimpleNamespace(tables=[SimpleNamespace(rows=rows)], scale=SimpleNamespace(name="smoke"))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labels of the steps that ran; 'fit' fails if the list begins with 'fail'."""
    labels: list[str] = []

    def work(step: Step, inputs: dict[str, Path], folder: Path, bench: Bench) -> None:
        assert all(path.is_dir() for path in inputs.values())
        if "fail" in labels and step.kind == "fit":
            raise TrainingError("the loss is not finite")
        labels.append(step.label)
        (folder / "out").write_text(step.label)

    monkeypatch.setattr(runner, "_function", lambda target: work)
    return labels


def test_steps_run_once_in_order_and_never_again(tmp_path: Path, ran: list[str]) -> None:
    store = Store(tmp_path)
    Runner(store, Bench("cpu", {})).run(plan(EVALUATE, EVALUATE))
    assert ran == ["fit", "sample", "evaluate"]
    outcome = Runner(store, Bench("cpu", {})).run(plan(EVALUATE))
    assert ran == ["fit", "sample", "evaluate"] and not outcome.made


def test_a_stored_result_asks_for_none_of_its_inputs(tmp_path: Path, ran: list[str]) -> None:
    import shutil

    store = Store(tmp_path)
    Runner(store, Bench("cpu", {})).run(plan(EVALUATE))
    shutil.rmtree(store.path(FIT.key))
    assert missing(plan(EVALUATE), store) == []
    Runner(store, Bench("cpu", {})).run(plan(EVALUATE))
    assert len(ran) == 3


def test_what_is_missing_is_listed_inputs_first(tmp_path: Path) -> None:
    assert [step.kind for step in missing(plan(EVALUATE), Store(tmp_path))] == ["fit", "sample", "evaluate"]


def test_a_failure_takes_only_what_needs_it(tmp_path: Path, ran: list[str]) -> None:
    ran.append("fail")
    outcome = Runner(Store(tmp_path), Bench("cpu", {})).run(plan(EVALUATE, OTHER))
    assert ran == ["fail", "another"]
    assert "not finite" in outcome.problem(EVALUATE) and not outcome.problem(OTHER)
    assert not Store(tmp_path).has(FIT.key), "a failure is never stored"


def test_only_work_that_was_done_whole_is_recorded_as_cost(tmp_path: Path, ran: list[str]) -> None:
    store = Store(tmp_path)
    bench = Bench("cpu", {}, workdir=store.workdir)
    whole, resumed, taken = (Step("fit", f"fit {i}", {"number": i}, cost={"iterations": 9}) for i in range(3))
    taken = replace(taken, released="cafe")
    (store.workdir(resumed.key) / "checkpoint").write_text("half way")
    Runner(store, bench).run(plan(whole, resumed, taken))
    costs = [json.loads((store.path(s.key) / "provenance.json").read_text())["cost"] for s in (whole, resumed, taken)]
    assert costs == [{"iterations": 9}, {}, {}]


def test_memory_that_runs_out_is_the_machine_s_fault() -> None:
    with pytest.raises(MachineError, match="out of memory"), translated(FIT):
        raise MemoryError("64 GiB")


def test_our_own_defects_keep_their_traceback_and_a_user_s_are_named() -> None:
    with pytest.raises(ValueError, match="ours"), translated(Step("fit", "", {"system": "c2n"})):
        raise ValueError("ours")
    with (
        pytest.raises(TrainingError, match=r"'theirs' failed.*ValueError: bad"),
        translated(Step("fit", "", {"system": "theirs"})),
    ):
        raise ValueError("bad")


def test_interrupted_sampling_goes_on_from_its_last_chunk(tmp_path: Path) -> None:
    count = 2 * CHUNK + 3
    names = [f"{i:04d}" for i in range(count)]
    images = ArrayImages(np.arange(count, dtype=np.uint8).repeat(12).reshape(count, 2, 2, 3), names)
    drawn: list[str] = []

    def draw(part: Images) -> Iterator[np.ndarray]:
        for i, name in enumerate(part.names):
            if len(drawn) == CHUNK + 5:
                drawn.append("stop")
                raise KeyboardInterrupt
            drawn.append(name)
            yield part[i] ^ 1

    step = Step("sample", "draw", {})
    bench = Bench("cpu", {}, workdir=Store(tmp_path).workdir)
    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_images(step, images, draw, tmp_path / "out", bench)
    write_images(step, images, draw, tmp_path / "out", bench)
    assert drawn.count(names[0]) == 1 and drawn.count(names[CHUNK]) == 2
    found = read_images(tmp_path / "out")
    assert found.names == tuple(names)
    assert all(np.array_equal(found[i], images[i] ^ 1) for i in (0, CHUNK, count - 1))


@pytest.mark.parametrize("made", [2, 4])
def test_a_system_that_makes_too_few_or_too_many_images_is_refused(tmp_path: Path, made: int) -> None:
    images = ArrayImages(np.zeros((3, 2, 2, 3), np.uint8), ["a", "b", "c"])
    with pytest.raises(TrainingError, match=f"{made} images were made"):
        write_images(
            Step("sample", "draw", {}), images, lambda part: iter([part[0]] * made), tmp_path, Bench("cpu", {})
        )

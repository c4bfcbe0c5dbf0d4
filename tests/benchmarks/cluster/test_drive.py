"""The driver: every step once, after its inputs, longest path first; what is lost is done again."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from benchmarks.cluster.graph import Graph
from benchmarks.cluster.resources import Capacity, Resources, parse
from benchmarks.cluster.schedule import forecast, sentence
from benchmarks.cluster.view import JsonView, View
from benchmarks.cluster.worker import LIVE, Answer, Gone
from benchmarks.core.step import Step
from benchmarks.run import main
from benchmarks.running.runner import missing
from benchmarks.store.store import Store
from senm.support.errors import MachineError, TrainingError, UsageError
from tests.benchmarks.cluster.fakes import FakePool, chain, driver, plan


def test_equal_steps_run_once_after_their_inputs_side_by_side(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pool = FakePool(store, width=2)
    outcome = driver(store, pool).run(plan(chain(0), chain(1), chain(0)))
    assert len(pool.begun) == len(set(pool.begun)) == len(outcome.made) == 6
    assert pool.widest == 2 and pool.stopped and not (tmp_path / LIVE).exists()
    again = driver(store, FakePool(store)).run(plan(chain(0), chain(1)))
    assert not again.made and len(again.found) == 2


def test_the_longest_remaining_path_goes_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pool = FakePool(store, width=1)
    slow, quick = chain(7), chain(8)
    seconds = {"restore 7": 100.0}
    driver(store, pool, lambda step: seconds.get(step.label, 1.0)).run(plan(quick, slow))
    assert pool.begun[:3] == ["sample 7", "restore 7", "sample 8"]


def test_a_failing_step_takes_only_its_rows(tmp_path: Path) -> None:
    store, error = Store(tmp_path), TrainingError("the loss is not finite")
    pool = FakePool(store, trouble=lambda step, n: Answer(step.key, "one", error=error)
                    if step.label == "sample 0" else None)
    outcome = driver(store, pool).run(plan(chain(0), chain(1)))
    assert "not finite" in outcome.problem(chain(0)) and not outcome.problem(chain(1))
    assert "restore 0" not in pool.begun and "evaluate 1" in pool.begun


def test_a_lost_worker_costs_a_second_attempt_and_a_deadly_step_is_given_up(tmp_path: Path) -> None:
    out = io.StringIO()
    pool = FakePool(Store(tmp_path / "a"), trouble=lambda step, n: Gone("its node was lost") if n == 1 else None)
    outcome = driver(pool.store, pool, view=View(out)).run(plan(chain(0)))
    assert len(outcome.made) == 3 and all(pool.begun.count(label) == 2 for label in pool.begun)
    assert "its node was lost; it goes on with another worker from its last checkpoint" in out.getvalue()
    pool = FakePool(Store(tmp_path / "b"), hosts=("one", "two"), trouble=lambda step, n: Gone("signal 9")
                    if step.label == "sample 0" else None)
    outcome = driver(pool.store, pool).run(plan(chain(0), chain(1)))
    assert "lost its worker 3 times: signal 9" in outcome.problem(chain(0)) and not outcome.problem(chain(1))


def test_a_damaged_input_is_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    driver(store, FakePool(store)).run(plan(chain(0)))
    last = chain(0)
    model = last.inputs["model"]
    for path in store.path(last.key).iterdir():
        path.unlink()
    store.path(last.key).rmdir()
    (store.path(model.key) / "out").write_text("spoilt")

    def trouble(step: Step, attempt: int) -> Answer | None:
        lacking = next((each.key for each in step.inputs.values() if store.get(each) is None), "")
        return Answer(step.key, "one", lacking=lacking) if lacking else None

    pool = FakePool(store, trouble=trouble)
    outcome = driver(store, pool).run(plan(last))
    assert pool.begun == ["evaluate 0", "restore 0", "evaluate 0"] and not outcome.failed


def test_a_full_disk_on_one_node_is_named_and_on_all_of_them_ends_the_run(tmp_path: Path) -> None:
    full = MachineError("no space is left on the disk", "", "free some space")

    def trouble(step: Step, attempt: int) -> Answer | None:
        return Answer(step.key, "two", error=full) if step.label == "sample 0" else None

    pool = FakePool(Store(tmp_path / "a"), hosts=("one", "two"), trouble=trouble)
    outcome = driver(pool.store, pool).run(plan(chain(0), chain(1)))
    assert "on two: no space is left" in outcome.problem(chain(0)) and not outcome.problem(chain(1))
    pool = FakePool(Store(tmp_path / "b"), hosts=("two",), trouble=trouble)
    with pytest.raises(MachineError, match="no space"):
        driver(pool.store, pool).run(plan(chain(0), chain(1)))
    assert pool.stopped


def test_a_step_that_no_node_can_hold_is_refused_before_anything_runs(tmp_path: Path) -> None:
    pool = FakePool(Store(tmp_path), width=2)
    with pytest.raises(MachineError, match=r"asks for 0.5 GPUs, and no node has more than 0.*leave out --device cuda"):
        driver(pool.store, pool, resources=Resources("cuda", "paper")).run(plan(chain(0)))
    with pytest.raises(MachineError, match=r"asks for 8 CPU cores.*--resources evaluate=cpu:2"):
        driver(pool.store, pool, resources=Resources(changes=parse(["evaluate=cpu:8"]))).run(plan(chain(0)))
    assert not pool.begun


def test_events_for_programs_are_one_object_a_line(tmp_path: Path) -> None:
    out, pool = io.StringIO(), FakePool(Store(tmp_path))
    driver(pool.store, pool, view=JsonView(out)).run(plan(chain(0)))
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["started", "done"] * 3
    assert events[-1]["done"] == events[-1]["steps"] == 3 and events[-1]["node"] == "one"


def test_the_summary_counts_every_step_and_guesses_the_rest() -> None:
    now = [0.0]
    graph = Graph(missing(plan(chain(0), chain(1)), Store("nowhere")), lambda step: 10.0)
    shown = View(io.StringIO(), clock=lambda: now[0])
    first = graph.take()
    assert first is not None and shown.left(graph) is None
    graph.finish(first.key)
    second, now[0] = graph.take(), 6.0
    assert second is not None
    text = shown.summary(graph, {second.key: {"done": 3, "total": 12, "node": "n2"}})
    assert text.startswith("1 of 6 done, 1 running, 4 waiting, 0 failed, about 30s left") and "25% on n2" in text


def test_the_resources_of_a_step_follow_kind_system_device_and_what_the_user_says() -> None:
    fit = Step("fit", "", {"system": "c2n"})
    assert Resources("cpu").of(fit).gpu == 0 and Resources("cuda").of(fit).gpu == 1
    changed = Resources("cuda", changes=parse(["fit=gpu:0.5,cpu:2 fit/c2n=cpu:3"]))
    assert (changed.of(fit).gpu, changed.of(fit).cpu) == (0.5, 3)
    assert changed.of(Step("fit", "", {"system": "deflow"})).cpu == 2
    assert Resources("cpu", "paper").of(fit).memory > Resources("cpu").of(fit).memory
    for wrong in ("fit", "fti=cpu:1", "fit=cpus:1", "fit=cpu:-1", "sample=gpu:2", "fit=gpu:1.5", "fit="):
        with pytest.raises(UsageError):
            parse([wrong])


def test_the_forecast_lies_between_the_longest_path_and_the_sum() -> None:
    steps = missing(plan(chain(0), chain(1), chain(2, 1)), Store("nowhere"))

    def played(count: int) -> tuple[float, float, float]:
        nodes = [Capacity(name=str(i), cpu=1, memory=64) for i in range(count)]
        return tuple(forecast(Graph(steps, lambda step: 5.0), Resources(), nodes))  # type: ignore[return-value]

    assert played(1) == (35, 15, 35) and played(2) == (35, 15, 20) and played(9) == (35, 15, 15)
    words = sentence(forecast(Graph(steps, lambda step: 5.0), Resources(), [Capacity(name="", memory=9)]), [Capacity(
        name="", gpu=8)], 2)
    assert words.startswith("on 1 node with 8 GPUs in all: 35s") and "2 steps of unknown speed" in words


def test_plan_says_the_time_on_many_machines(capsys: pytest.CaptureFixture[str]) -> None:
    plain = ["plan", "table1", "--scale", "smoke", "--rows", "senm-10,real"]
    assert main(plain) == 0
    assert "one after the other" not in capsys.readouterr().out
    assert main([*plain, "--nodes", "3", "--cpus-per-node", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("on 3 nodes: ")
    assert main([*plain, "--nodes", "2", "--gpus-per-node", "1"]) == 0
    assert "no GPU has been measured" in capsys.readouterr().out.splitlines()[-1]
    assert main([*plain, "--nodes", "2", "--cpus-per-node", "0"]) == 4
    assert "asks for 1 CPU cores" in capsys.readouterr().err
    assert main([*plain, "--gpus-per-node", "1"]) == 2
    assert "--nodes 4" in capsys.readouterr().err

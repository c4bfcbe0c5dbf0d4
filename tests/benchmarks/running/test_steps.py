"""Content keys: what changes a step's key, what does not, and what a released checkpoint is matched by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.core import step as step_module
from benchmarks.core.step import Step, closure, source_digest, unique

FIT = Step("fit", "train it", {"system": "c2n", "steps": 3}, 0, sources=("baselines.noise.gaussian",))


@pytest.mark.parametrize(
    "changed",
    [
        replace(FIT, kind="sample"),
        replace(FIT, params={"system": "c2n", "steps": 4}),
        replace(FIT, seed=1),
        replace(FIT, inputs={"data": FIT}),
        replace(FIT, sources=("baselines.restorers.dncnn",)),
        replace(FIT, released="ab"),
    ],
)
def test_everything_a_step_depends_on_changes_its_key(changed: Step) -> None:
    assert changed.key != FIT.key


def test_names_costs_and_places_do_not_change_the_key() -> None:
    same = replace(FIT, label="another", cost={"iterations": 5}, local={"folder": "/somewhere"})
    assert same.key == FIT.key


def test_an_input_changes_all_keys_downstream() -> None:
    sample = Step("sample", "draw", {}, inputs={"model": FIT})
    other = Step("sample", "draw", {}, inputs={"model": replace(FIT, seed=1)})
    assert sample.key != other.key


def test_a_released_checkpoint_keeps_the_identity_but_not_the_key() -> None:
    stand_in = replace(FIT, released="ab", sources=("benchmarks.running.steps",))
    assert stand_in.identity == FIT.identity
    assert stand_in.key != FIT.key
    assert replace(FIT, seed=1).identity != FIT.identity


def test_unique_keeps_inputs_before_their_users() -> None:
    sample = Step("sample", "draw", {}, inputs={"model": FIT})
    twice = Step("evaluate", "measure", {}, inputs={"a": sample, "b": replace(sample, label="same")})
    assert [step.kind for step in unique([twice, sample])] == ["fit", "sample", "evaluate"]


def test_the_digest_sees_code_and_not_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "a_module.py"
    monkeypatch.syspath_prepend(str(tmp_path))

    def digest(text: str) -> str:
        module.write_text(text)
        for cached in (step_module.closure, step_module._module_file, step_module._imports, step_module._code_digest):
            cached.cache_clear()
        return source_digest(("a_module",))

    first = digest('"""Says one thing."""\nX = 1  # a number\n')
    assert digest('"""Says another thing."""\n\nX = 1\n') == first
    assert digest('"""Says one thing."""\nX = 2\n') != first


def test_the_closure_follows_lazy_imports_but_not_the_settings_and_the_map_of_names() -> None:
    found = closure(("baselines.restorers.dncnn",))
    assert {"baselines.restorers.dncnn", "baselines.fitting.training", "senm.support.seeding"} <= set(found)
    assert not {"baselines", "senm.config", "senm.support.errors"} & set(found)


def test_measuring_is_no_part_of_a_training() -> None:
    assert not [
        name for name in closure(("benchmarks.running.steps", "baselines.restorers.dncnn"))
        if name.startswith("benchmarks.metrics")
    ]

"""What code a step's key holds: the project's, and a plugin's with the modules of its own that it imports."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.core import step
from benchmarks.core.step import closure, source_digest


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that modules are imported from; what was imported is forgotten, and so are the caches."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]
    forget()


def forget() -> None:
    for cached in (step.closure, step._module_file, step._imports, step._code_digest):
        cached.cache_clear()


def write(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def test_a_plugin_s_own_modules_are_in_the_key(place: Path) -> None:
    write(place, mine_one="import numpy\nimport mine_two\n", mine_two="from mine_three import value\n",
          mine_three="value = 1\n", unused="value = 2\n")
    assert {"mine_one", "mine_two", "mine_three"} <= set(closure(("mine_one",)))
    assert not {"numpy", "unused"} & set(closure(("mine_one",)))
    before = source_digest(("mine_one",))
    write(place, unused="value = 3\n")
    forget()
    assert source_digest(("mine_one",)) == before
    write(place, mine_three="value = 4\n")
    forget()
    assert source_digest(("mine_one",)) != before


@pytest.mark.parametrize("line", ["from . import parts", "from .parts import value", "import mine.parts",
                                  "from mine import parts"])
def test_a_plugin_that_is_a_package_has_all_it_imports_of_itself(place: Path, line: str) -> None:
    write(place / "mine", __init__="", model=line + "\n", parts="from .deep.inner import value\n")
    write(place / "mine" / "deep", __init__="", inner="from ..far import value\n")
    write(place / "mine", far="value = 1\n")
    assert {"mine.parts", "mine.deep.inner", "mine.far"} <= set(closure(("mine.model",)))


def test_a_plugin_s_use_of_the_project_is_followed_into_it(place: Path) -> None:
    write(place, mine_user="from baselines.restorers.dncnn import DnCNN\n")
    assert "baselines.fitting.training" in closure(("mine_user",))


def test_an_environment_beside_a_plugin_is_not_part_of_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = place / "env" / "lib" / "site-packages"
    inside.mkdir(parents=True)
    write(inside, some_library="value = 1\n")
    monkeypatch.syspath_prepend(str(inside))
    write(place, mine_lonely="import some_library\n")
    assert set(closure(("mine_lonely",))) == {"mine_lonely"}


def test_the_project_does_not_follow_libraries() -> None:
    assert {name.partition(".")[0] for name in closure(("senm.model",))} <= {"senm", "baselines", "benchmarks"}

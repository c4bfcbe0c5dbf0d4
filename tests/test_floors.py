"""The floors: imports go downward only, files stay short, nothing shadows a standard module."""

import ast
import subprocess
import sys
from collections import Counter

import pytest

from tests import ROOT
from tests.imports import circles, graph, imported, room, sources, upward

PACKAGE_FLOORS = {"senm": 1, "baselines": 2, "benchmarks": 3, "ci": 4}
ROOM_FLOORS = {
    "senm.support": 0, "senm.config": 1, "senm.gaussians": 1, "senm.blocks": 2, "senm.checkpoint": 2, "senm.data": 3,
    "senm.level": 4, "senm.model": 5, "senm.paired": 6, "senm.losses": 7, "senm.training": 8, "senm.sampling": 9,
    "senm.quality": 10, "senm.api": 11, "senm.cli": 12, "senm.__main__": 13,
    "baselines.base": 1, "baselines.fitting": 2, "baselines.noise": 3, "baselines.restorers": 4,
    "baselines.super_resolution": 5, "baselines.published": 6, "baselines.own_images": 7,
    "benchmarks.core": 1, "benchmarks.metrics": 2, "benchmarks.store": 3, "benchmarks.tables": 3, "benchmarks.data": 4,
    "benchmarks.container": 5, "benchmarks.servers": 5, "benchmarks.planning": 5, "benchmarks.running": 6,
    "benchmarks.profiling": 7, "benchmarks.cluster": 7, "benchmarks.judging": 7, "benchmarks.report": 8,
    "benchmarks.cli": 9, "benchmarks.run": 10,
}
"""A room uses only rooms of lower floors; rooms on one floor do not know each other."""
SOURCES = sorted(sources().values())
MOST_LINES, MOST_FILES = 420, 16


@pytest.mark.parametrize("floors", [PACKAGE_FLOORS, ROOM_FLOORS], ids=["packages", "rooms"])
def test_imports_go_downward_only(floors: dict[str, int]) -> None:
    assert upward(floors, graph(), inside=floors is ROOM_FLOORS) == []


def test_there_is_no_circle_of_imports() -> None:
    assert circles(graph()) == [], "one of these modules must stop importing the next: hand the value in instead"


def test_nothing_imports_the_tests() -> None:
    assert [path for path in SOURCES if any(name.split(".")[0] == "tests" for name, _ in imported(path))] == []


def test_every_module_is_in_a_room() -> None:
    doors = {"senm", "senm.__init__", "baselines", "benchmarks"}
    lost = [name for name in graph() if name.count(".") >= 1 and not room(name, ROOM_FLOORS)
            and not name.startswith("ci.") and "test_bench" not in name and "conftest" not in name]
    assert [name for name in lost if name not in doors] == []


def test_circles_and_arrows_up_are_found() -> None:
    edges = {"benchmarks.core.step": {"benchmarks.report.html": 3},
             "benchmarks.report.html": {"benchmarks.core.step": 1}}
    assert circles(edges) == [["benchmarks.core.step", "benchmarks.report.html"]]
    (sentence,) = upward(ROOM_FLOORS, edges)
    assert "core/step.py:3" in sentence and "benchmarks.report.html" in sentence and "turn this import" in sentence


def test_folders_hold_about_a_dozen_files() -> None:
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in SOURCES if path.name != "__init__.py")
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_files_are_short_and_say_what_they_are_for() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in SOURCES}
    assert {path: n for path, n in lengths.items() if n > MOST_LINES} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 170
    silent = [p.relative_to(ROOT).as_posix() for p in SOURCES
              if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))]
    assert silent == []


def test_no_file_shadows_a_standard_module() -> None:
    names = {path.stem for path in SOURCES if path.parent.name in PACKAGE_FLOORS} - {"__init__", "__main__"}
    assert names & {"profile", "statistics", "random", "platform", "inspect"} <= {"statistics"}


@pytest.mark.parametrize("module", ["benchmarks.run", "senm", "baselines"])
def test_importing_the_command_line_does_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0

"""The floors: imports go downward only, files stay short, nothing shadows a standard module."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ABOVE = {
    "senm": {"baselines", "benchmarks", "ci"}, "baselines": {"benchmarks", "ci"}, "benchmarks": {"ci"}, "ci": set(),
}
SOURCES = sorted(path for package in ABOVE for path in (ROOT / package).rglob("*.py"))
MOST_LINES = 420


def imported(path: Path) -> set[str]:
    """First parts of every module that a file imports, lazily or not."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", ABOVE)
def test_imports_go_downward_only(package: str) -> None:
    upward = {path.relative_to(ROOT).as_posix(): imported(path) & (ABOVE[package] | {"tests"})
              for path in SOURCES if path.relative_to(ROOT).parts[0] == package}
    assert {path: names for path, names in upward.items() if names} == {}


def test_files_are_short_and_say_what_they_are_for() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in SOURCES}
    assert {path: n for path, n in lengths.items() if n > MOST_LINES} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 170
    silent = [p.relative_to(ROOT).as_posix() for p in SOURCES
              if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))]
    assert silent == []


def test_no_file_shadows_a_standard_module() -> None:
    names = {path.stem for path in SOURCES if path.parent.name in ABOVE} - {"__init__", "__main__"}
    assert names & {"profile", "statistics", "random", "platform", "inspect"} <= {"statistics"}


@pytest.mark.parametrize("module", ["benchmarks.run", "senm", "baselines"])
def test_importing_the_command_line_does_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0

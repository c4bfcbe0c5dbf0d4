"""The mutation tester: a changed text takes the file's place in a child only, and every file it names is there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ci.mutants import NEAREST, ROOT, Changed, difference, run

FILE = ROOT / "benchmarks" / "core" / "units.py"
TEST = '''"""A test of one file."""

from benchmarks.core.units import size


def test_units() -> None:
    assert size(1536) == "1.5 KiB"
'''


@pytest.fixture
def test(tmp_path: Path) -> str:
    (tmp_path / "test_units.py").write_text(TEST)
    return str(tmp_path / "test_units.py")


def test_every_file_and_every_test_is_there() -> None:
    for name, tests in NEAREST.items():
        assert (ROOT / name).is_file() and all((ROOT / each).exists() for each in tests), name


@pytest.mark.parametrize(("old", "new", "passes"), [("KiB", "kiB", False), ("Quantities", "Amounts", True)])
def test_a_changed_text_is_what_the_tests_see(test: str, old: str, new: str, passes: bool) -> None:
    text = FILE.read_text()
    assert run([test], None, 120)
    assert run([test], Changed(FILE, text.replace(old, new)), 120) is passes
    assert FILE.read_text() == text and not any(isinstance(each, Changed) for each in sys.meta_path)


def test_what_never_ends_counts_as_seen(test: str) -> None:
    text = FILE.read_text().replace("    for unit in", "    while True: pass\n    for unit in", 1)
    assert not run([test], Changed(FILE, text), 20)


def test_a_survivor_is_named_by_its_line() -> None:
    assert difference("a = 1\nb = 2\n", "a = 1\nb = 3\n") == "2: b = 2  ->  b = 3"

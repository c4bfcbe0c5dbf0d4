"""The tools that break the project on purpose: defects still fit the code, reports say what caught what."""

from __future__ import annotations

import random
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from ci import crash_test, measure, mutation_test
from ci.crash_test import Run, differences
from ci.defects import Defect
from ci.more_defects import ALL
from ci.mutation_test import Caught, first_failure, plant, report
from senm.support.errors import DataError
from tests import ROOT


@pytest.mark.parametrize("defect", ALL, ids=lambda defect: defect.name)
def test_every_planted_defect_still_fits_its_file_and_its_tests_exist(defect: Defect, tmp_path: Path) -> None:
    target = tmp_path / defect.file
    target.parent.mkdir(parents=True)
    shutil.copy(ROOT / defect.file, target)
    before = plant(defect, tmp_path)
    assert target.read_text() != before
    if target.suffix == ".py":
        compile(target.read_text(), defect.file, "exec")
    assert (ROOT / defect.near).is_file()


def test_a_defect_that_no_longer_fits_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    with pytest.raises(DataError, match=r"2 places.*adapt ci/defects.py"):
        plant(Defect("twice", "a.py", "x = 1", "x = 2", ""), tmp_path)


def test_there_are_twelve_defects_and_more() -> None:
    assert len({defect.name for defect in ALL}) == len(ALL) >= 12


def test_report_says_which_gate_caught_what() -> None:
    output = "note  golden: x\nFAIL  golden: metrics: kld differs\nFAIL  golden: second\nFAIL  drift: row1\n"
    assert first_failure(output, "golden") == "metrics: kld differs (and 1 more)"
    assert first_failure(output, "speed") == ""
    found = Caught("KL sign", golden="a | b", test="tests/x.py::y")
    assert found.by_gate and not Caught("other", test="t").by_gate
    assert "| KL sign | a / b | - | tests/x.py::y |" in report([found])


SCRIPT = """
import pathlib, sys, time
work = pathlib.Path(sys.argv[1]); work.mkdir(exist_ok=True, parents=True)
for step in range(6):
    print(f"[{step + 1}/6] train {step}", file=sys.stderr, flush=True)
    time.sleep(0.05)
    if not (work / str(step)).exists():
        (work / str(step)).write_text("done")
"""


def test_runs_are_killed_at_steps_and_started_again(tmp_path: Path) -> None:
    run = Run(tmp_path / "place", "table1", [])
    run.command = [sys.executable, "-c", SCRIPT, str(tmp_path / "work")]
    where: Counter[str] = Counter()
    kills, code = crash_test.crash_until_done(run, random.Random(0), 0.05, 3, where)
    assert kills == 3 and code == 0 and sum(where.values()) == 3
    assert len(list((tmp_path / "work").iterdir())) == 6 and where["train"] >= 1


def test_differences_are_named_whichever_side_lacks_them() -> None:
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == ["b", "c"]


def test_measuring_covers_every_gate_and_stops_at_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        " ".join(c[1:]) for c in measure.commands("smoke", "0-4", tmp_path, None, "cpu", ["golden", "drift", "speed"])
    ]
    assert ["golden" in lines[0], "table1" in lines[1], "speed" in lines[2]] == [True] * 3
    assert "--seeds 0-4" in lines[1]
    monkeypatch.setattr(measure, "commands", lambda *args: [[sys.executable, "-c", "raise SystemExit(5)"], ["never"]])
    assert measure.main(["--runs", str(tmp_path)]) == 5


def test_drift_is_measured_in_one_convention_on_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"import os, pathlib; pathlib.Path({str(tmp_path / 'said')!r}).write_text(os.environ['SENM_FRECHET'])"
    monkeypatch.setattr(measure, "commands", lambda *args: [[sys.executable, "-c", script]])
    assert measure.main(["--runs", str(tmp_path)]) == 0
    assert (tmp_path / "said").read_text() == "fd_random"


def test_the_copy_holds_what_gate_and_tests_need(tmp_path: Path) -> None:
    mutation_test.copy_tree(tmp_path)
    for name in ("senm/model.py", "ci/gate.py", "tests/ci/test_gate.py", "pyproject.toml"):
        assert (tmp_path / name).is_file()

"""Paper-scale trainings on a CPU or on embedded data do not start by accident."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cli.endless import refuse_endless
from benchmarks.cli.session import foreseen
from benchmarks.core.options import Options
from benchmarks.run import main
from senm.support.errors import UsageError

PAPER = Options(scale="paper", seeds=())


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return replace(PAPER, store=tmp_path / "store", out=tmp_path / "runs")


def ask(name: str, options: Options, **more: object) -> None:
    changed = replace(options, **more)  # type: ignore[arg-type]
    refuse_endless(changed, lambda: foreseen([name], changed))


@pytest.mark.parametrize(("more", "words"), [
    ({}, "the embedded photographs and a CPU"),
    ({"device": "cuda"}, "the embedded photographs"),
    ({"data": ("sidd:absent",)}, "a CPU"),
], ids=["both", "embedded", "cpu"])
def test_the_refusal_says_where_and_how_long(options: Options, more: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        ask("table1", options, **more)
    assert f"on {words} has" in str(refused.value) and "--yes" in str(refused.value)
    hours = re.search(r"([\d,]+) hours by the speeds of", str(refused.value))
    assert hours and int(hours[1].replace(",", "")) > 100


@pytest.mark.parametrize("more", [
    {"yes": True}, {"scale": "short"}, {"device": "cuda", "data": ("sidd:absent",)},
], ids=["yes", "short", "real data and a GPU"])
def test_what_was_asked_for_or_can_end_goes_on(options: Options, more: dict[str, object]) -> None:
    ask("table1", options, **more)


def test_images_made_elsewhere_need_no_training_and_are_scored(options: Options, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    ask("table2", options, external={"mine": tmp_path / "mine"}, rows=("mine",))


def test_the_command_line_refuses_before_it_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "runs")]
    assert main(["table6", "--scale", "paper", *place]) == UsageError.exit_code
    assert main(["submit", "sidd", "--rows", "senm-10", "--scale", "paper", *place]) == UsageError.exit_code
    assert capsys.readouterr().err.count("hours by the speeds of") == 2
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]

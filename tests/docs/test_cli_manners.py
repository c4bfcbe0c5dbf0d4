"""Manners of the command lines: examples, exit codes, 80 columns, no colours or paths, data alone on stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import typer

from benchmarks import run
from senm import __main__ as own
from senm.support.errors import UsageError
from tests import ROOT

PASSED_ON = ("prepare", "doctor", "profile", "throughput", "gpu-day")


def leaves(command: Any, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of every command that runs something."""
    inner = getattr(command, "commands", None)
    return [words] if inner is None else [leaf for name in inner for leaf in leaves(inner[name], (*words, name))]


COMMANDS = leaves(typer.main.get_command(run.app))


def said(capsys: pytest.CaptureFixture[str], main: Any, *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [c for c in COMMANDS if c[0] not in PASSED_ON], ids=" ".join)
def test_help_has_an_example_fits_and_names_no_place(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = said(capsys, run.main, *words, "--help")
    assert f"Example: python -m benchmarks.run {' '.join(words)}" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text, "a word that the help has no room for"
    assert str(ROOT) not in text and str(ROOT)[:12] not in text


@pytest.mark.parametrize("words", own.COMMANDS)
def test_help_of_the_tool_has_an_example(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"Example: python -m senm {words}" in " ".join(said(capsys, own.main, words, "--help").split())


@pytest.mark.parametrize("main", [run.main, own.main])
def test_the_main_help_says_the_exit_codes(main: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(said(capsys, main, "--help").split())
    assert "Exit codes: 0 done" in text and "130 interrupted" in text and "--install-completion" in text


def test_every_example_names_a_command_that_exists() -> None:
    assert {tuple(key.split()) for key in run.more.EXAMPLES} <= set(COMMANDS)


def test_lists_are_data_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, run.main, "list", "--json"))
    assert "senm-10" in found["tables"]["table1"]["rows"] and "kld_senm_official" in found["metrics"]
    plain = said(capsys, run.main, "list")
    assert all(name in plain for name in (*found["tables"], *found["systems"], *found["metrics"]))


def test_a_pipe_gets_plain_text() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks.run", "--help"], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "NO_COLOR": "1"}, check=True)
    assert "\x1b" not in done.stdout and done.stderr == ""


@pytest.mark.parametrize(("words", "guess"), [
    (["lst"], "list"), (["plan", "tabel1"], "table1"), (["plan", "table1", "--scale", "papr"], "paper"),
    (["plan", "table1", "--rows", "sem-10"], "senm-10"),
])
def test_a_slip_gets_a_suggestion(words: list[str], guess: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(words) == UsageError.exit_code
    out, err = capsys.readouterr()
    assert f"did you mean {guess!r}" in err and out == ""

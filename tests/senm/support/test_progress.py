"""Progress: lines with an estimate where there is no terminal, bars where there is one, nothing when quiet."""

from __future__ import annotations

import io
import sys

import pytest

from senm.support.progress import LineProgress, NullProgress, RichProgress, console_progress, duration


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_come_every_few_seconds_with_an_estimate() -> None:
    out, clock = io.StringIO(), Clock()
    with LineProgress(every=5, out=out, clock=clock).task("training", 100) as task:
        for _ in range(20):
            clock.now += 1
            task.advance(loss=0.5)
    assert out.getvalue().splitlines() == [
        "training: 5/100 (5%), 1m35s left loss=0.5",
        "training: 10/100 (10%), 1m30s left loss=0.5",
        "training: 15/100 (15%), 1m25s left loss=0.5",
        "training: 20/100 (20%), 1m20s left loss=0.5",
        "training: 20 in 20s loss=0.5",
    ]


def test_an_unknown_total_has_no_estimate() -> None:
    out, clock = io.StringIO(), Clock()
    with LineProgress(every=1, out=out, clock=clock).task("reading") as task:
        clock.now = 2
        task.advance(3)
    assert out.getvalue().splitlines() == ["reading: 3", "reading: 3 in 2s"]


def test_a_failed_task_prints_no_closing_line() -> None:
    out = io.StringIO()
    with pytest.raises(ValueError, match="x"), LineProgress(out=out).task("training", 2):
        raise ValueError("x")
    assert out.getvalue() == ""


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0s"), (59.6, "1m00s"), (185, "3m05s"), (7620, "2h07m")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_bars_are_used_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(console_progress(), LineProgress)
    assert isinstance(console_progress(quiet=True), NullProgress)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(console_progress(), RichProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(console_progress(), LineProgress)
    with NullProgress().task("nothing", 3) as task:
        task.advance(loss=1.0)
    assert capsys.readouterr() == ("", "")


def test_bars_show_fields_and_go_to_the_given_stream(monkeypatch: pytest.MonkeyPatch,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = io.StringIO()
    progress = RichProgress(out)
    with progress.task("outer [b]", 2) as outer, progress.task("inner", 10) as inner:
        inner.advance(4, loss=0.125)
        outer.advance()
        progress.display.refresh()
        progress.say("a [line]")
    text = out.getvalue()
    assert "outer [b]" in text and "4/10" in text and "loss=0.125" in text and "a [line]" in text
    assert "\x1b[3" not in text, "NO_COLOR asks for no colours"
    assert capsys.readouterr().out == "" and progress.running == 0

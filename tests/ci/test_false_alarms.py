"""The search for false alarms counts failures of measured gates and reports every run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci import false_alarms
from ci.judge import failure, note


def test_only_failures_of_measured_gates_count() -> None:
    findings = [failure("drift", "a"), note("drift", "b"), failure("speed", "c")]
    assert false_alarms.alarms(findings, ["drift"]) == ["a"]


def test_every_seed_and_the_other_threads_are_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[tuple[int, str]] = []

    def measure(runs: Path, store: Path, scale: str, seed: int, only: str, threads: str) -> int:
        measured.append((seed, threads))
        return 0

    monkeypatch.setattr(false_alarms, "measure", measure)
    monkeypatch.setattr(
        false_alarms, "judge", lambda *args: [failure("drift", "x drifted")] if len(measured) == 2 else []
    )
    assert false_alarms.main(["--seeds", "10-12"]) == 1
    assert measured == [(10, "1"), (11, "1"), (12, "1"), (10, "2")]
    out = capsys.readouterr().out
    assert "2/4: seed 11 on 1 threads: x drifted" in out and "1 of 4 runs raised a false alarm" in out

"""The day a GPU is there: its plan, its pieces, its limits, and a rehearsal of the comparison on a CPU."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from benchmarks.profiling import equality, gpu_day
from benchmarks.profiling.gpu_day import Piece, finished, pieces, spend
from benchmarks.run import main
from benchmarks.store.released import released
from benchmarks.tables import table


def test_the_plan_names_commands_that_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = pieces("cuda", "short", tmp_path)
    assert len({piece.name for piece in plan}) == len(plan)
    for piece in plan:
        assert piece.words[0] == "-m" and piece.words[1] in ("benchmarks.run", "benchmarks.profiling.equality")
        if "--rows" in piece.words:
            table(piece.words[2]).row(piece.words[piece.words.index("--rows") + 1])
        if piece.words[2].startswith("table"):
            assert main(["plan", *piece.words[2:], "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["steps"]


def test_pieces_end_in_time_and_go_on_with_the_same_command(tmp_path: Path) -> None:
    count = "import sys,pathlib; p=pathlib.Path(sys.argv[1]); p.write_text(p.read_text()+'x' if p.exists() else 'x')"
    script = tmp_path / "counts.py"
    script.write_text(count)
    (tmp_path / "sleeps.py").write_text("import time; time.sleep(60)")

    def piece(name: str, *words: str) -> Piece:
        return Piece(name, words)

    plan = [
        piece("good", str(script), str(tmp_path / "good")),
        piece("bad", str(tmp_path / "nothing.py")),
        piece("slow", str(tmp_path / "sleeps.py")),
        piece("later", str(script), str(tmp_path / "later")),
    ]
    started = time.monotonic()
    said = spend(plan, tmp_path / "out", minutes=5, limit=5)
    assert time.monotonic() - started < 50
    assert said["good"].startswith("done in") and "exit code" in said["bad"] and "its time was up" in said["slow"]
    assert set(finished(tmp_path / "out")) == {"good", "later"}, "one that fails takes no other with it"
    assert "can't open file" in (tmp_path / "out" / "logs" / "bad.log").read_text()
    again = spend(plan[:1], tmp_path / "out", minutes=5)
    assert "done before" in again["good"] and (tmp_path / "good").read_text() == "x"
    assert spend(plan[:2], tmp_path / "out", minutes=0.1)["bad"] == "waits for the next time"


def test_the_command_lists_refuses_and_says_what_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ["--out", str(tmp_path), "--device", "cpu", "--scale", "smoke"]
    assert main(["gpu-day", "--list", *out]) == 0
    assert capsys.readouterr().out.count(" to do ") == len(pieces("cpu", "smoke", tmp_path))
    assert main(["gpu-day", "--only", "nothing", *out]) == 2
    assert main(["gpu-day", "--minutes", "0", *out]) == 2
    monkeypatch.setattr(gpu_day, "_run", lambda words, seconds, log: 0)
    assert main(["gpu-day", "--only", "table1,sweep", *out]) == 0
    assert set(finished(tmp_path)) == {"sweep", "table1 senm-10", "table1 senm-all", "table1 real"}
    monkeypatch.setattr(gpu_day, "_run", lambda words, seconds, log: 5)
    assert main(["gpu-day", "--only", "equality", *out]) == 1


def test_equality_on_one_device_is_exact_and_a_difference_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = "table1-gaussian-noise-0,table1-real-restorer-0"
    if not {*names.split(",")} <= {item.folder.name for item in released()}:
        pytest.skip("results/checkpoints is not in this checkout")
    monkeypatch.setattr(equality, "compare", lambda item, device: REAL(item, device, count=2, side=48))
    assert equality.main(["--device", "cpu", "--names", names, "--out", str(tmp_path)]) == 0
    found = {each["what"]: each["found"] for each in json.loads((tmp_path / "equality.json").read_text())}
    assert found == {"deviation of noise": 0, "correlation of noise": 0, "pixels within a level": 1}
    monkeypatch.setattr(equality, "SHARE", 1.1)
    assert equality.main(["--device", "cpu", "--names", names]) == 1
    assert "DIFFERS" in capsys.readouterr().out


REAL = equality.compare

"""The command line, command by command: results, exit codes, sentences instead of tracebacks."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.cli import session
from benchmarks.core.options import Options
from benchmarks.core.record import Cell, TableResult
from benchmarks.run import main
from benchmarks.running.runner import Outcome
from tests import ROOT
from tests.benchmarks.tiny import write_tiny

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    write_tiny(folder / "tiny")
    return folder


@pytest.fixture
def run(place: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str, here: bool = True) -> tuple[int, str, str]:
        where = ["--store", str(place / "store"), "--out", str(place / "runs")] if here else []
        code = main([*words, *where])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def smoke(place: Path, *more: str) -> list[str]:
    return ["table1", "--scale", "smoke", "--data", f"folder:{place / 'tiny'}", "--rows", "gaussian,deflow", *more]


@pytest.fixture(scope="module")
def finished(place: Path) -> Path:
    """One finished run of two rows of table 1."""
    where = ["--store", str(place / "store"), "--out", str(place / "runs")]
    assert main([*smoke(place), *where]) == 0
    return place / "runs" / "table1" / "folder-smoke-rows"


def test_a_run_leaves_the_table_in_every_form(finished: Path) -> None:
    assert {p.name for p in finished.iterdir()} >= {"table.json", "table.md", "table.csv", "table.tex", "records"}
    table = json.loads((finished / "table.json").read_text())
    cells = {(c["row"], c["column"]): c for c in table["cells"]}
    assert cells["gaussian", "psnr"]["state"] == "measured" and cells["deflow", "psnr"]["state"] == "measured"
    assert cells["deflow", "psnr"]["paper"] == 33.82
    assert all((finished / path).is_file() for path in (*table["records"].values(), *table["curves"].values()))


def test_the_second_run_does_no_work_and_says_so(finished: Path, place: Path, run: Run) -> None:
    before = (finished / "table.csv").read_text()
    code, out, err = run(*smoke(place))
    assert code == 0 and "nothing to do" in err and "train" not in err
    assert (finished / "table.csv").read_text() == before
    assert "White Gaussian" in out and "written:" not in out


def test_a_table_fits_80_columns_and_has_no_colours_in_a_pipe(
    finished: Path, place: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(*smoke(place))
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "\x1b" not in out


def test_json_is_all_there_is_on_stdout(finished: Path, place: Path, run: Run) -> None:
    _, out, _ = run(*smoke(place, "--json"))
    assert json.loads(out)["table"] == "table1"


def test_reports_are_written_again_from_records_alone(finished: Path, place: Path, run: Run) -> None:
    (finished / "table.md").unlink()
    code, out, _ = run("report", str(finished), here=False)
    assert code == 0 and (finished / "table.md").is_file() and "table1" in out


def test_a_run_is_compared_with_itself(finished: Path, run: Run) -> None:
    code, out, _ = run("compare", str(finished), str(finished), here=False)
    assert code == 0 and "psnr_rgb_uint8" in out and "+0.0000" in out


def test_the_plan_runs_nothing(place: Path, run: Run) -> None:
    words = ["plan", "table1", "table7", "--scale", "smoke", "--data", f"folder:{place / 'tiny'}"]
    code, out, _ = run(*words, "--store", str(place / "empty"), here=False)
    assert code == 0 and "shared between tables" in out and "disk:" in out and "time:" in out
    assert not (place / "empty").exists()
    code, out, _ = run(*words, "--json")
    steps = json.loads(out)["steps"]
    assert any(step["tables"] == ["table1", "table7"] for step in steps)


def test_a_plan_knows_the_released_networks_before_anything_is_prepared(tmp_path: Path, run: Run) -> None:
    code, out, _ = run("plan", "table1", "--store", str(tmp_path / "fresh"), here=False)
    lines = [line.split() for line in out.splitlines() if "[table1]" in line]
    released = [line for line in lines if line[0] == "released"]
    assert code == 0 and released and {line[1] for line in released} == {"0s"}
    assert f"({len(released)} released networks" in out and not (tmp_path / "fresh").exists()
    assert not [line for line in lines if line[:2] == ["to", "do"] and "train" == line[3]], "nothing is to be trained"


def test_paper_scale_is_planned_without_the_data_and_says_so(place: Path, run: Run) -> None:
    code, out, _ = run("plan", "all", "--scale", "paper", "--data", "sidd:not/there", "--data", "aim19:nor/this")
    assert code == 0 and "official image counts" in out and "table5 is left out" in out
    assert re.search(r"disk: [\d.]+ (GiB|TiB)", out)


def test_the_store_is_listed_verified_and_cleaned(finished: Path, place: Path, run: Run) -> None:
    store = ["--store", str(place / "store")]
    _, out, err = run("store", "ls", *store, here=False)
    assert "train gaussian" in out and "results," in err
    assert run("store", "verify", *store, here=False)[0] == 0
    assert run("store", "gc", *store, here=False)[0] == 0


def test_lists_and_presets(run: Run) -> None:
    _, out, _ = run("list", here=False)
    assert "senm-960" in out and "lambda-1e-7" in out and "columns: fid, kld, psnr" in out
    _, out, _ = run("presets", "--diff", here=False)
    assert "loss.kl_weight" in out and "eq. 9" in out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["tabel1"], 2, "did you mean 'table1'"),
        (["table1", "--rows", "senm-97"], 2, "did you mean 'senm-96'"),
        (["table1", "--scale", "smok"], 2, "did you mean 'smoke'"),
        (["table1", "--data", "sid:x"], 2, "did you mean 'sidd'"),
        (["table1", "--data", "folder:not/there"], 3, "does not exist"),
        (["table1", "--seeds", "2-0"], 2, "--seeds"),
        (["table1", "--seeds", "a"], 2, "--seeds"),
        (["table1", "--sclae", "smoke"], 2, "--sclae"),
        (["table1", "--external", "x"], 2, "NAME=DIR"),
        (["table1", "--external", "x=not/there"], 2, "not/there"),
        (["table1", "--weights", "not/there"], 2, "not/there"),
        (["table1", "--plugin", "nowhere:Thing"], 2, "nowhere"),
        (["table1", "--device", "cuda:77"], 4, "cuda:77"),
        (["table1", "--device", "gpu"], 2, "device"),
        (["table1", "--data", "aim19:x"], 2, "table1 cannot run on aim19"),
        (["submit", "sidd"], 2, "--rows"),
        (["compare", "not/there", "nor/this"], 3, "not/there"),
        (["plan", "table1", "--container"], 2, "--container with plan"),
        (["plan", "table1", "--gpus", "all"], 2, "--gpus with plan"),
        (["store", "release", "table1", "--container"], 2, "--container with store release"),
        (["submit", "sidd", "--rows", "senm-10", "--container"], 2, "--container with submit sidd"),
    ],
)
def test_wrong_use_gets_one_sentence(run: Run, words: list[str], code: int, said: str) -> None:
    table = words[0].startswith("tab")
    found, out, err = run(*words, here=table)
    assert found == code, err
    assert said in err and "Traceback" not in err and not out


def test_json_has_null_for_a_value_that_is_not_finite(
    run: Run, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    cell = Cell(row="a", column="psnr", state="measured", values=(math.inf,), mean=math.inf)
    base = {"rows": (), "columns": (), "caption": "", "data": "folder", "scale": "smoke", "seeds": (0,)}
    result = TableResult(table="table1", cells=(cell,), **base)  # type: ignore[arg-type]
    done = session.Finished([result], [], Outcome(), {})
    monkeypatch.setattr(session, "run", lambda *given: done)
    code, out, _ = run(*smoke(place, "--json"))
    assert code == 0 and "Infinity" not in out
    assert json.loads(out)["cells"][0]["mean"] is None


def test_the_page_over_all_tables_is_named_after_data_and_rows() -> None:
    whole = [SimpleNamespace(data=name) for name in ("embedded", "embedded-x4")]
    sets = [SimpleNamespace(data=name) for name in ("sidd", "sidd", "aim19")]
    named = [session.page_of(whole, Options(scale="smoke")), session.page_of(sets, Options(scale="paper"))]  # type: ignore[arg-type]
    assert named == ["all-embedded-smoke.html", "all-sidd-aim19-paper.html"]
    assert session.page_of(whole, Options(rows=("a",))) == "all-embedded-short-rows.html"  # type: ignore[arg-type]


def test_an_output_folder_that_cannot_be_made_is_refused_before_any_work(place: Path, run: Run) -> None:
    (place / "file").write_text("")
    code, _, err = run(*smoke(place), "--out", str(place / "file" / "x"), "--store", str(place / "s2"), here=False)
    assert code == 4 and "is a file" in err and not (place / "s2").exists()


def test_an_interrupt_says_how_to_go_on(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.cli.session.run", stop)
    code, _, err = run(*smoke(place))
    assert code == 130 and "run the same command again" in err


def test_a_terminated_run_ends_as_an_interrupted_one(place: Path, tmp_path: Path) -> None:
    words = [*smoke(place), "--store", str(tmp_path / "store"), "--out", str(tmp_path / "runs")]
    with subprocess.Popen([sys.executable, "-m", "benchmarks.run", *words], cwd=ROOT, stderr=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("[1/"):
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 130, said
    assert "run the same command again" in said and "Traceback" not in said


def test_help_needs_no_heavy_library() -> None:
    code = (
        "import sys; sys.argv = ['run', '--help']\n"
        "from benchmarks import run\n"
        "run.main()\n"
        "heavy = {'torch', 'numpy', 'skimage', 'pandas', 'matplotlib', 'scipy', 'lpips'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "table1" in done.stdout


def test_released_networks_stand_in_for_trainings_at_the_same_scale(
    finished: Path, place: Path, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from benchmarks.core import scale as scales

    monkeypatch.setattr("benchmarks.store.released.ROOT", tmp_path)
    words = ["table1", "--scale", "smoke", "--data", f"folder:{place / 'tiny'}", "--rows", "gaussian",
             "--store", str(place / "store"), "--out", str(tmp_path / "runs")]
    code, out, _ = run("store", "release", *words, here=False)
    assert code == 0 and "table1-gaussian-noise-0" in out and "table1-gaussian-restorer-0" in out
    monkeypatch.setitem(scales.SCALES, "smoke", scales.SMOKE.but(released=True))
    code, out, err = run(*words, "--json", here=False)
    assert code == 0 and json.loads(out)["rows"][0]["filled"] == "released checkpoint"
    assert "train dncnn: " not in err, "nothing was trained"
    _, out, err = run(*words, "--retrain", "--json", here=False)
    assert json.loads(out)["rows"][0]["filled"] == "trained" and "nothing to do" in err


def test_submissions_come_from_a_folder_or_a_row(place: Path, run: Run, tmp_path: Path) -> None:
    code, _, err = run("submit", "sidd", "--images", str(place / "tiny"), "--to", str(tmp_path), here=False)
    assert code == 3 and "holds no image" in err
    words = ["submit", "sidd", "--rows", "drunet-10", "--scale", "smoke", "--data", f"folder:{place / 'tiny'}"]
    code, _, err = run(*words, "--to", str(tmp_path))
    assert code == 3 and "no benchmark images" in err

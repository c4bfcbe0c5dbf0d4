"""Rows that the paper does not have: the example of docs/own-row.md, folders of images, a plugin that fails."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import baselines
from benchmarks.planning.extra_rows import slug
from benchmarks.run import main
from senm.data.images import write_png
from tests import ROOT
from tests.benchmarks.tiny import noisy, write_tiny


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    write_tiny(folder / "tiny")
    return folder


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_plugins", {})


def call(place: Path, table: str, *more: str) -> int:
    where = ["--store", str(place / "store"), "--out", str(place / "runs")]
    return main([table, "--scale", "smoke", "--data", f"folder:{place / 'tiny'}", *more, *where])


def cells(place: Path, table: str) -> dict[tuple[str, str], dict[str, object]]:
    found = json.loads((place / "runs" / table / "folder-smoke-rows" / "table.json").read_text())
    rows = {row["id"]: row["filled"] for row in found["rows"]}
    return {(c["row"], c["column"]): {**c, "filled": rows[c["row"]]} for c in found["cells"]}


def test_the_documented_lines_make_a_row(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "own-row.md").read_text()
    example = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    assert len([line for line in example.splitlines() if line.strip()]) <= 15
    (place / "my_noise.py").write_text(example)
    monkeypatch.syspath_prepend(str(place))
    assert call(place, "table1", "--rows", "my-noise", "--plugin", "my_noise:MyNoise") == 0
    found = cells(place, "table1")
    assert all(found["my-noise", column]["state"] == "measured" for column in ("fid", "kld", "psnr", "kld-residual"))
    assert found["my-noise", "psnr"]["filled"] == "plugin"


def test_a_folder_of_noisy_images_is_scored(place: Path) -> None:
    from senm.data.prepared import PreparedData

    folder = place / "theirs"
    folder.mkdir()
    clean = PreparedData.open(place / "tiny").images("validation", "clean")
    for i, name in enumerate(clean.names):
        write_png(folder / f"{name}.png", noisy(name, clean[i]))
    assert call(place, "table1", "--rows", "their-model", "--external", f"Their model={folder}") == 0
    found = cells(place, "table1")
    assert found["their-model", "kld"]["mean"] < 1e-4, "these are the real noisy images"
    assert found["their-model", "psnr"]["state"] == "not run", "nothing was restored"
    assert found["their-model", "kld"]["filled"] == "external"


def test_a_folder_of_restored_images_is_scored(place: Path) -> None:
    from senm.data.prepared import PreparedData

    folder = place / "restored"
    folder.mkdir()
    clean = PreparedData.open(place / "tiny").images("validation", "clean")
    for i, name in enumerate(clean.names):
        write_png(folder / f"{name}.png", np.clip(clean[i].astype(int) + 1, 0, 255).astype(np.uint8))
    assert call(place, "table2", "--rows", "mine", "--external", f"mine={folder}") == 0
    found = cells(place, "table2")
    assert found["mine", "val-psnr"]["mean"] == pytest.approx(48.13, abs=0.01)
    assert {"val-ssim", "val-ssim-other"} <= {column for row, column in found if row == "mine"}


def test_a_folder_that_lacks_an_image_fails_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "few").mkdir()
    write_png(place / "few" / "x.png", np.zeros((48, 48, 3), np.uint8))
    assert call(place, "table2", "--rows", "few", "--external", f"few={place / 'few'}") == 3
    assert "validation-00" in capsys.readouterr().err


def test_a_plugin_that_fails_is_named_and_takes_only_its_row(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "own-row.md").read_text()
    example = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    broken = example.replace("my-noise", "broken-noise").replace("0, 8, clean[i].shape", "0, 8, (3, 5)")
    (place / "broken_noise.py").write_text(broken)
    monkeypatch.syspath_prepend(str(place))
    assert call(place, "table1", "--rows", "broken-noise,gaussian", "--plugin", "broken_noise:MyNoise") == 5
    said = capsys.readouterr()
    assert "'broken-noise' failed in the step 'sample'" in said.err and "Traceback" not in said.err
    found = cells(place, "table1")
    assert found["broken-noise", "kld"]["state"] == "not run"
    assert found["gaussian", "kld"]["state"] == "measured"


ENDINGS = {
    "exits": "raise SystemExit(0)",
    "raises": "raise type('Mine', (Exception,), {})('of its own')",
    "file": "open('/nowhere/at/all')",
    "usage": "raise UsageError('not the user')",
    "forks": "pid = os.fork() or sys.exit(); os.waitpid(pid, 0); raise BaseException('after the fork')",
}


def test_whatever_plugins_do_their_rows_fail_alone_and_stdout_is_json(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "own-row.md").read_text(), re.DOTALL)[0]
    head = "import os, sys\nfrom senm.support.errors import UsageError\nprint('{0} is here')\n"
    for name, ending in ENDINGS.items():
        begin = "        for i, name in enumerate"
        text = example.replace("my-noise", name).replace(begin, f"        os.chdir('/')\n        {ending}\n{begin}")
        assert ending in text
        (place / f"plugin_{name}.py").write_text(head.format(name) + text)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.chdir(place)
    plugins = [word for name in ENDINGS for word in ("--plugin", f"plugin_{name}:MyNoise")]
    assert call(place, "table1", "--rows", ",".join([*ENDINGS, "gaussian"]), "--json", *plugins) == 5
    said = capfd.readouterr()
    found = {(cell["row"], cell["column"]): cell["state"] for cell in json.loads(said.out)["cells"]}
    assert {name: found[name, "kld"] for name in ENDINGS} == dict.fromkeys(ENDINGS, "not run")
    assert found["gaussian", "kld"] == "measured"
    assert "Traceback" not in said.err and "it asked to exit" in said.err and "Mine: of its own" in said.err
    assert "exits is here" in said.err and Path.cwd() == place


@pytest.mark.parametrize("text", ["raise SystemExit(0)", "1 / 0", "raise OSError(2, 'none')", "x ="])
def test_a_plugin_that_cannot_be_imported_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    name = f"importing_{abs(hash(text))}"
    (place / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(place))
    assert call(place, "table1", "--plugin", f"{name}:R") == 2


def test_a_plugin_that_suits_no_table_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "other.py").write_text("class R:\n    name = 'other'\n    def restore(self): ...\n")
    monkeypatch.syspath_prepend(str(place))
    assert call(place, "table1", "--plugin", "other:R") == 2
    assert "suits none of the tables" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "names", "said"),
    [
        ("table1", ("DANet",), "becomes the row 'danet', which table1 has already ('DANet')"),
        ("table1", ("C2N",), "becomes the row 'c2n'"),
        ("table2", ("My model", "my-model"), "'my-model' becomes the row 'my-model'"),
        ("figure7", ("lambda 1e-7",), "which figure7 has already"),
    ],
)
def test_a_name_whose_row_is_taken_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], table: str, names: tuple[str, ...], said: str
) -> None:
    given = [word for name in names for word in ("--external", f"{name}={place / 'tiny'}")]
    assert call(place, table, *given) == 2
    assert said in capsys.readouterr().err


def test_a_plugin_of_the_working_folder_is_found_as_python_m_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lying_here.py").write_text("class R:\n    name = 'lying'\n    def restore(self): ...\n")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(Path.cwd()))])
    monkeypatch.chdir(tmp_path)
    assert baselines.load_plugin("lying_here:R").name == "lying"


@pytest.mark.parametrize(("name", "found"), [("My model (v2)", "my-model-v2"), ("a", "a"), ("--", "row")])
def test_a_row_id_is_made_from_any_name(name: str, found: str) -> None:
    assert slug(name) == found

"""Folders of results that are full, foreign or half something else: one sentence and exit code 3 or 4."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.run import main
from senm.data.images import write_png
from senm.support.errors import MachineError
from senm.support.files import changing, machine_error, write_text
from tests.benchmarks.tiny import write_tiny


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("places")
    data = write_tiny(folder / "tiny")
    noisy = data.images("validation", "noisy")
    for i, name in enumerate(noisy.names):
        write_png(folder / "theirs" / f"{name}.png", noisy[i])
    assert call(folder, folder / "runs") == 0
    return folder


def call(place: Path, out: Path, store: Path | None = None) -> int:
    given = ["--scale", "smoke", "--data", f"folder:{place / 'tiny'}", "--rows", "theirs"]
    given += ["--external", f"theirs={place / 'theirs'}"]
    return main(["table1", *given, "--store", str(store or place / "store"), "--out", str(out)])


def a_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("in the way")


def a_folder(path: Path) -> None:
    (path / "full").mkdir(parents=True)


@pytest.mark.parametrize(("name", "spoil"), [
    ("table1", a_file), ("table1/folder-smoke-rows", a_file), ("table1/folder-smoke-rows/records", a_file),
    ("table1/folder-smoke-rows/images", a_file),
    *((f"table1/folder-smoke-rows/{file}", a_folder) for file in ("table.json", "table.csv", "report.html")),
])
def test_what_is_in_the_way_under_out_is_named(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, spoil: Callable[[Path], None]
) -> None:
    spoil(tmp_path / name)
    assert call(place, tmp_path) == 4
    said = capsys.readouterr().err
    assert "to mend it" in said and str(tmp_path) in said and "Traceback" not in said


@pytest.mark.parametrize("name", ["tmp", "artefacts", "locks", "work"])
def test_what_is_in_the_way_in_the_store_is_named(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    a_file(tmp_path / "store" / name)
    assert call(place, tmp_path / "runs", tmp_path / "store") == 4
    assert "in the" in (said := capsys.readouterr().err) and "way" in said


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 96 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_under_out_is_said(place: Path, tiny_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(place, tiny_disk) == 4
    said = capsys.readouterr().err
    assert "No space left" in said and "Traceback" not in said
    assert not [path for path in tiny_disk.rglob(".*") if "lock" not in path.name], "half-written files went"


def test_our_own_defects_keep_their_traceback() -> None:
    assert machine_error(FileNotFoundError(2, "gone")) is None
    assert isinstance(machine_error(PermissionError(13, "no", "x")), MachineError)


def test_a_lock_is_beside_the_file_and_needs_its_folder(tmp_path: Path) -> None:
    with changing(tmp_path / "new" / "a.json"):
        write_text(tmp_path / "new" / "a.json", "1")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [".a.json.lock", "a.json"]
    a_file(tmp_path / "file")
    with pytest.raises(MachineError), changing(tmp_path / "file" / "a.json"):
        pass

"""The doctor: finds what is there, names what is not, and gives a command for each lack."""

import json

import pytest

from benchmarks import run
from benchmarks.cli import doctor
from senm.data.formats import dnd
from tests import fixtures_official as fx


def by_name(findings):
    return {f.name: f for f in findings}


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("SENM_WEIGHTS", raising=False)
    return tmp_path


def test_every_lack_has_one_command(nothing):
    findings = doctor.doctor(prepared=nothing / "none")
    assert {f.area for f in findings} == set(doctor.AREAS)
    assert all(f.command for f in findings if f.state != "ok")
    found = by_name(findings)
    assert found["sidd"].command.endswith("prepare sidd --root DIR --download")
    assert "--download" not in found["dnd"].command and "by hand" in found["dnd"].detail
    assert found["inception"].state == found["alexnet"].state == "missing"
    assert "curl" in found["inception"].command


def test_prepared_and_damaged_sets_are_told_apart(nothing):
    shape = dnd.DndShape(2, 3, 32)
    folder = dnd.prepare(fx.dnd(nothing / "r"), nothing / "p" / "dnd", shape=shape).folder
    found = by_name(doctor.doctor(prepared=nothing / "p"))
    assert found["dnd"].state == "ok" and "6 benchmark" in found["dnd"].detail
    (folder / "benchmark_noisy.npy").write_bytes(b"")
    found = by_name(doctor.doctor(prepared=nothing / "p"))
    assert found["dnd"].state == "warning" and "prepare dnd" in found["dnd"].command


def test_a_folder_of_downloads_is_looked_into(nothing):
    root = fx.sidd_mats(fx.sidd_medium(nothing / "r"))
    fx.rwsr(root, "aim19")
    (root / "train-noisy-images").rename(root / "gone")
    found = by_name(doctor.doctor(root=root, prepared=nothing / "p"))
    assert "6 of 320 pairs" in found["sidd training photographs"].detail
    assert "has shape (2, 4" in found["sidd validation blocks"].detail
    assert found["aim19 train-noisy-images"].state == "missing" and found["aim19 valid-gt-clean"].state == "ok"
    assert not any(name.startswith(("ntire20 ", "dnd ")) for name in found)
    assert doctor.doctor(root=nothing / "no", prepared=nothing)[-2].detail == "is not a folder"


def test_wrong_weights_are_not_taken_for_the_published_ones(nothing):
    (nothing / "alexnet-owt-7be5be79.pth").write_bytes(b"x")
    found = by_name(doctor.doctor(weights=nothing, prepared=nothing))
    assert found["alexnet"].state == "warning" and found["alexnet"].command.startswith("rm ")


def test_little_disk_is_a_warning(nothing, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: doctor.shutil._ntuple_diskusage(1, 1, 10**9))
    found = doctor.doctor(prepared=nothing, results=nothing)
    assert [f.state for f in found if f.area == "disk"] == ["warning"]


def test_command_prints_for_people_and_for_machines(nothing, capfd, monkeypatch):
    assert run.main(["doctor", "--json"]) == 0
    findings = json.loads(capfd.readouterr().out)
    assert {"area", "name", "state", "detail", "command"} == set(findings[0])
    monkeypatch.setenv("NO_COLOR", "1")
    assert run.main(["doctor"]) == 0
    text = capfd.readouterr().out
    assert "in order" in text and "\x1b" not in text and "prepare sidd" in text

"""MATLAB files, archives and model folders that reach into other files or claim what they do not hold."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import senm
from benchmarks.store.released import ROOT as RELEASED
from senm.checkpoint import read_state_dict
from senm.data.formats.archives import extract
from senm.data.formats.dnd import photo_size
from senm.data.formats.matfiles import read_array
from senm.support.errors import CheckpointError, DataError, SenmError

MODEL = RELEASED / "table1-senm-10-noise-0"


def virtual(file: h5py.File, other: Path, name: str) -> None:
    layout = h5py.VirtualLayout((3, 8, 8), "f4")
    layout[:] = h5py.VirtualSource(str(other), name, (3, 8, 8))
    file.create_virtual_dataset(name, layout)


REACHING: dict[str, Callable[[h5py.File, Path, str], object]] = {
    "external storage": lambda f, other, name: f.create_dataset(name, (3, 8, 8), "f4", external=[(str(other), 0, 768)]),
    "external link": lambda f, other, name: f.__setitem__(name, h5py.ExternalLink(str(other), name)),
    "virtual set": virtual,
    "claims a terabyte": lambda f, other, name: f.create_dataset(name, (3, 1 << 20, 1 << 20), "f4", chunks=(1, 64, 64)),
}


@pytest.mark.parametrize("kind", REACHING)
def test_a_matlab_file_reaches_into_no_other_file(tmp_path: Path, kind: str) -> None:
    other, path = tmp_path / "other.mat", tmp_path / "given.mat"
    with h5py.File(other, "w") as file:
        file["InoisySRGB"] = np.ones((3, 8, 8), "f4")
    with h5py.File(path, "w") as file:
        REACHING[kind](file, other, "InoisySRGB")
    for reader in (lambda: read_array(path, "InoisySRGB"), lambda: photo_size(path)):
        with pytest.raises(DataError, match=r"given\.mat"):
            reader()


def archive(path: Path, *members: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in members:
            info = zipfile.ZipInfo("a")
            info.filename = name
            file.writestr(info, b"data")
    return path


@pytest.mark.parametrize("name", ["", ".", "./.", "a/" * 2000 + "x", "../x", "a/../../x", "/x", "a\\x", "C:x"])
def test_no_member_is_written_outside_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(SenmError):
        extract(archive(tmp_path / "a.zip", name), tmp_path / "into")
    assert {path.name for path in tmp_path.iterdir()} <= {"a.zip", "into"}


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("whole")
    into = tmp_path / "into"
    into.mkdir()
    (into / "x.png.part").symlink_to(tmp_path / "victim")
    (into / "y.png").symlink_to(tmp_path / "victim")
    with pytest.raises(DataError, match="remove the links"):
        extract(archive(tmp_path / "a.zip", "x.png", "y.png"), into)
    assert (tmp_path / "victim").read_text() == "whole" and (into / "x.png").read_bytes() == b"data"


def first_weight(state: dict[str, torch.Tensor]) -> str:
    return next(name for name in state if name.startswith("inconv") and name.endswith("weight"))


WEIGHTS: dict[str, Callable[[torch.Tensor], Any]] = {
    "not a number": lambda t: t * float("nan"),
    "infinite": lambda t: t / 0,
    "a scalar": lambda t: torch.tensor(1.0),
    "sparse": lambda t: torch.eye(4).to_sparse(),
    "meta": lambda t: t.to("meta"),
    "a stride of nothing": lambda t: torch.zeros(1, 1, 1, 1).expand(200_000, 3, 3, 3),
    "complex": lambda t: t.to(torch.complex64),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_are_whole_finite_numbers(tmp_path: Path, kind: str) -> None:
    state = load_file(MODEL / "model.safetensors")
    name = first_weight(state)
    torch.save({**state, name: WEIGHTS[kind](state[name].float())}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError):
        senm.SeNMVAE.from_authors(tmp_path / "w.pth")


def test_names_of_weights_are_texts(tmp_path: Path) -> None:
    torch.save({1: torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="has no name"):
        read_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize(("file", "text"), [
    *(("settings.json", text) for text in ("[]", "null", "1", '"x"', '{"network": null}', "[" * 100_000)),
    *(("levels.json", text) for text in ("null", "1", "{}", '["a"]', "[NaN]", "[1e999]", "[-1]", "[true]")),
    *(("curve.json", text) for text in ("null", '{"coefficients": [NaN], "range": [0, 1]}', '{"coefficients": 3}')),
    ("health.json", "[1]"),
])
def test_a_model_folder_is_checked_before_it_is_used(tmp_path: Path, file: str, text: str) -> None:
    shutil.copytree(MODEL, tmp_path / "model")
    (tmp_path / "model" / file).write_text(text)
    with pytest.raises(CheckpointError, match=file.replace(".", r"\.")):
        senm.load(tmp_path / "model")


@pytest.mark.parametrize("kind", [torch.int32, torch.bool])
def test_a_model_of_whole_numbers_is_refused(tmp_path: Path, kind: torch.dtype) -> None:
    shutil.copytree(MODEL, tmp_path / "model")
    state = load_file(MODEL / "model.safetensors")
    save_file({name: value.to(kind) for name, value in state.items()}, tmp_path / "model" / "model.safetensors")
    with pytest.raises(CheckpointError, match="floating-point"):
        senm.load(tmp_path / "model")


@pytest.mark.parametrize("version", [0, -1, 99, None, True, "2", 1.5])
def test_records_of_unknown_versions_are_refused(tmp_path: Path, version: object) -> None:
    from benchmarks.core.record import EvaluationRecord, read

    (tmp_path / "r.json").write_text(json.dumps({"version": version, "kind": "noise"}))
    with pytest.raises(DataError, match="has version"):
        read(tmp_path / "r.json", EvaluationRecord)

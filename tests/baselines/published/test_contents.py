"""Files of weights told by their content: hash and layout, never by name alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import baselines
from baselines.published import contents, weights
from baselines.restorers.dncnn import DnCNN
from benchmarks.run import main
from senm.config import NetworkSettings
from senm.model import SeNMVAE

FEW = ("c2n", "flow-srgb", "dncnn")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files whose names tell nothing or lie; three systems of the registry, so that the test is quick."""
    monkeypatch.setattr(baselines, "REGISTRY", {name: baselines.REGISTRY[name] for name in FEW})
    place = tmp_path / "downloads"
    (place / "below").mkdir(parents=True)
    settings = DnCNN.default_settings("paper")
    deep = settings.but(network={"depth": 20, "norm": False})
    torch.save(DnCNN.initialised(settings, 0).state_dict(), place / "C2N-SIDD_to_SIDD.ckpt")
    torch.save({"model_state_dict": DnCNN.initialised(deep, 0).state_dict()}, place / "below" / "a.pth")
    torch.save(SeNMVAE(NetworkSettings(nf=8, zn_dim=4, nls=(1, 1), growth=4)).to_authors(), place / "b.pth")
    (place / "c.pth").write_bytes(b"no weights")
    (place / "notes.txt").write_text("passed over")
    return place


def test_a_file_is_what_it_holds(folder: Path) -> None:
    told = {each.path.name: each for each in contents.tell(folder)}
    assert set(told) == {"C2N-SIDD_to_SIDD.ckpt", "a.pth", "b.pth", "c.pth"}
    liar = told["C2N-SIDD_to_SIDD.ckpt"]
    assert liar.systems == ("dncnn",) and "perhaps" not in liar.sentence.partition("dncnn;")[0]
    assert "c2n" not in {each.name for each in liar.releases}
    assert [each.name for each in told["a.pth"].releases] == ["dncnn-blind"], "20 layers without batch norm"
    assert {each.name for each in told["b.pth"].releases} == {"senm-vae-10", "senm-vae-96", "senm-vae-960"}
    assert told["c.pth"].sentence.endswith("no network here has this layout")


def test_a_published_hash_is_certain_whatever_the_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "below" / "a.pth"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    known = replace(weights.release("dncnn-blind"), sha256=digest)
    others = tuple(each for each in weights.RELEASES if each.name != known.name)
    for module in (weights, contents):
        monkeypatch.setattr(module, "RELEASES", (*others, known))
    told = contents.tell_file(file)
    assert told.certain and told.releases == (known,) and "perhaps" not in told.sentence
    found = next(each for each in weights.scan(folder) if each.release is known)
    assert found.usable and found.path == file, "--weights finds it by its hash, too"


def test_two_releases_of_one_file_name_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "dncnn.pth").write_bytes(b"neither of the two")
    found = {each.release.name: each for each in weights.scan(tmp_path)}
    assert not found["lud-vae-dncnn"].usable and not found["lud-vae-dncnn-dnd"].usable
    names = [each.name for each in weights.RELEASES if each.file == "dncnn.pth"]
    assert names == ["lud-vae-dncnn", "lud-vae-dncnn-dnd"]


def test_the_command_lists_and_writes_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "scan", str(folder), "--json"]) == 0
    said = capsys.readouterr()
    assert {Path(each["file"]).name: each["systems"] for each in json.loads(said.out)}["c.pth"] == []
    assert "3 of 4 files" in said.err
    assert main(["weights", "scan", str(folder / "absent")]) == 3
    assert "not a folder" in capsys.readouterr().err

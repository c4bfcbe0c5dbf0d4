"""Released checkpoints: exported from the store, found by identity, refused when altered."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.released import by_identity, export, locate
from benchmarks.step import Step
from benchmarks.steps import Bench, release
from benchmarks.store import Store
from senm.errors import DataError, UsageError

FIT = Step("fit", "train it", {"system": "c2n", "steps": 3})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkpoint folder with one export."""
    store = Store(tmp_path / "store")

    def train(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "model" / "model.safetensors").write_bytes(b"weights")
        (folder / "log.jsonl").write_text('{"step": 1}\n')

    export(store.make(FIT, train), "c2n-tiny", tmp_path / "released")
    return tmp_path / "released"


def test_an_export_is_found_by_the_identity_of_its_training(root: Path) -> None:
    found = locate(FIT.identity, root)
    assert found is not None and found.folder.name == "c2n-tiny"
    assert found.description["description"]["params"] == FIT.params
    assert (found.folder / "log.jsonl").is_file()
    assert by_identity(root) == {FIT.identity: found.sha256}
    assert locate("0" * 64, root) is None


def test_it_stands_in_for_the_training(root: Path, tmp_path: Path) -> None:
    step = Step("fit", "", dict(FIT.params), released=by_identity(root)[FIT.identity])
    out = tmp_path / "artefact"
    out.mkdir()
    release(step, {}, out, Bench("cpu", {}, checkpoints=root))
    assert (out / "model" / "model.safetensors").read_bytes() == b"weights"
    assert (out / "log.jsonl").is_file()


def test_altered_weights_are_refused(root: Path, tmp_path: Path) -> None:
    step = Step("fit", "", dict(FIT.params), released=by_identity(root)[FIT.identity])
    (root / "c2n-tiny" / "model.safetensors").write_bytes(b"other")
    with pytest.raises(DataError, match="was changed"):
        release(step, {}, tmp_path, Bench("cpu", {}, checkpoints=root))


def test_a_broken_description_and_a_bad_name_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder name"):
        export(tmp_path, "../outside", root)
    (root / "c2n-tiny" / "description.json").write_text("{}")
    with pytest.raises(DataError, match=r"c2n-tiny.*description\.json"):
        by_identity(root)

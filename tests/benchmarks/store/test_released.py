"""Released checkpoints: exported from the store, found by identity, refused when altered."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.core.step import Step
from benchmarks.running.steps import Bench, release
from benchmarks.store.released import by_identity, export, locate
from benchmarks.store.store import Store
from senm.support.errors import DataError, UsageError

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


def test_half_precision_keeps_what_is_no_float_and_halves_the_rest(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from benchmarks.store.released import _halve

    save_file({"a": torch.full((3,), 0.1), "n": torch.tensor([7])}, tmp_path / "model.safetensors")
    _halve(tmp_path)
    found = load_file(tmp_path / "model.safetensors")
    assert found["a"].dtype == torch.float16 and found["n"].item() == 7


def test_each_training_of_a_plan_has_one_name() -> None:
    from benchmarks.cli.store import _trainings
    from benchmarks.core.scale import scale
    from benchmarks.data.datasets import ROLES, Data
    from benchmarks.planning.plan import Plan, Planner
    from benchmarks.store.released import names
    from benchmarks.tables import table

    data = Data("embedded", "f", dict(zip(ROLES, (20, 12, 12, 20, 6, 0), strict=True)))
    planner = Planner(data, scale("smoke"))
    plan = Plan(tuple(planner.table(table(n), table(n).rows, (0,)) for n in ("table1", "table6")), scale("smoke"), (0,))
    found = names(_trainings(plan))
    assert "table1-senm-10-noise-0" in found and "table6-without-recon-x-noise-0" in found
    assert "table6-with-recon-x-noise-0" not in found, "it is the training of table 1"
    assert len({step.identity for step in found.values()}) == len(found)

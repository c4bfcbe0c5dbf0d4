"""The store: artefacts are whole or absent, damage is noticed and named, failures leave nothing."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.store.store import Store, artefact
from senm.support.errors import DataError, UsageError


@dataclass(frozen=True)
class FakeStep:
    key: str = "ab" * 32
    about: dict[str, Any] = field(default_factory=lambda: {"kind": "fit", "label": "fit senm-vae"})

    def description(self) -> dict[str, Any]:
        return self.about


def fill(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(bytes(range(200)))
    (folder / "records").mkdir()
    (folder / "records" / "0.json").write_text('{"value": 30.5}')
    (folder / "pool_clean.npy").write_bytes(b"\x93NUMPY" + bytes(300))


KINDS_OF_FILE = ["model.safetensors", "records/0.json", "pool_clean.npy", artefact.MANIFEST]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_made_artefact_is_found_and_made_once(store: Store) -> None:
    step, calls = FakeStep(), []

    def work(folder: Path) -> None:
        calls.append(1)
        fill(folder)

    first, second = store.make(step, work), store.make(step, work)
    assert first == second == store.path(step.key)
    assert store.has(step.key) and Store(store.root).get(step) == first
    assert len(calls) == 1
    assert (first / "records" / "0.json").read_text() == '{"value": 30.5}'


def test_an_absent_artefact_is_none_and_makes_no_folder(store: Store) -> None:
    assert store.get(FakeStep()) is None and not store.has(FakeStep().key) and store.ls() == []
    assert not store.root.exists()


def test_a_failure_is_never_stored_and_keeps_the_scratch_folder(store: Store) -> None:
    step = FakeStep()
    with pytest.raises(ZeroDivisionError), store.build(step) as folder:
        (store.workdir(step.key) / "checkpoint").write_text("step 40")
        (folder / "half").write_text("half")
        _ = 1 / 0
    assert store.get(step) is None
    assert list((store.root / "tmp").iterdir()) == []
    assert (store.workdir(step.key) / "checkpoint").read_text() == "step 40"
    store.make(step, fill)
    assert not (store.root / "work" / step.key).exists(), "scratch goes after success"


def test_an_interrupt_is_a_failure(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), store.build(FakeStep()) as folder:
        fill(folder)
        raise KeyboardInterrupt
    assert store.get(FakeStep()) is None


def test_a_step_that_writes_nothing_is_a_failure(store: Store) -> None:
    with pytest.raises(DataError, match="wrote no file"):
        store.make(FakeStep(), lambda folder: None)
    assert store.get(FakeStep()) is None


def test_a_link_is_refused(store: Store) -> None:
    def link(folder: Path) -> None:
        (folder / "data").symlink_to("/etc")

    with pytest.raises(DataError, match="link or special file: data"):
        store.make(FakeStep(), link)


@pytest.mark.parametrize("name", KINDS_OF_FILE)
@pytest.mark.parametrize("same_process", [True, False])
def test_one_flipped_bit_is_noticed_named_and_mended(
    store: Store, name: str, same_process: bool, caplog: pytest.LogCaptureFixture
) -> None:
    step = FakeStep()
    path = store.make(step, fill) / name
    original = path.read_bytes()
    at = len(original) // 2 if name != artefact.MANIFEST else original.index(b'"fit senm') + 3
    path.write_bytes(original[:at] + bytes([original[at] ^ 1]) + original[at + 1 :])
    reader = store if same_process else Store(store.root)
    assert [e.key for e in reader.verify()] == [step.key]
    with caplog.at_level(logging.WARNING):
        assert reader.get(step) is None
    assert name in caplog.text and "fit senm-vae" in caplog.text
    assert len(list((store.root / "broken").iterdir())) == 1, "kept for the curious"
    remade = reader.make(step, fill)
    assert (remade / "model.safetensors").read_bytes() == bytes(range(200))
    assert reader.verify() == []


@pytest.mark.parametrize("name", KINDS_OF_FILE)
def test_a_truncated_or_missing_file_is_noticed(store: Store, name: str) -> None:
    for damage in (lambda p: p.write_bytes(p.read_bytes()[:-1]), lambda p: p.unlink()):
        damage(store.make(FakeStep(), fill) / name)
        if name == artefact.MANIFEST and (store.path(FakeStep().key) / name).exists():
            continue  # only the final newline went: every field is still sealed
        assert Store(store.root).get(FakeStep()) is None


def test_a_file_added_later_is_noticed(store: Store) -> None:
    folder = store.make(FakeStep(), fill)
    (folder / "extra").write_text("not from the step")
    assert "extra was added" in store.verify()[0].fault


def test_an_artefact_copied_under_another_key_is_not_believed(store: Store) -> None:
    folder = store.make(FakeStep(), fill)
    other = store.path("cd" * 32)
    other.parent.mkdir()
    folder.rename(other)
    assert not store.has("cd" * 32)
    assert store.get(FakeStep("cd" * 32)) is None


@pytest.mark.parametrize("key", ["../../etc", "/etc/passwd", "ab/../../x", "", "AB" * 32, "ab" * 32 + "/..", "g" * 64])
def test_keys_that_are_not_keys_are_refused(store: Store, key: str) -> None:
    for call in (store.path, store.workdir, store.has):
        with pytest.raises(UsageError, match="not a key"):
            call(key)


def test_a_link_inside_the_store_cannot_lead_out(store: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (store.root / "artefacts").mkdir(parents=True)
    (store.root / "artefacts" / "ab").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="leads outside"):
        store.make(FakeStep(), fill)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_manifest_that_names_files_outside_is_damage(store: Store) -> None:
    folder = store.make(FakeStep(), fill)
    manifest = json.loads((folder / artefact.MANIFEST).read_text())
    manifest["files"]["../../../secret"] = {"sha256": "0", "bytes": 0}
    manifest["seal"] = artefact._seal(manifest)
    (folder / artefact.MANIFEST).write_text(json.dumps(manifest))
    assert "outside its folder" in store.verify()[0].fault


def test_ls_and_gc_count_what_is_there(store: Store) -> None:
    keep, drop = FakeStep("aa" * 32), FakeStep("bb" * 32, {"kind": "sample", "label": "sample c2n"})
    store.make(keep, fill)
    store.make(drop, fill)
    (store.workdir("cc" * 32) / "checkpoint").write_bytes(bytes(10))
    (store.root / "tmp" / ("dd" * 32 + ".1")).mkdir(parents=True)
    assert {(e.kind, e.bytes) for e in store.ls()} == {("fit", 521), ("sample", 521)}
    untouched = store.gc()
    assert untouched.keys == () and untouched.leftovers == 1
    removed = store.gc(keep={keep.key})
    assert removed.keys == (drop.key,) and removed.bytes == 521 + 10
    assert [e.key for e in store.ls()] == [keep.key] and store.verify() == []


def test_a_clock_set_back_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is set back by a year between making and reading, and runs backwards during the second step."""
    store.make(FakeStep("aa" * 32), fill)
    real = time.time()
    ticks = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: real - 3.2e7 - next(ticks))
    reader = Store(store.root)
    assert reader.get(FakeStep("aa" * 32)) is not None
    reader.make(FakeStep("bb" * 32), fill)
    assert all(json.loads((e.path / artefact.MANIFEST).read_text())["seconds"] >= 0 for e in reader.ls())
    assert reader.verify() == [] and len(reader.ls()) == 2


def test_files_dated_in_the_future_are_still_valid(store: Store) -> None:
    import os

    folder = store.make(FakeStep(), fill)
    for path in folder.rglob("*"):
        os.utime(path, (4e9, 4e9))
    assert Store(store.root).get(FakeStep()) == folder

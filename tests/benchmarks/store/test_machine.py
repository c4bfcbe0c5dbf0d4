"""The store under a bad machine: full disk, read-only folder, killed and concurrent processes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.store.store import Store
from senm.support.errors import MachineError
from tests import ROOT
from tests.benchmarks.store.test_store import FakeStep, fill


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 2 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


def test_full_disk_is_said_and_leaves_a_store_that_verifies(small_disk: Path) -> None:
    store, big = Store(small_disk / "store"), FakeStep("cd" * 32)
    store.make(FakeStep(), fill)
    for write in (
        lambda folder: (folder / "weights").write_bytes(bytes(4 << 20)),
        lambda folder: __import__("numpy").zeros(4 << 20, "uint8").tofile(folder / "weights"),
        lambda folder: __import__("torch").save(__import__("torch").zeros(1 << 20), folder / "weights"),
        lambda folder: __import__("safetensors.torch").torch.save_file(
            {"w": __import__("torch").zeros(1 << 20)}, folder / "weights"
        ),
    ):
        with pytest.raises(MachineError, match="no space is left") as caught:
            store.make(big, write)
        assert caught.value.exit_code == 4 and str(store.root) in str(caught.value)
        assert Store(store.root).verify() == []
        assert store.get(big) is None and store.get(FakeStep()) is not None
        assert list((store.root / "tmp").iterdir()) == [], "the half-written files went, so there is room again"
    store.make(big, fill)


def test_read_only_store_reads_and_refuses_to_write(small_disk: Path) -> None:
    store = Store(small_disk / "store")
    store.make(FakeStep(), fill)
    victim = store.make(FakeStep("ee" * 32), fill) / "model.safetensors"
    victim.write_bytes(bytes(200))
    store.close()
    remount(small_disk, "ro")
    reader = Store(store.root)
    assert reader.get(FakeStep()) is not None
    with pytest.raises(MachineError, match="read-only"):
        reader.make(FakeStep("cd" * 32), fill)
    with pytest.raises(MachineError, match=r"fit senm-vae.*damaged: model.safetensors.*read-only"):
        reader.get(FakeStep("ee" * 32))
    with pytest.raises(MachineError, match="read-only"):
        reader.workdir("cd" * 32)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space is left"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
    ],
)
@pytest.mark.parametrize("where", ["rename", "fsync", "mkdir"])
def test_every_refusal_of_the_system_becomes_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str, where: str
) -> None:
    store = Store(tmp_path / "store")
    store.make(FakeStep(), fill)

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(code, os.strerror(code), str(store.root / "somewhere"))

    with monkeypatch.context() as patch:
        patch.setattr(os, where, refuse)
        with pytest.raises(MachineError, match=words):
            store.make(FakeStep("cd" * 32), fill)
    assert store.verify() == [] and len(store.ls()) == 1


def test_a_missing_permission_elsewhere_is_not_blamed_on_the_store(tmp_path: Path) -> None:
    def work(folder: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/somebody/photo.png")

    with pytest.raises(PermissionError, match="photo"):
        Store(tmp_path).make(FakeStep(), work)


WORKER = """
import sys, time, pathlib
from benchmarks.store.store import Store
from tests.benchmarks.store.test_store import FakeStep
root, seconds, journal = pathlib.Path(sys.argv[1]), float(sys.argv[2]), pathlib.Path(sys.argv[3])
def work(folder):
    with journal.open("a") as file:
        file.write("begin\\n")
    for part in range(4):
        (folder / f"part{part}").write_bytes(bytes(1000))
        time.sleep(seconds / 4)
print("ready", flush=True)
found = Store(root).make(FakeStep(), work)
print(sorted(p.name for p in found.iterdir()), flush=True)
"""


def worker(store: Path, seconds: float, journal: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(WORKER), str(store), str(seconds), str(journal)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.02)


def test_two_processes_make_a_step_once_and_never_see_half(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    racers = [worker(tmp_path / "store", 0.4, journal) for _ in range(3)]
    outputs = [racer.communicate(timeout=60)[0].splitlines()[-1] for racer in racers]
    assert journal.read_text() == "begin\n"
    assert outputs == ["['artefact.json', 'part0', 'part1', 'part2', 'part3']"] * 3


def test_a_killed_process_leaves_no_lock_and_no_half(tmp_path: Path) -> None:
    journal, store = tmp_path / "journal", Store(tmp_path / "store")
    victim = worker(store.root, 60, journal)
    wait_for(journal, victim)
    assert store.get(FakeStep()) is None, "nothing is seen before the rename"
    waiting = worker(store.root, 0.04, journal)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert waiting.communicate(timeout=60)[0].count("part") == 4, "the waiting process takes the lock over"
    assert store.get(FakeStep()) is not None and store.verify() == []
    assert list((store.root / "tmp").iterdir()) == [], "the victim's folder is cleaned away"


def test_gc_refuses_while_another_process_works(tmp_path: Path) -> None:
    journal, store = tmp_path / "journal", Store(tmp_path / "store")
    other = worker(store.root, 60, journal)
    wait_for(journal, other)
    with pytest.raises(MachineError, match="another process uses the store"):
        store.gc(keep=())
    other.kill()
    other.wait()
    assert store.gc().leftovers == 1

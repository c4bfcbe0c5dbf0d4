"""Hashes of files by their bytes: what is remembered, and what may not be."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from senm.support import contents


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(contents.VARIABLE, str(tmp_path / "memory"))
    return tmp_path / "memory" / "contents.sqlite"


def settled(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "SETTLED", -1.0)


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert contents.sha256_of([tmp_path / "a"]) == [hashlib.sha256(b"abc").hexdigest()]


def test_a_change_with_size_and_times_put_back_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(path := tmp_path / "a", monkeypatch)
    path.write_bytes(b"abc")
    before, times = contents.sha256_of([path]), path.stat()
    time.sleep(0.02)  # a tick of the file system's clock
    path.write_bytes(b"xyz")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_mtime_ns == times.st_mtime_ns and contents.sha256_of([path]) != before


def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path, memory: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    contents.sha256_of([tmp_path / "a"])
    assert not memory.exists()


def test_a_known_file_is_not_read_again(tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(path := tmp_path / "a", monkeypatch)
    path.write_bytes(b"abc")
    first = contents.sha256_of([path])
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("read again"))
    assert memory.is_file() and contents.sha256_of([path]) == first


def test_a_memory_that_is_broken_or_cannot_be_written_costs_time_only(
        tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(path := tmp_path / "a", monkeypatch)
    path.write_bytes(b"abc")
    memory.parent.mkdir()
    memory.write_bytes(b"no database " * 500)
    assert contents.sha256_of([path]) == [hashlib.sha256(b"abc").hexdigest()]
    monkeypatch.setenv(contents.VARIABLE, str(path))
    assert contents.sha256_of([path]) == [hashlib.sha256(b"abc").hexdigest()]

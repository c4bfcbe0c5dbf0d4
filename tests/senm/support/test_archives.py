"""Unpacking: nothing outside the folder, nothing twice, and a reason for every refusal."""

import stat
import zipfile

import pytest

from senm.data.formats import archives
from senm.support.errors import DataError, MachineError


def pack(path, members):
    with zipfile.ZipFile(path, "w") as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def outside(tmp_path):
    return sorted(p.name for p in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../evil.png", "/abs/evil.png", "a/../../evil.png", "C:\\evil.png",
                                  "a\\..\\..\\evil.png"])
def test_members_that_would_leave_the_folder_are_refused_before_anything_is_written(tmp_path, name):
    archive = pack(tmp_path / "x.zip", {"good.png": b"1", name: b"2"})
    with pytest.raises(DataError, match=r"x\.zip: member"):
        archives.extract(archive, tmp_path / "in" / "deep")
    assert outside(tmp_path) == ["x.zip"]


def test_links_in_the_archive_are_refused(tmp_path):
    link = zipfile.ZipInfo("a/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = pack(tmp_path / "x.zip", {link: "/etc"})
    with pytest.raises(DataError, match="link or special file"):
        archives.extract(archive, tmp_path / "in")


def test_links_in_the_target_folder_are_not_followed_outside(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "in" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="outside"):
        archives.extract(pack(tmp_path / "x.zip", {"a/b.png": b"1"}), tmp_path / "in")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_stopped_run_goes_on_and_mends_what_was_cut(tmp_path):
    archive = pack(tmp_path / "x.zip", {f"f/{i}.png": bytes([i]) * 100 for i in range(4)})
    into = archives.extract(archive, tmp_path / "in")
    kept, cut, changed = (into / "f" / f"{i}.png" for i in range(3))
    stamp = kept.stat().st_mtime_ns
    cut.write_bytes(b"\x01" * 50)
    changed.write_bytes(b"x" * 100)
    archives.extract(archive, tmp_path / "in")
    assert kept.stat().st_mtime_ns == stamp
    assert cut.read_bytes() == b"\x01" * 100 and changed.read_bytes() == b"\x02" * 100


def test_damaged_and_foreign_archives_are_named(tmp_path):
    archive = pack(tmp_path / "x.zip", {"a.png": bytes(range(256)) * 20})
    data = bytearray(archive.read_bytes())
    data[100] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match="not a whole zip archive"):
        archives.extract(archive, tmp_path / "in")
    archive.write_bytes(bytes(data[:300]))
    with pytest.raises(DataError, match="not a whole zip archive"):
        archives.extract(archive, tmp_path / "in")
    with pytest.raises(DataError, match="does not exist"):
        archives.extract(tmp_path / "none.zip", tmp_path / "in")


def test_full_disk_is_foreseen(tmp_path, monkeypatch):
    archive = pack(tmp_path / "x.zip", {"a.png": b"1" * 1000})
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda path: archives.shutil._ntuple_diskusage(1, 1, 10))
    with pytest.raises(MachineError, match="GB are free"):
        archives.extract(archive, tmp_path / "in")


def test_image_folder_descends_single_folders_only(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "1.png").write_bytes(b"")
    (tmp_path / "__MACOSX").mkdir()
    assert archives.image_folder(tmp_path) == tmp_path / "a" / "b"
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match="holds 2 folders"):
        archives.image_folder(tmp_path)

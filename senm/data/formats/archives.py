"""Unpacking zip archives: never outside the given folder, restartable, and checked against the free disk space."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from senm.data.images import EXTENSIONS
from senm.support.errors import DataError, MachineError
from senm.support.files import writing_failed
from senm.support.progress import NullProgress, Progress

DEEPEST = 64


def unsafe(member: zipfile.ZipInfo) -> str:
    """Why a member must not be unpacked, or an empty string."""
    name = member.filename
    if "\\" in name or "\x00" in name or (len(name) > 1 and name[1] == ":"):
        return "has a name that is not portable"
    if not name or not (PurePosixPath(name).parts or name.endswith("/")):
        return "has no name"
    if len(PurePosixPath(name).parts) > DEEPEST:
        return f"lies more than {DEEPEST} folders deep"
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        return "would be written outside the folder"
    mode = member.external_attr >> 16
    if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and stat.S_IFMT(mode):
        return "is a link or special file"
    if member.flag_bits & 1:
        return "is encrypted"
    return ""


def extract(archive: Path, into: Path, progress: Progress | None = None) -> Path:
    """Unpack a zip under `into` and return `into`.

    Members that are already there with the right size and checksum are kept, so a stopped run goes on. Every
    member is checked before the first one is written.

    Raises:
        DataError: not a zip, cut short, damaged, one part of a split archive, or a member that would leave `into`.
        MachineError: too little disk space, or the folder cannot be written.
    """
    progress = progress or NullProgress()
    if not archive.is_file():
        raise DataError(f"{archive} does not exist", "a zip archive", "check the path")
    try:
        with zipfile.ZipFile(archive) as source:
            members = source.infolist()
            for member in members:
                if reason := unsafe(member):
                    raise DataError(f"{archive.name}: member {member.filename!r} {reason}",
                                    "plain files inside the archive's folder",
                                    "do not use this archive; get it from its official source")
            _check_space(archive, members, into)
            with progress.task(f"unpack {archive.name}", len(members)) as task:
                for member in members:
                    _extract_member(source, member, into)
                    task.advance()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(f"{archive} is not a whole zip archive ({error})", "the complete download",
                        "download it again; join the parts of a split archive with `zip -FF` first") from error
    except OSError as error:
        raise writing_failed(into, error) from error
    return into


def _check_space(archive: Path, members: list[zipfile.ZipInfo], into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    needed, free = sum(m.file_size for m in members), shutil.disk_usage(into).free
    if needed > free:
        raise MachineError(f"{archive.name} unpacks to {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
                           "", "free disk space, or choose another --out")


def _extract_member(source: zipfile.ZipFile, member: zipfile.ZipInfo, into: Path) -> None:
    target = into / member.filename
    if not target.resolve().is_relative_to(into.resolve()):
        raise DataError(f"member {member.filename!r} would be written outside {into}", "plain files",
                        "remove the links in that folder")
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    if target.is_file() and target.stat().st_size == member.file_size and _crc(target) == member.CRC:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=target.parent, suffix=".part")  # a new file: nothing is written through a link
    try:
        with source.open(member) as packed, open(handle, "wb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
        os.chmod(part, 0o644)
        os.replace(part, target)
    finally:
        Path(part).unlink(missing_ok=True)


def _crc(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def origin(path: Path, root: Path, unpacked: Path) -> str:
    """How a manifest names a file: relative to `root`, or ``<archive>.zip:<member>`` where it was unpacked for now."""
    if path.is_relative_to(unpacked):
        archive, *member = path.relative_to(unpacked).parts
        return f"{archive}.zip:{'/'.join(member)}"
    return path.relative_to(root).as_posix()


def image_folder(folder: Path) -> Path:
    """The folder at or below `folder` that holds the images: single subfolders are descended into.

    Raises:
        DataError: no image anywhere, or several folders to choose from.
    """
    while True:
        if any(p.suffix.lower() in EXTENSIONS for p in folder.iterdir() if p.is_file()):
            return folder
        inside = [p for p in folder.iterdir() if p.is_dir() and p.name != "__MACOSX"]
        if len(inside) != 1:
            what = f"{len(inside)} folders and no image" if inside else "no image"
            raise DataError(f"{folder} holds {what}", "one folder of images", "check the archive or folder")
        folder = inside[0]

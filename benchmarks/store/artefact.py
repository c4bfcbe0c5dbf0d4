"""One artefact: a folder of files with a manifest that says what it is and what each file must hash to."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from senm.support.errors import DataError

MANIFEST = "artefact.json"
FORMAT = 1


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(manifest: dict[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _files(folder: Path) -> dict[str, Path]:
    """All files under the folder except the manifest, by relative POSIX name.

    Raises:
        DataError: a link or a special file is among them: an artefact must not reach outside itself.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise DataError(f"an artefact holds a link or special file: {name}", "plain files only")
        if path.is_file() and name != MANIFEST:
            found[name] = path
    return found


def sync(path: Path) -> None:
    """Force a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal(folder: Path, key: str, description: dict[str, Any], seconds: float) -> None:
    """Hash every file of the folder, write the manifest, and force all of it to the disk.

    Raises:
        DataError: the folder is empty (a step that wrote nothing did not succeed) or holds links.
    """
    files = _files(folder)
    if not files:
        raise DataError(f"step {description.get('label', key)!r} wrote no file", "at least one")
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "key": key,
        "description": json.loads(json.dumps(description)),
        "files": {name: {"sha256": file_digest(path), "bytes": path.stat().st_size} for name, path in files.items()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
    }
    manifest["seal"] = _seal(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    for path in [*files.values(), folder / MANIFEST]:
        sync(path)
    for path in [*(p for p in folder.rglob("*") if p.is_dir()), folder]:
        sync(path)


def manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an artefact.

    Raises:
        DataError: it is missing, is not JSON, was changed, or names files outside the folder.
    """
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{MANIFEST} is missing") from None
    except (ValueError, UnicodeDecodeError):
        raise DataError(f"{MANIFEST} cannot be parsed") from None
    if not isinstance(found, dict) or found.get("seal") != _seal(found):
        raise DataError(f"{MANIFEST} was changed after it was written")
    for name in found["files"]:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DataError(f"{MANIFEST} names a file outside its folder: {name!r}")
    return found


def fault(folder: Path, key: str) -> str:
    """What is wrong with an artefact, as a clause that names the file; empty where nothing is.

    Raises:
        OSError: a file cannot be read (permission, input/output error).
    """
    try:
        expected = manifest(folder)
        present = _files(folder)
    except DataError as error:
        return str(error)
    if expected["key"] != key:
        return f"it belongs to key {str(expected['key'])[:12]}"
    for name, entry in expected["files"].items():
        if name not in present:
            return f"{name} is missing"
        size = present[name].stat().st_size
        if size != entry["bytes"]:
            return f"{name} has {size} bytes, expected {entry['bytes']}"
        if file_digest(present[name]) != entry["sha256"]:
            return f"{name} has another sha256 than when it was written"
    extra = sorted(set(present) - set(expected["files"]))
    return f"{extra[0]} was added after it was written" if extra else ""


def stamp(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Sizes, change times and inodes of all files: equal stamps mean that nothing was touched since the last look."""
    stats = ((p.as_posix(), p.stat()) for p in sorted(folder.rglob("*")))
    return tuple((name, s.st_size, s.st_ctime_ns, s.st_ino) for name, s in stats)

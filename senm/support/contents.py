"""Hashes of files by their bytes, remembered by what the file system says of a file, so that a second look is fast.

The memory is a small database in the user's cache folder (`SENM_CACHE` names another). A file is known again by device,
inode, size, time of modification and time of change; the last is the kernel's own, which no copy and no `touch` puts
back. A file changed within the last seconds is never remembered, since another change in the same tick of the clock
could not be told from it.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

SETTLED = 2.0
"""Seconds after its last change from which a file's hash is remembered."""
VARIABLE = "SENM_CACHE"
TABLE = ("create table if not exists contents (device, inode, size, modified, changed, sha256, "
         "primary key (device, inode))")


def sha256_of(paths: Iterable[Path]) -> list[str]:
    """SHA-256 of each file's bytes, as 64 hexadecimal digits.

    Raises:
        OSError: a file cannot be read.
    """
    found: list[str] = []
    new: list[tuple[int | str, ...]] = []
    known = _remembered()
    for path in paths:
        status = path.stat()
        key = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        digest = known.get(key)
        if digest is None:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if time.time() - status.st_ctime > SETTLED:
                new.append((*key, digest))
        found.append(digest)
    if new:
        _remember(new)
    return found


def _place() -> Path:
    return Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "senm") / "contents.sqlite"


def _remembered() -> dict[tuple[int, ...], str]:
    """What is remembered; nothing where the memory cannot be read, since then all is read again."""
    place = _place()
    if not place.is_file():
        return {}
    try:
        with closing(sqlite3.connect(place, timeout=5)) as memory:
            return {tuple(row[:5]): row[5] for row in memory.execute("select * from contents")}
    except sqlite3.Error:
        return {}


def _remember(rows: Sequence[tuple[int | str, ...]]) -> None:
    place = _place()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(place, timeout=5)) as memory, memory:
            memory.execute(TABLE)
            memory.executemany("insert or replace into contents values (?, ?, ?, ?, ?, ?)", rows)
    except (OSError, sqlite3.Error):
        return  # without a memory the files are read each time

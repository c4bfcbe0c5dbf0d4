"""Files and folders that are written whole or not at all, and by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from senm.errors import MachineError


def writing_failed(path: Path | str, error: OSError) -> MachineError:
    """The error for a file that could not be written, with the action that the operating system's reason asks for."""
    mend = {
        errno.ENOSPC: "free disk space, or write elsewhere",
        errno.EDQUOT: "free disk space, or write elsewhere",
        errno.ENOENT: "make the folder first",
    }.get(error.errno or 0, "choose a folder that this user can write")
    return MachineError(f"{path} cannot be written: {error.strerror or error}", "a writable folder", mend)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call ``write(temporary_path)``, sync, and rename to `path`, so that a kill leaves the old file or the new.

    Raises:
        MachineError: the folder cannot be written, or the disk is full.
    """
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        write(Path(name))
        os.chmod(name, 0o644)
        with open(name, "rb") as written:
            os.fsync(written.fileno())
        os.replace(name, path)
        name = ""
    except OSError as error:
        raise writing_failed(path, error) from error
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Make the folder of a training and hold its lock, which the kernel drops with the process.

    Raises:
        MachineError: another process holds it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise writing_failed(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineError(f"another process is training in {folder}", "one process a folder",
                               "wait for it, or choose another folder") from None
        yield

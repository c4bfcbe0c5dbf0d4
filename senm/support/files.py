"""Files and folders that are written whole or not at all, and by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from senm.support.errors import MachineError


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


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file as `write_atomically` does."""
    write_atomically(path, lambda temporary: temporary.write_bytes(data))


def writable(folder: Path) -> Path:
    """`folder` itself, made where it is missing.

    Raises:
        MachineError: it is a file, or cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except FileExistsError as error:
        raise MachineError(f"{folder} is not a folder", "a folder to write into", "choose another one") from error
    except FileNotFoundError as error:  # of /proc and the like, where nothing can be made
        raise MachineError(f"{folder} cannot be made", "a writable folder", "choose another one") from error
    except OSError as error:
        raise writing_failed(folder, error) from error


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Make the folder of a training and hold its lock, which the kernel drops with the process.

    Raises:
        MachineError: another process holds it, or the folder cannot be written.
    """
    with (writable(folder) / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineError(f"another process is training in {folder}", "one process a folder",
                               "wait for it, or choose another folder") from None
        yield

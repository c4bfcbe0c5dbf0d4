"""Files and folders that are written whole or not at all, and by one process at a time."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from senm.support.errors import MachineError

IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP)
REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE,
           errno.ENAMETOOLONG)


def writing_failed(path: Path | str, error: OSError) -> MachineError:
    """The error for a file that could not be written, with the action that the operating system's reason asks for."""
    mend = {
        errno.ENOSPC: "free disk space, or write elsewhere",
        errno.EDQUOT: "free disk space, or write elsewhere",
        errno.EFBIG: "raise the file size limit (ulimit -f)",
        errno.ENOENT: "make the folder first",
        **dict.fromkeys(IN_THE_WAY, "remove what is in the way, or write elsewhere"),
    }.get(error.errno or 0, "choose a folder that this user can write")
    return MachineError(f"{path} cannot be written: {error.strerror or error}", "a writable folder", mend)


def machine_error(error: OSError) -> MachineError | None:
    """What the machine or a file of the wrong kind refused, as a sentence; None for errors that are our defects."""
    if error.errno not in (*REFUSED, *IN_THE_WAY):
        return None
    return writing_failed(error.filename or "a file", error)


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


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in UTF-8 as `write_atomically` does."""
    write_bytes(path, text.encode())


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Hold the lock of a file that is read, changed and written again; another process waits.

    The lock is a file beside it, .NAME.lock, which stays.

    Raises:
        MachineError: the folder cannot be written.
    """
    writable(path.parent)
    try:
        with FileLock(path.with_name(f".{path.name}.lock")):
            yield
    except OSError as error:
        raise writing_failed(path, error) from error


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
def only_one(lock: Path, doing: str) -> Iterator[None]:
    """Hold a lock file, whose folder is made, for the block; the kernel drops the lock with the process.

    Args:
        lock: the file.
        doing: what the block does and where, for the message: "training in runs/a".

    Raises:
        MachineError: another process holds it, or the folder cannot be written.
    """
    writable(lock.parent)
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout:
        raise MachineError(f"another process is {doing}", "one process a folder",
                           "wait for it, or choose another folder") from None

"""Locks between processes that a crash cannot leave behind.

POSIX record locks belong to a process: the kernel drops them when it dies, and a forked data-loading worker
does not inherit them, as it would the flock of the filelock library, which outlives a killed parent in its workers.
They do not exclude threads of one process, so a thread lock by path does that part. Users of a store share a lock,
which that library does not know.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

_threads: dict[str, threading.RLock] = {}
_held: dict[str, int] = {}
_guard = threading.Lock()


def _thread_lock(path: Path) -> threading.RLock:
    with _guard:
        return _threads.setdefault(str(path), threading.RLock())


def holder(path: Path) -> str:
    """Who wrote the lock file last, for messages only: 'process 12 on host', or 'another process'."""
    try:
        found = json.loads(path.read_text())
        return f"process {found['pid']} on {found['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _take(path: Path, wait: bool, what: str) -> int | None:
    """Lock the file and return its descriptor, or None where it is busy and `wait` is false."""
    waited, told = 0.0, False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            if not wait:
                return None
            if waited > 2 and not told:
                log.warning("waiting for %s, which %s is making", what, holder(path))
                told = True
            time.sleep(0.05 if waited < 2 else 0.5)
            waited += 0.05 if waited < 2 else 0.5
            continue
        try:
            current = os.stat(path).st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            current = False
        if current:
            return descriptor
        os.close(descriptor)  # someone removed this lock file between our open and our lock


@contextmanager
def locked(path: Path, *, wait: bool = True, what: str = "a step") -> Iterator[bool]:
    """Hold the lock at `path`; yields False at once where it is busy and `wait` is false.

    A thread may take a lock that it holds already (the lock is released with the outermost holder).

    Args:
        path: the lock file; its folder must exist.
        wait: wait until the lock is free.
        what: what the lock stands for, for the message shown after two seconds of waiting.

    Raises:
        OSError: the lock file cannot be made (read-only file system, no permission, full disk).
    """
    thread_lock, name = _thread_lock(path), str(path)
    if not thread_lock.acquire(blocking=wait):
        yield False
        return
    try:
        if _held.get(name):
            _held[name] += 1
            try:
                yield True
            finally:
                _held[name] -= 1
            return
        descriptor = _take(path, wait, what)
        if descriptor is None:
            yield False
            return
        _held[name] = 1
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
            yield True
        finally:
            _held[name] = 0
            os.close(descriptor)
    finally:
        thread_lock.release()


class Presence:
    """Says that this process uses a folder, so that another one does not clean it away meanwhile.

    Users hold a shared lock for their whole life; cleaning needs the exclusive one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def enter(self) -> None:
        """Take the shared lock; without effect where the folder is read-only, as nobody can clean it then."""
        if self._descriptor is not None:
            return
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT):
                return
            raise
        fcntl.lockf(self._descriptor, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Give the shared lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the folder exclusively; yields False where another process uses it."""
        self.enter()
        if self._descriptor is None:
            yield False
            return
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_SH)

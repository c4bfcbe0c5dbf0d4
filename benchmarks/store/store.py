"""The store: content-addressed results of steps, which can be trusted or are made again.

An artefact is written to a temporary folder, hashed, forced to the disk and renamed: it is there whole or not
at all. Nothing depends on the clock. Layout under the root: artefacts/ab/<key>, tmp, work, broken, locks.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError

from benchmarks.store import artefact
from benchmarks.store.locks import Presence, locked
from senm.support.errors import DataError, MachineError, UsageError
from senm.support.files import IN_THE_WAY

log = logging.getLogger(__name__)

_KEY = re.compile(r"[0-9a-f]{8,64}")
_MEANING = {
    errno.ENOSPC: ("no space is left on the disk", "free some space or choose another --store"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another --store"),
    errno.EFBIG: ("a file grew over the largest size allowed", "raise the file size limit (ulimit -f)"),
    errno.EROFS: ("the store is on a read-only file system", "choose a writable folder with --store"),
    errno.EACCES: ("no permission to write to the store", "change its permissions or choose another --store"),
    errno.EPERM: ("no permission to write to the store", "change its permissions or choose another --store"),
    errno.EIO: ("the disk reports an input/output error", "check the disk, or choose another --store"),
    **dict.fromkeys(IN_THE_WAY, ("a file or folder of another kind is in the store's way", "move it away")),
}
ROOM = 1 << 20  # bytes: with less free space than this, a failed write is put down to a full disk


class Keyed(Protocol):
    """What the store needs of a step."""

    @property
    def key(self) -> str: ...

    def description(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Entry:
    """One artefact as listed by `Store.ls`: sizes in bytes, `fault` empty unless it is known to be damaged."""

    key: str
    kind: str
    label: str
    bytes: int
    created: str
    path: Path
    fault: str = ""


@dataclass(frozen=True)
class Removed:
    """What `Store.gc` removed: keys of artefacts, number of left-over folders, bytes freed."""

    keys: tuple[str, ...]
    leftovers: int
    bytes: int


def size_of(folder: Path) -> int:
    """Bytes of all plain files under a folder."""
    return sum(p.lstat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


class Store:
    """A folder of artefacts. Any number of processes may use one store at once.

    Args:
        root: the folder; it is made when something is first written.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).resolve()
        self._presence = Presence(self.root / "locks" / "in-use")
        self._seen: dict[str, object] = {}

    def close(self) -> None:
        """Say that this process no longer reads the store; otherwise said when it ends."""
        self._presence.leave()

    def path(self, key: str) -> Path:
        """Where the artefact of this key is or would be.

        Raises:
            UsageError: the key is not hexadecimal or its place lies outside the store.
        """
        return self._inside("artefacts", self._checked(key)[:2], key)

    def has(self, key: str) -> bool:
        """Whether the artefact is there with a manifest that belongs to it (file contents are not hashed)."""
        try:
            return bool(artefact.manifest(self.path(key))["key"] == key)
        except DataError:
            return False

    def get(self, step: Keyed) -> Path | None:
        """The folder of a step's artefact, checked against its hashes, or None where it must be made.

        A damaged artefact is named in a warning and set aside under broken/. Contents are hashed once a process
        and again whenever a file was touched since.

        Raises:
            MachineError: the artefact cannot be read, or is damaged in a store that cannot be written.
        """
        folder = self.path(step.key)
        if not folder.is_dir():
            return None
        self._presence.enter()
        with self._translated():
            mark = artefact.stamp(folder)
            if self._seen.get(step.key) == mark:
                return folder
            reason = artefact.fault(folder, step.key)
            if not reason:
                self._seen[step.key] = mark
                return folder
            label = step.description().get("label", "")
            try:
                with self._lock(step.key):
                    if folder.is_dir() and not artefact.fault(folder, step.key):
                        return self.get(step)  # another process has made it again meanwhile
                    aside = self._set_aside(step.key, folder)
            except OSError as error:
                found, mend = _MEANING.get(error.errno or 0, (str(error), "choose another --store"))
                raise MachineError(f"artefact {label!r} ({folder}) is damaged: {reason}; {found}", "", mend) from error
            log.warning(
                "artefact %r (%s) is damaged: %s. It is set aside in %s and made again.",
                label,
                step.key[:12],
                reason,
                aside,
            )
            return None

    def make(self, step: Keyed, work: Callable[[Path], object]) -> Path:
        """The step's artefact: the stored one, or what `work(folder)` writes, exactly once over all processes."""
        found = self.get(step)
        if found is not None:
            return found
        with self._translated(), self._lock(step.key, str(step.description().get("label", step.key[:12]))):
            found = self.get(step)
            if found is not None:
                return found
            with self.build(step) as folder:
                work(folder)
            return self.path(step.key)

    @contextmanager
    def build(self, step: Keyed) -> Iterator[Path]:
        """A temporary folder that becomes the step's artefact when the block ends without an error.

        The step's lock is held meanwhile. On an error nothing is stored: the folder is removed and `workdir` stays
        for the next try. Use `make` where another process may be at the same step.

        Raises:
            MachineError: full disk, read-only file system or missing permission, also where the block hit them.
        """
        started = time.monotonic()
        with self._translated(), self._lock(step.key, str(step.description().get("label", step.key[:12]))):
            for stale in self._inside("tmp").glob(f"{step.key}.*"):
                shutil.rmtree(stale)
            folder = self._inside("tmp", f"{step.key}.{secrets.token_hex(4)}")
            folder.mkdir(parents=True)
            try:
                with self._translated():  # before the folder goes, while the disk is still full
                    yield folder
                artefact.seal(folder, step.key, step.description(), time.monotonic() - started)
                final = self.path(step.key)
                final.parent.mkdir(parents=True, exist_ok=True)
                if final.exists():
                    os.rename(final, self._inside("tmp", f"{step.key}.{secrets.token_hex(4)}.old"))
                os.rename(folder, final)
                artefact.sync(final.parent)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            self._seen[step.key] = artefact.stamp(final)
            shutil.rmtree(self._inside("work", step.key), ignore_errors=True)
            for stale in self._inside("tmp").glob(f"{step.key}.*"):
                shutil.rmtree(stale, ignore_errors=True)

    def workdir(self, key: str) -> Path:
        """A scratch folder that outlives failures and kills, for checkpoints of long loops; gone after success."""
        folder = self._inside("work", self._checked(key))
        with self._translated():
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def ls(self) -> list[Entry]:
        """All artefacts, the youngest last; a damaged manifest is listed with its fault."""
        entries = []
        for folder in sorted(self._inside("artefacts").glob("*/*")):
            try:
                found = artefact.manifest(folder)
            except DataError as error:
                entries.append(Entry(folder.name, "?", "?", size_of(folder), "", folder, str(error)))
                continue
            about = found["description"]
            entries.append(
                Entry(
                    folder.name,
                    str(about.get("kind", "")),
                    str(about.get("label", "")),
                    sum(f["bytes"] for f in found["files"].values()),
                    found["created"],
                    folder,
                )
            )
        return sorted(entries, key=lambda e: (e.created, e.key))

    def verify(self) -> list[Entry]:
        """The damaged artefacts, each with its fault; hashes everything and changes nothing."""
        damaged = []
        for entry in self.ls():
            with self._translated():
                reason = entry.fault or artefact.fault(entry.path, entry.key)
            if reason:
                damaged.append(Entry(**{**vars(entry), "fault": reason}))
        return damaged

    def gc(self, keep: Collection[str] | None = None) -> Removed:
        """Remove left-overs (tmp, broken, scratch of finished steps) and, if `keep` is given, all other artefacts.

        Args:
            keep: keys to keep; None keeps every artefact. Scratch folders of kept or all unfinished steps stay.

        Raises:
            MachineError: another process uses the store, or it cannot be written.
        """
        with self._translated():
            self._inside("locks").mkdir(parents=True, exist_ok=True)
            with self._presence.alone() as alone:
                if not alone:
                    raise MachineError(
                        f"another process uses the store {self.root}", "no run at work", "wait for it to end"
                    )
                doomed = [e for e in self.ls() if keep is not None and e.key not in keep]
                leftovers = [*self._inside("tmp").glob("*"), *self._inside("broken").glob("*")]
                for scratch in self._inside("work").glob("*"):
                    done = bool(_KEY.fullmatch(scratch.name)) and self.path(scratch.name).exists()
                    if done or (keep is not None and scratch.name not in keep):
                        leftovers.append(scratch)
                freed = sum(e.bytes for e in doomed) + sum(size_of(p) for p in leftovers)
                self._inside("tmp").mkdir(parents=True, exist_ok=True)
                for entry in doomed:
                    gone = self._inside("tmp", f"{entry.key}.gone")
                    os.rename(entry.path, gone)
                    shutil.rmtree(gone)
                    self._seen.pop(entry.key, None)
                for path in leftovers:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                return Removed(tuple(e.key for e in doomed), len(leftovers), freed)

    def remove(self, key: str) -> int:
        """Remove one artefact, if it is there; returns its bytes. The caller knows that nobody reads it.

        Raises:
            MachineError: it cannot be removed.
        """
        folder = self.path(key)
        with self._translated(), self._lock(key):
            if not folder.is_dir():
                return 0
            freed = size_of(folder)
            gone = self._inside("tmp", f"{key}.gone")
            gone.parent.mkdir(parents=True, exist_ok=True)
            os.rename(folder, gone)  # whole or not at all, for whoever looks
            shutil.rmtree(gone)
            self._seen.pop(key, None)
            return freed

    def _checked(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise UsageError(f"{key!r} is not a key of the store", "8 to 64 hexadecimal digits", "run store ls")
        return key

    def _inside(self, *parts: str) -> Path:
        place = self.root.joinpath(*parts)
        if not place.resolve().is_relative_to(self.root):
            raise UsageError(f"{'/'.join(parts)!r} leads outside the store", f"a path under {self.root}")
        return place

    @contextmanager
    def _lock(self, key: str, what: str = "a step") -> Iterator[None]:
        folder = self._inside("locks")
        folder.mkdir(parents=True, exist_ok=True)
        self._presence.enter()
        with locked(folder / self._checked(key), what=what):
            yield

    def _set_aside(self, key: str, folder: Path) -> Path:
        self._seen.pop(key, None)
        aside = self._inside("broken", f"{key}.{secrets.token_hex(4)}")
        aside.parent.mkdir(exist_ok=True)
        if folder.is_dir():
            os.rename(folder, aside)
        return aside

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what a full disk or a missing permission raises into a `MachineError` that says so."""
        try:
            yield
        except OSError as error:
            known = _MEANING.get(error.errno or 0)
            where = error.filename if isinstance(error.filename, str) else None
            ours = where is None or Path(where).resolve().is_relative_to(self.root)
            if known and (ours or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)):
                raise MachineError(f"{known[0]} ({where or self.root})", "", known[1]) from error
            self._blame_full_disk(error)
            raise
        except SafetensorError as error:  # carries the system's error number in its text only
            number = re.search(r"os error (\d+)", str(error))
            known = _MEANING.get(int(number.group(1))) if number else None
            if known:
                raise MachineError(f"{known[0]} ({self.root})", "", known[1]) from error
            raise
        except RuntimeError as error:  # torch says only that a write failed
            self._blame_full_disk(error)
            raise

    def _blame_full_disk(self, error: BaseException) -> None:
        present = next(p for p in (self.root, *self.root.parents) if p.exists())
        if shutil.disk_usage(present).free < ROOM:
            found, mend = _MEANING[errno.ENOSPC]
            raise MachineError(f"{found} ({self.root})", "", mend) from error

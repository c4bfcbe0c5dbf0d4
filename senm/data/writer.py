"""Writing a prepared data set: in a hidden folder beside the target, renamed when complete, resumable."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from senm.data.manifest import FILE_NAME, Manifest, Pool, Source, StoredFile, file_sha256, is_prepared
from senm.data.pool import ragged_offsets
from senm.data.prepared import PreparedData
from senm.support.errors import DataError, UsageError
from senm.support.files import only_one, write_bytes, writing_failed
from senm.support.progress import NullProgress, Progress

Size = tuple[int, int]


@dataclass(frozen=True)
class PoolWriter:
    """One side of a pool under construction; picklable, so that worker processes can write their own items.

    `sizes` is integer (N, 2), height and width of each item; `header` is the length of the file's .npy header.
    """

    path: Path
    sizes: np.ndarray
    header: int

    def write(self, index: int, images: np.ndarray | Iterable[np.ndarray]) -> None:
        """Write items `index`, `index` + 1, ... : uint8 (n, H, W, 3), or an iterable of (H, W, 3).

        Raises:
            DataError: an image is not uint8 of the size declared for its item.
            MachineError: the disk is full or not writable.
        """
        offsets = ragged_offsets(self.sizes)
        try:
            with self.path.open("r+b") as file:
                for i, image in enumerate(images, start=index):
                    expected = (int(self.sizes[i, 0]), int(self.sizes[i, 1]), 3)
                    if image.dtype != np.uint8 or image.shape != expected:
                        raise DataError(f"item {i} of {self.path.stem} is {image.dtype} of shape {image.shape}",
                                        f"uint8 of shape {expected}")
                    file.seek(self.header + int(offsets[i]))
                    file.write(np.ascontiguousarray(image).tobytes())
        except OSError as error:
            raise writing_failed(self.path, error) from error


class PreparedWriter:
    """Builds a prepared folder. Nothing appears at `out` before `finish`, and then everything at once.

    Use it as a context manager: an error removes what was written, unless `resume` is set; with `resume`, a later
    writer with the same `plan` finds the chunks that were marked as done.

    Args:
        out: the folder to make; an existing prepared data set there is replaced, anything else is refused.
        name: kind of data set.
        plan: everything that determines the content, JSON-able; a half-made folder of another plan is discarded.
        resume: keep half-made work after an error.

    Raises:
        UsageError: `out` exists and is not a prepared data set.
        MachineError: the parent folder cannot be written, or another process is preparing the same folder.
    """

    def __init__(self, out: Path | str, name: str, plan: Mapping[str, Any], *, resume: bool = False) -> None:
        self.out, self.name, self.plan, self.resume = Path(out), name, dict(plan), resume
        if self.out.exists() and not is_prepared(self.out) and not (self.out.is_dir() and not any(self.out.iterdir())):
            raise UsageError(f"{self.out} exists and is not a prepared data set", "a new or empty folder",
                             "choose another --out")
        self.partial = self.out.parent / f".{self.out.name}.partial"
        self._pools: dict[str, Pool] = {}
        self._domains: dict[str, str] = {}
        self._finished = False
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self._begin()
        except OSError as error:
            raise writing_failed(self.out, error) from error

    def _begin(self) -> None:
        self.partial.mkdir(exist_ok=True)
        self._lock = ExitStack()
        self._lock.enter_context(only_one(self.partial / "lock", f"preparing {self.out}"))
        text = json.dumps({"name": self.name, "plan": self.plan}, sort_keys=True)
        plan = self.partial / "plan.json"
        if not (self.resume and plan.is_file() and plan.read_text(encoding="utf-8") == text):
            for path in self.partial.iterdir():
                if path.name != "lock":
                    path.unlink()
            plan.write_text(text, encoding="utf-8")
        for left in self.partial.glob(".*"):  # what a kill cut short between writing and renaming
            left.unlink()
        journal = self.partial / "done"
        lines = journal.read_text(encoding="utf-8").split("\n") if journal.is_file() else [""]
        # the last piece has no newline yet: a kill cut it short, so it does not count
        self._done = set(lines[:-1])
        journal.write_text("".join(f"{tag}\n" for tag in lines[:-1]), encoding="utf-8")

    def __enter__(self) -> PreparedWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.close()
        if not self._finished and not self.resume:
            shutil.rmtree(self.partial, ignore_errors=True)

    def pool(self, name: str, items: Sequence[Mapping[str, Any]],
             sides: Mapping[str, Size | Sequence[Size] | np.ndarray]) -> dict[str, PoolWriter]:
        """Declare a pool and allocate its files; fill them with the writers returned, one a side.

        Args:
            name: 'train', 'validation', ...
            items: one JSON-able mapping an item, with at least its unique "name".
            sides: 'clean' and / or 'noisy' -> (height, width) of all items, or one (height, width) an item.
        """
        names = [str(item["name"]) for item in items]
        if len(set(names)) != len(names):
            twice = next(n for i, n in enumerate(names) if n in names[:i])
            raise DataError(f"two items of {name} are named {twice!r}", "one name an item")
        lines = "".join(json.dumps(dict(item), sort_keys=True) + "\n" for item in items)
        self._put(f"{name}_items.jsonl", lines.encode())
        writers: dict[str, PoolWriter] = {}
        fixed: dict[str, Size | None] = {}
        for side, given in sides.items():
            sizes = np.asarray(given, dtype=np.int64)
            if sizes.shape == (2,):
                fixed[side] = (int(sizes[0]), int(sizes[1]))
                sizes = np.tile(sizes, (len(items), 1))
                shape: tuple[int, ...] = (len(items), *fixed[side], 3)  # type: ignore[misc]
            else:
                fixed[side], sizes = None, sizes.reshape(-1, 2)
                if len(sizes) != len(items):
                    raise DataError(f"{len(sizes)} sizes for {len(items)} items of {name}", "one size an item")
                shape = (int(ragged_offsets(sizes)[-1]),)
                self._save(f"{name}_{side}_sizes.npy", sizes)
            path = self.partial / f"{name}_{side}.npy"
            writers[side] = PoolWriter(path, sizes, self._allocate(path, shape))
        self._pools[name] = Pool(items=len(items), sides=fixed)
        return writers

    def _allocate(self, path: Path, shape: tuple[int, ...]) -> int:
        """Reserve the whole file now, so that a full disk is found at once; keeps the content of a resumed file."""
        try:
            with path.open("r+b" if path.exists() else "w+b") as file:
                np.lib.format.write_array_header_1_0(
                    file, {"descr": "|u1", "fortran_order": False, "shape": shape})
                header = file.tell()
                length = header + int(np.prod(shape, dtype=np.int64))
                file.flush()
                os.posix_fallocate(file.fileno(), 0, length)
                file.truncate(length)
        except OSError as error:
            raise writing_failed(path, error) from error
        return header

    def order(self, domain: str, pool: str, indices: Iterable[int]) -> None:
        """The items of `pool` that make up a domain ('paired', 'source', 'target'), in their order of use."""
        self._domains[domain] = pool
        self._save(f"{domain}.npy", np.fromiter(indices, dtype=np.int64))

    @property
    def done(self) -> frozenset[str]:
        """All tags marked so far, those from before a kill included."""
        return frozenset(self._done)

    def discard(self) -> None:
        """Remove what was written, also where `resume` is set: for inputs that no second run can mend by itself."""
        self._lock.close()
        shutil.rmtree(self.partial, ignore_errors=True)

    def is_done(self, tag: str) -> bool:
        """Whether a chunk was marked as done, now or before a kill."""
        return tag in self._done

    def mark(self, *tags: str) -> None:
        """Note that chunks are wholly written: the pools reach the disk before the note does."""
        for path in self.partial.glob("*.npy"):
            with path.open("rb") as file:
                os.fsync(file.fileno())
        with (self.partial / "done").open("a", encoding="utf-8") as journal:
            journal.write("".join(f"{tag}\n" for tag in tags))
            journal.flush()
            os.fsync(journal.fileno())
        self._done.update(tags)

    def finish(self, *, description: str = "", split_rule: str = "", paired_counts: Mapping[int, int] | None = None,
               notes: Iterable[str] = (), sources: Iterable[Source] = (),
               progress: Progress | None = None) -> PreparedData:
        """Hash all files, write the manifest, move the folder to its place and open it."""
        files: dict[str, StoredFile] = {}
        names = sorted(p.name for p in self.partial.iterdir() if p.suffix in (".npy", ".jsonl"))
        with (progress or NullProgress()).task(f"hashing {self.name}", len(names)) as task:
            for name in names:
                path = self.partial / name
                files[name] = StoredFile(bytes=path.stat().st_size, sha256=file_sha256(path))
                task.advance()
        manifest = Manifest(name=self.name, description=description, split_rule=split_rule, plan=self.plan,
                            paired_counts=dict(paired_counts or {}), notes=tuple(notes), domains=self._domains,
                            pools=self._pools, sources=tuple(sources), files=files)
        self._put(FILE_NAME, manifest.text().encode())
        for name in ("plan.json", "done", "lock"):
            (self.partial / name).unlink(missing_ok=True)
        old = self.out.parent / f".{self.out.name}.old"
        try:
            if self.out.exists():
                shutil.rmtree(old, ignore_errors=True)
                self.out.rename(old)
            self.partial.rename(self.out)
        except OSError as error:
            raise writing_failed(self.out, error) from error
        shutil.rmtree(old, ignore_errors=True)
        self._finished = True
        return PreparedData.open(self.out)

    def _save(self, name: str, array: np.ndarray) -> None:
        import io

        buffer = io.BytesIO()
        np.save(buffer, array)
        self._put(name, buffer.getvalue())

    def _put(self, name: str, data: bytes) -> None:
        write_bytes(self.partial / name, data)

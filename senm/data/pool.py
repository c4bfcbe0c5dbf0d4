"""Pools of images: ordered, named, lazily read sequences of uint8 (H, W, 3) RGB arrays, and pairs of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsIndex, overload

import numpy as np

from senm.data.images import check_rgb, image_size, read_rgb
from senm.support.errors import DataError


class Images(Sequence[np.ndarray], ABC):
    """An ordered pool of named images. Item i is uint8 (H, W, 3) RGB; sizes may differ between items."""

    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: SupportsIndex) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Images: ...
    def __getitem__(self, index: SupportsIndex | slice) -> np.ndarray | Images:
        if isinstance(index, slice):
            return self.subset(range(*index.indices(len(self))))
        i = index.__index__()
        if not -len(self) <= i < len(self):
            raise IndexError(f"image {i} of {len(self)}")
        return self.read(i % len(self))

    @abstractmethod
    def read(self, index: int) -> np.ndarray:
        """Image `index` (0 .. len - 1) as uint8 (H, W, 3)."""

    @abstractmethod
    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of image `index`, without reading its pixels where that is possible."""

    @abstractmethod
    def subset(self, indices: Iterable[int]) -> Images:
        """The pool of these items in this order, sharing the storage of this one."""


class ArrayImages(Images):
    """A pool backed by one uint8 (N, H, W, 3) array or memory map, or by selected rows of it.

    Args:
        storage: the array; it is never copied.
        names: one unique name a row of the pool.
        rows: the rows of `storage` that make up the pool; None means all.

    Raises:
        DataError: wrong dtype or shape, or not one name a row.
    """

    def __init__(self, storage: np.ndarray, names: Iterable[str], rows: np.ndarray | None = None) -> None:
        self.storage, self.names = storage, tuple(names)
        self.rows = None if rows is None else np.asarray(rows, dtype=np.int64)
        if storage.dtype != np.uint8 or storage.ndim != 4 or storage.shape[3] != 3:
            raise DataError(f"the pool is {storage.dtype} of shape {storage.shape}", "uint8 of shape (N, H, W, 3)")
        count = len(storage) if self.rows is None else len(self.rows)
        if len(self.names) != count:
            raise DataError(f"{len(self.names)} names for {count} images", "one name an image")

    @property
    def array(self) -> np.ndarray:
        """uint8 (N, H, W, 3): the storage itself, or a copy of the selected rows."""
        return self.storage if self.rows is None else self.storage[self.rows]

    def read(self, index: int) -> np.ndarray:
        return np.array(self.storage[index if self.rows is None else self.rows[index]])

    def size(self, index: int) -> tuple[int, int]:
        return int(self.storage.shape[1]), int(self.storage.shape[2])

    def subset(self, indices: Iterable[int]) -> ArrayImages:
        chosen = np.fromiter(indices, dtype=np.int64)
        rows = chosen if self.rows is None else self.rows[chosen]
        return ArrayImages(self.storage, [self.names[i] for i in chosen], rows)


class RaggedImages(Images):
    """A pool of images of different sizes in one flat uint8 array or memory map, each image contiguous.

    Args:
        flat: uint8 (sum of H * W * 3,).
        sizes: integer (N, 2), height and width.
        names: one unique name an image.
        offsets: integer (N,), where each image starts; None means one after the other.
    """

    def __init__(self, flat: np.ndarray, sizes: np.ndarray, names: Iterable[str],
                 offsets: np.ndarray | None = None) -> None:
        self.flat, self.names = flat, tuple(names)
        self.sizes = np.asarray(sizes, dtype=np.int64).reshape(-1, 2)
        self.offsets = ragged_offsets(self.sizes)[:-1] if offsets is None else np.asarray(offsets, dtype=np.int64)
        if not len(self.names) == len(self.sizes) == len(self.offsets):
            raise DataError(f"{len(self.names)} names for {len(self.sizes)} images", "one name an image")
        ends = self.offsets + self.sizes.prod(axis=1) * 3
        if len(ends) and int(ends.max()) > len(flat):
            raise DataError(f"the pool holds {len(flat)} bytes", f"at least {int(ends.max())} bytes for its images")

    def read(self, index: int) -> np.ndarray:
        return np.array(self.view(index))

    def view(self, index: int) -> np.ndarray:
        """Image `index` as a view of the storage."""
        (height, width), start = self.sizes[index], self.offsets[index]
        return self.flat[start:start + height * width * 3].reshape(height, width, 3)

    def size(self, index: int) -> tuple[int, int]:
        return int(self.sizes[index, 0]), int(self.sizes[index, 1])

    def subset(self, indices: Iterable[int]) -> RaggedImages:
        chosen = np.fromiter(indices, dtype=np.int64)
        return RaggedImages(self.flat, self.sizes[chosen], [self.names[i] for i in chosen], self.offsets[chosen])


def ragged_offsets(sizes: np.ndarray) -> np.ndarray:
    """Start of each image of a ragged pool, and the total length last: integer (N + 1,)."""
    return np.concatenate([[0], np.cumsum(np.asarray(sizes, dtype=np.int64).reshape(-1, 2).prod(axis=1) * 3)])


class FileImages(Images):
    """A pool backed by image files, decoded on access.

    Args:
        paths: the files; `read_rgb` states which are accepted.
        names: one unique name a file; None means the file names without extension.

    Raises:
        DataError: two files have the same name in the pool.
    """

    def __init__(self, paths: Iterable[Path | str], names: Iterable[str] | None = None) -> None:
        self.paths = tuple(Path(path) for path in paths)
        self.names = tuple(path.stem for path in self.paths) if names is None else tuple(names)
        if len(self.names) != len(self.paths):
            raise DataError(f"{len(self.names)} names for {len(self.paths)} files", "one name a file")
        if len(set(self.names)) != len(self.names):
            seen: set[str] = set()
            twice = next(name for name in self.names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
            raise DataError(f"two files are named {twice!r}", "one file a name", "rename one of them")

    def read(self, index: int) -> np.ndarray:
        return check_rgb(read_rgb(self.paths[index]), str(self.paths[index]))

    def size(self, index: int) -> tuple[int, int]:
        return image_size(self.paths[index])

    def subset(self, indices: Iterable[int]) -> FileImages:
        chosen = list(indices)
        return FileImages([self.paths[i] for i in chosen], [self.names[i] for i in chosen])


def empty_images() -> ArrayImages:
    """A pool without images."""
    return ArrayImages(np.zeros((0, 1, 1, 3), dtype=np.uint8), ())


@dataclass(frozen=True)
class Pairs:
    """Clean and noisy images of the same scenes: item i of both pools has the same name and the same size.

    Raises:
        DataError: the pools differ in length or in names (sizes are checked when pixels are used).
    """

    clean: Images
    noisy: Images

    def __post_init__(self) -> None:
        if self.clean.names != self.noisy.names:
            differing = sorted(set(self.clean.names) ^ set(self.noisy.names))
            found = f"unpaired names: {', '.join(differing[:5])}" if differing else "names in different orders"
            raise DataError(found, "the same names on the clean and the noisy side")

    @property
    def names(self) -> tuple[str, ...]:
        return self.clean.names

    def __len__(self) -> int:
        return len(self.clean)

    def subset(self, indices: Iterable[int]) -> Pairs:
        """The pairs at these positions, in this order."""
        chosen = list(indices)
        return Pairs(self.clean.subset(chosen), self.noisy.subset(chosen))


def empty_pairs() -> Pairs:
    """No pairs."""
    return Pairs(empty_images(), empty_images())

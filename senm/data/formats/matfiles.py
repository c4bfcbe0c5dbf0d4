"""MATLAB files: one numeric array out of a v5 file (scipy) or a v7.3 file (HDF5), with the faults users meet named.

MATLAB keeps arrays column by column. scipy undoes that for v5 files; HDF5 shows the axes in reverse order,
so a v7.3 array is transposed here and both containers give the same array.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from senm.support.errors import DataError

DENSEST = 1032  # values in a byte: what deflate reaches at most
_HDF5 = b"\x89HDF\r\n\x1a\n"
# What scipy raises on cut or foreign bytes: it has no single error class for a broken file.
_BROKEN = (ValueError, TypeError, KeyError, IndexError, OSError, EOFError, zlib.error, struct.error,
           NotImplementedError, RuntimeError)


def container(path: Path) -> str:
    """'v5' or 'hdf5', from the first bytes of the file.

    Raises:
        DataError: the file is missing, empty, a web page saved under this name, or neither kind of MATLAB file.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing", "a MATLAB file", "check the folder given, or download it again")
    with path.open("rb") as file:
        head = file.read(520)
    if not head:
        raise DataError(f"{path} is empty (0 bytes)", "a MATLAB file", "download it again")
    if head.startswith(b"MATLAB 5.0"):
        return "v5"
    if head.startswith(_HDF5) or head[512:520] == _HDF5:
        return "hdf5"
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise DataError(f"{path} is a web page, not data", "a MATLAB file",
                        "download it by hand: the server asked for a login")
    raise DataError(f"{path} is not a MATLAB file", "MATLAB v5 or v7.3 (HDF5)", "download it again")


def keys(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes (MATLAB order) of the variables in a file, without reading their values.

    Raises:
        DataError: the file is missing, foreign or cut short.
    """
    kind = container(path)
    try:
        if kind == "v5":
            from scipy.io import whosmat

            return {name: tuple(shape) for name, shape, _ in whosmat(path)}
        import h5py

        with h5py.File(path, "r") as file:
            for name in file:
                own_link(file, name, path)
            return {k: tuple(reversed(v.shape)) for k, v in file.items() if isinstance(v, h5py.Dataset)}
    except _BROKEN as error:
        raise _cut(path, error) from error


def read_array(path: Path, key: str) -> np.ndarray:
    """The numeric array `key`, axes in MATLAB order, C-contiguous, dtype as stored.

    Raises:
        DataError: the file is missing, foreign or cut short, has no such variable, or it is not an array of numbers.
    """
    path = Path(path)
    known = keys(path)
    if key not in known:
        raise DataError(f"{path.name} holds {', '.join(known) or 'no variable'}, not '{key}'", f"the variable '{key}'",
                        "the file is not the one its name says: download it again")
    check_claim(path, math.prod(known[key]))
    try:
        if container(path) == "v5":
            from scipy.io import loadmat

            array = loadmat(path, variable_names=[key])[key]
        else:
            import h5py

            with h5py.File(path, "r") as file:
                array = own(file[key], path)[()].T
    except _BROKEN as error:
        raise _cut(path, error) from error
    if array.dtype.kind not in "uif":
        raise DataError(f"'{key}' in {path.name} is of type {array.dtype}", "an array of numbers")
    return np.ascontiguousarray(array)


def check_claim(path: Path, values: int) -> None:
    """Refuse a file that claims more values than deflate can pack into its bytes, before memory is asked for."""
    if values > DENSEST * (path.stat().st_size + 1024):
        raise DataError(f"{path} claims {values} values in {path.stat().st_size} bytes", "a whole MATLAB file",
                        "download it again")


def own_link(file: Any, name: str, path: Path) -> None:
    """Refuse a name in an HDF5 file that leads into another file.

    Raises:
        DataError: an external link.
    """
    import h5py

    if isinstance(file.get(name, getlink=True), h5py.ExternalLink):
        raise DataError(f"{name!r} in {path} is a link into another file", "numbers in the file itself",
                        "do not use this file; get it from its official source")


def own(data: Any, path: Path) -> Any:
    """An HDF5 data set whose bytes lie in the file itself.

    Raises:
        DataError: external storage, a virtual set, or a size that the file cannot hold.
    """
    if data.external or data.is_virtual:
        raise DataError(f"{data.name!r} in {path} takes its numbers from another file", "numbers in the file itself",
                        "do not use this file; get it from its official source")
    check_claim(path, data.size)
    return data


def read_mat_sample(path: Path) -> np.ndarray:
    """A single-block sample file: key ``im_noisy`` or ``im_gt``, uint8 (H, W, 3).

    Raises:
        DataError: neither key, or not uint8 (H, W, 3).
    """
    known = keys(path)
    key = next((k for k in ("im_noisy", "im_gt") if k in known), "")
    if not key:
        raise DataError(f"{path.name} holds {', '.join(known) or 'nothing'}", "'im_noisy' or 'im_gt'")
    array = read_array(path, key)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise DataError(f"'{key}' in {path.name} is {array.dtype} of shape {array.shape}", "uint8 of shape (H, W, 3)")
    return array


def _cut(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read: it is cut short or damaged ({type(error).__name__})",
                     "a whole MATLAB file",
                     "download it again")

"""DND: the 1000 crops of 50 real photographs, read from MATLAB v7.3 files without loading a whole photograph.

HDF5 shows MATLAB's arrays with reversed axes: a photograph (H, W, 3) appears as (3, W, H). Boxes are
[row 1, column 1, row 2, column 2], counted from 1, both ends inside. No ground truth is published.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from senm.data.cuts import Cut
from senm.data.formats.matfiles import container, own, own_link
from senm.data.manifest import Source, file_sha256
from senm.data.pool import Images
from senm.data.prepared import PreparedData
from senm.data.writer import PreparedWriter
from senm.support.errors import DataError
from senm.support.progress import NullProgress, Progress

KEY = "InoisySRGB"
LICENCE = "DND, terms of the Visual Inference Lab, TU Darmstadt; see the data set's page"


@dataclass(frozen=True)
class DndShape:
    """Number of photographs, boxes in each, and the side of a box in pixels. The defaults are the official ones."""

    photos: int = 50
    boxes: int = 20
    size: int = 512

    def names(self) -> tuple[str, ...]:
        """``0001_01`` ...: photograph and box, counted from 1, as the submission names them."""
        return tuple(f"{i + 1:04d}_{k + 1:02d}" for i in range(self.photos) for k in range(self.boxes))


OFFICIAL = DndShape()


class DndCrops(Images):
    """The crops as a pool; item i is rounded to uint8 (512, 512, 3) RGB, `exact` gives the published floats."""

    def __init__(self, cuts: Iterable[Cut], names: Iterable[str]) -> None:
        self.cuts, self.names = tuple(cuts), tuple(names)

    def exact(self, index: int) -> np.ndarray:
        """Crop `index` as published: float32 (H, W, 3) in [0, 1].

        Raises:
            DataError: values outside [0, 1] or not finite, or the file is damaged.
        """
        cut = self.cuts[index]
        with _open(cut.photo) as file:
            rows, columns = slice(cut.row, cut.row + cut.height), slice(cut.column, cut.column + cut.width)
            try:
                stored = file[KEY][:, columns, rows]
            except OSError as error:
                raise _damaged(cut.photo) from error
        crop = np.ascontiguousarray(stored.transpose(2, 1, 0), dtype=np.float32)
        if not np.isfinite(crop).all() or crop.min() < -1e-3 or crop.max() > 1 + 1e-3:
            raise DataError(f"{cut.photo.name}: values from {np.nanmin(crop):.3g} to {np.nanmax(crop):.3g}",
                            "floats in [0, 1]",
                            "use the official file")
        return crop

    def read(self, index: int) -> np.ndarray:
        return np.round(np.clip(self.exact(index), 0, 1) * 255).astype(np.uint8)

    def size(self, index: int) -> tuple[int, int]:
        return self.cuts[index].height, self.cuts[index].width

    def subset(self, indices: Iterable[int]) -> DndCrops:
        chosen = list(indices)
        return DndCrops([self.cuts[i] for i in chosen], [self.names[i] for i in chosen])


def find_root(root: Path) -> Path:
    """The folder with info.mat and images_srgb, at `root` or one level below.

    Raises:
        DataError: neither there, or the sRGB photographs are missing.
    """
    for folder in (root, root / "dnd_2017", *sorted(p for p in root.glob("*") if p.is_dir())):
        if (folder / "info.mat").is_file():
            if not (folder / "images_srgb").is_dir():
                raise DataError(f"{folder} has no folder images_srgb", "images_srgb/0001.mat to 0050.mat",
                                "download the sRGB part: the raw photographs are not used here")
            return folder
    raise DataError(f"{root} holds no DND: info.mat not found", "dnd_2017/info.mat and dnd_2017/images_srgb",
                    "give the folder that holds dnd_2017; `python -m benchmarks.run doctor` says where it is published")


def read_boxes(path: Path, shape: DndShape = OFFICIAL) -> np.ndarray:
    """The boxes of info.mat as integer (photos, boxes, 4): row, column counted from 0, height, width.

    Raises:
        DataError: not HDF5, no such table, another count, or boxes that are not 1-based, inclusive and square.
    """
    with _open(path) as file:
        own_link(file, "info", path)
        table = file.get("info/boundingboxes")
        if table is None or h5py.check_ref_dtype(table.dtype) is None:
            raise DataError(f"{path} has no table info/boundingboxes of references", "the official info.mat")
        references = own(table, path)[()].ravel()
        if len(references) != shape.photos:
            raise DataError(f"{path} lists {len(references)} of {shape.photos} photographs", "the official info.mat")
        corners = [np.asarray(own(file[reference], path)[()]).T for reference in references]
    for corner in corners:
        if corner.shape != (shape.boxes, 4):
            raise DataError(f"{path}: boxes of shape {corner.shape}", f"({shape.boxes}, 4)",
                            "use the official info.mat")
    boxes = np.stack(corners).astype(np.int64)
    first, sides = boxes[..., :2], boxes[..., 2:] - boxes[..., :2] + 1
    if first.min() < 1 or (sides == shape.size + 1).any():
        raise DataError(f"{path}: boxes counted from 0 or with an open end", "counted from 1, both ends inside",
                        "use the official info.mat")
    if (sides != shape.size).any():
        raise DataError(f"{path}: boxes of {sides.min()} to {sides.max()} pixels", f"{shape.size} x {shape.size}",
                        "rows and columns may be exchanged: use the official info.mat")
    return np.concatenate([first - 1, sides], axis=-1)


def read_dnd(root: Path, shape: DndShape = OFFICIAL) -> DndCrops:
    """All crops of a DND folder, every photograph's container, shape and orientation checked first.

    Raises:
        DataError: missing or surplus photographs, transposed or reshaped arrays, a box outside its photograph.
    """
    folder = find_root(Path(root))
    boxes = read_boxes(folder / "info.mat", shape)
    expected = [folder / "images_srgb" / f"{i + 1:04d}.mat" for i in range(shape.photos)]
    missing = [path.name for path in expected if not path.is_file()]
    if missing:
        raise DataError(f"images_srgb lacks {len(missing)} of {shape.photos} files ({', '.join(missing[:3])})",
                        f"0001.mat to {expected[-1].name}", "unpack the whole archive")
    cuts = []
    for path, mine in zip(expected, boxes.tolist(), strict=True):
        height, width = photo_size(path)
        for row, column, h, w in mine:
            if row + h > height or column + w > width:
                fits = row + h <= width and column + w <= height
                turned = " (it would fit the transposed photograph)" if fits else ""
                raise DataError(f"{path} has {height} x {width} pixels: a box leaves it{turned}",
                                "the photograph in MATLAB's axis order", "use the official file")
            cuts.append(Cut(path, row, column, h, w))
    return DndCrops(cuts, shape.names())


def photo_size(path: Path) -> tuple[int, int]:
    """(height, width) of a photograph file, after the checks of its layout.

    Raises:
        DataError: no InoisySRGB, not (3, W, H) floats, or memory that was reshaped instead of transposed.
    """
    with _open(path) as file:
        own_link(file, KEY, path)
        stored = file.get(KEY)
        if not isinstance(stored, h5py.Dataset):
            raise DataError(f"{path} holds {', '.join(file) or 'nothing'}, not {KEY}", f"the variable {KEY}",
                            "take the files of images_srgb, not of images_raw")
        own(stored, path)
        if stored.ndim != 3 or stored.shape[0] != 3:
            how = "channels last, not MATLAB's axis order" if stored.shape[-1] == 3 else "not an RGB image"
            raise DataError(f"{path}: {KEY} is stored as {stored.shape}, {how}", "(3, width, height) in HDF5",
                            "use the official file")
        if stored.dtype.kind != "f":
            raise DataError(f"{path}: {KEY} is of type {stored.dtype}", "floats in [0, 1]",
                            "use the official file: a converted copy is not accepted by the server")
        _, width, height = stored.shape
        try:
            patch = stored[:, : min(width, 256), : min(height, 256)].astype(np.float64)
        except OSError as error:
            raise _damaged(path) from error
    if reshaped(patch):
        raise DataError(f"{path}: the pixels are reshaped, not transposed", "(3, width, height) in HDF5",
                        "use the official file, or transpose with numpy.transpose instead of reshape")
    return int(height), int(width)


def reshaped(patch: np.ndarray) -> bool:
    """Whether (3, W, H) memory is really interleaved RGB: then samples 3 apart are far closer than neighbours."""
    one, three = (float(np.abs(patch[..., k:] - patch[..., :-k]).mean()) for k in (1, 3))
    return three < 0.8 * one


def _open(path: Path) -> h5py.File:
    if container(path) != "hdf5":
        raise DataError(f"{path} is a MATLAB v5 file", "the official MATLAB v7.3 (HDF5) file",
                        "converted copies of DND are not accepted: download it from its own page")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> DataError:
    return DataError(f"{path} cannot be read: it is cut short or damaged", "a whole HDF5 file", "download it again")


def prepare(root: Path | str, out: Path | str, *, shape: DndShape = OFFICIAL,
            progress: Progress | None = None) -> PreparedData:
    """Prepare DND into the folder `out`: one split, 'benchmark', noisy only, rounded to uint8.

    The published floats stay in the official files; `DndCrops.exact` reads them.

    Raises:
        DataError: missing, incomplete or converted files. Nothing is left behind.
        MachineError: disk full or not writable.
        UsageError: `out` is something else.
    """
    root, progress = Path(root), progress or NullProgress()
    crops = read_dnd(root, shape)
    files = list(dict.fromkeys(cut.photo for cut in crops.cuts))
    plan = {"photographs": {f.name: f.stat().st_size for f in files}, "boxes": [
        [c.photo.name, c.row, c.column, c.height, c.width] for c in crops.cuts]}
    with PreparedWriter(out, "dnd", plan, resume=True) as writer:
        try:
            items = [{"name": name, "file": cut.photo.relative_to(root).as_posix(), "row": cut.row,
                      "column": cut.column}
                     for name, cut in zip(crops.names, crops.cuts, strict=True)]
            target = writer.pool("benchmark", items, {"noisy": (shape.size, shape.size)})["noisy"]
            with progress.task("cutting DND", len(crops)) as task:
                for i in range(0, len(crops), shape.boxes):
                    if not writer.is_done(f"benchmark/{i}"):
                        target.write(i, (crops[k] for k in range(i, i + shape.boxes)))
                        writer.mark(f"benchmark/{i}")
                    task.advance(shape.boxes)
            sources = [Source(name=f.stem, file=f.relative_to(root).as_posix(), sha256=file_sha256(f), licence=LICENCE,
                              size=photo_size(f), split="benchmark") for f in files]
            return writer.finish(description=f"DND: {len(crops)} crops of {shape.size} x {shape.size}, no ground truth",
                                 split_rule="none", sources=sources, progress=progress, notes=[
                                     "scores come from the DND server only",
                                     "rounded to 8 bit here: at most 0.5 levels from the published floats"])
        except DataError:
            writer.discard()
            raise

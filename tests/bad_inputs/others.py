"""Faults of DND and AIM19, and of what is given on the command line."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.data.prepare import prepare
from senm.data.formats import dnd
from senm.data.prepared import PreparedData
from tests import fixtures_official as fx
from tests.bad_inputs.base import CALLS, DND, case


def dnd_photo(root: Path) -> Path:
    return root / "dnd_2017" / "images_srgb" / "0001.mat"


PHOTO = fx.noisy(fx.photo(96, 128, 60), 0).astype(np.float32) / 255


@case("DND", "only the raw photographs")
def _(root: Path) -> None:
    (root / "dnd_2017" / "images_srgb").rename(root / "dnd_2017" / "images_raw")


@case("DND", "a photograph missing")
def _(root: Path) -> None:
    dnd_photo(root).unlink()


@case("DND", "a photograph with channels last")
def _(root: Path) -> None:
    fx.dnd_image(dnd_photo(root), PHOTO)


@case("DND", "a photograph reshaped instead of transposed")
def _(root: Path) -> None:
    fx.dnd_image(dnd_photo(root), PHOTO.transpose(1, 0, 2).reshape(3, 128, 96))


@case("DND", "a photograph transposed once too often")
def _(root: Path) -> None:
    boxes(root, [[60, 90, 91, 121]] * 3)
    fx.dnd_image(dnd_photo(root), PHOTO.transpose(2, 0, 1))


@case("DND", "a photograph converted to 8 bit")
def _(root: Path) -> None:
    fx.dnd_image(dnd_photo(root), (PHOTO.T * 255).astype(np.uint8))


@case("DND", "a converted crop of another project")
def _(root: Path) -> None:
    fx.mat(dnd_photo(root), "im_noisy", fx.photo(64, 64, 4))


@case("DND", "a photograph cut short")
def _(root: Path) -> None:
    dnd_photo(root).write_bytes(dnd_photo(root).read_bytes()[:1500])


def boxes(root: Path, table: list[list[int]]) -> None:
    with h5py.File(root / "dnd_2017" / "info.mat", "r+") as file:
        file[file["info/boundingboxes"][0, 0]][...] = np.array(table, float).T


@case("DND", "boxes counted from 0")
def _(root: Path) -> None:
    boxes(root, [[0, 10, 31, 41]] * 3)


@case("DND", "boxes with rows and columns exchanged")
def _(root: Path) -> None:
    boxes(root, [[90, 30, 121, 61]] * 3)


@case("AIM19", "one of the four parts missing")
def _(root: Path) -> None:
    (root / "train-clean-images").rename(root / "clean")


@case("AIM19", "validation names that differ, although the counts agree")
def _(root: Path) -> None:
    (root / "valid-input-noisy" / "0803.png").rename(root / "valid-input-noisy" / "0803x4.png")


@case("AIM19", "a validation input that is not a quarter of its ground truth")
def _(root: Path) -> None:
    fx.png(root / "valid-input-noisy" / "0803.png", fx.photo(30, 48, 3))


@case("AIM19", "part of the validation pairs")
def _(root: Path) -> None:
    for part in ("valid-input-noisy", "valid-gt-clean"):
        (root / part / "0812.png").unlink()


@case("AIM19", "an empty folder in place of images")
def _(root: Path) -> None:
    for path in (root / "train-noisy-images").iterdir():
        path.unlink()


@case("any", "an unknown data set")
def _(root: Path) -> Any:
    return lambda: prepare("nitre20", root, root.parent / "out")


@case("no pairs", "a photograph in both folders")
def _(root: Path) -> None:
    fx.png(root / "high" / "again.png", fx.noisy(fx.photo(64, 80, 2), 2))


@case("no pairs", "one bad photograph alone")
def _(root: Path) -> None:
    for i in range(1, 4):
        (root / "low" / f"l{i}.png").unlink()


@case("no pairs", "a good photograph that is too small")
def _(root: Path) -> None:
    fx.png(root / "high" / "small.png", fx.photo(24, 128, 9))


@case("no pairs", "a good photograph of one colour")
def _(root: Path) -> None:
    fx.png(root / "high" / "grey.png", np.full((64, 64, 3), 128, np.uint8))


@case("no pairs", "one name twice")
def _(root: Path) -> None:
    fx.png(root / "low" / "l0.bmp", fx.photo(64, 80, 77))


@case("any", "no folder given")
def _(root: Path) -> Any:
    return lambda: prepare("sidd", None, root.parent / "out")


@case("any", "a folder that does not exist")
def _(root: Path) -> Any:
    return lambda: prepare("dnd", root / "none", root.parent / "out")


@case("any", "an output folder that holds something else")
def _(root: Path) -> Any:
    CALLS["SIDD"][0](root)
    (root / "mine").mkdir()
    (root / "mine" / "thesis.txt").write_text("keep")
    return lambda: CALLS["SIDD"][1](root, root / "mine")


@case("any", "a prepared folder that lost part of a file")
def _(root: Path) -> Any:
    CALLS["DND"][0](root)
    folder = dnd.prepare(root, root / "ready", shape=DND).folder
    (folder / "benchmark_noisy.npy").write_bytes(b"cut")
    return lambda: PreparedData.open(folder)

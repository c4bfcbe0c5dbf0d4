"""Bad inputs as users meet them: each builds a faulty download and names the call that must refuse it.

`python -m tests.bad_inputs` writes docs/bad-inputs.md from what the calls really say; a test keeps the two equal.
"""

from __future__ import annotations

import re
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from benchmarks.prepare import prepare
from senm.data import dnd, rwsr, sidd
from senm.data.prepared import PreparedData
from senm.data.sidd_blocks import BlockShape, official_table
from senm.errors import SenmError
from tests import fixtures_official as fx

DOC = Path(__file__).parents[1] / "docs" / "bad-inputs.md"
SIDD = sidd.SiddSizes(pairs=6, blocks=BlockShape(2, 4, 32))
CUT = sidd.Cutting(crops=3, size=32)
DND = dnd.DndShape(2, 3, 32)
RWSR = rwsr.RwsrSizes(12, 10)
Case = tuple[str, str, Callable[[Path], Callable[[], Any]]]
CASES: list[Case] = []
# What a library adds in its own words, which change from version to version.
LIBRARY = re.compile(r" \((?:\w+Error|broken data stream|File is not|image file is)[^)]*\)")


def case(data: str, title: str) -> Callable[[Callable[[Path], Any]], Callable[[Path], Any]]:
    """Register a case. The function spoils a whole tree `root` of this kind, or returns the call to make."""

    def register(spoil: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def build(tmp: Path) -> Callable[[], Any]:
            root = tmp / "root"
            CALLS[data][0](root)
            return spoil(root) or (lambda: CALLS[data][1](root, tmp / "out"))

        CASES.append((data, title, build))
        return spoil

    return register


CALLS: dict[str, tuple[Callable[[Path], Any], Callable[[Path, Path], Any]]] = {
    "SIDD": (lambda r: fx.sidd_mats(fx.sidd_medium(r)),
             lambda r, o: sidd.prepare(r, o, cutting=CUT, sizes=SIDD, workers=1)),
    "DND": (fx.dnd, lambda r, o: dnd.prepare(r, o, shape=DND)),
    "AIM19": (lambda r: fx.rwsr(r, "aim19"), lambda r, o: rwsr.prepare("aim19", r, o, sizes=RWSR, workers=1)),
    "any": (lambda r: r.mkdir(), lambda r, o: prepare("sidd", r, o)),
}


def scene(root: Path, number: int = 0) -> Path:
    return root / "SIDD_Medium_Srgb" / "Data" / fx.INSTANCES[number]


def noisy_png(root: Path) -> Path:
    return scene(root) / "0001_NOISY_SRGB_010.PNG"


def saved(root: Path, image: Any) -> None:
    image.save(noisy_png(root), "PNG")


@case("SIDD", "a folder without SIDD")
def _(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


@case("SIDD", "part of the photographs")
def _(root: Path) -> None:
    for path in scene(root, 2).iterdir():
        path.unlink()
    scene(root, 2).rmdir()


@case("SIDD", "SIDD-Small instead of SIDD-Medium")
def _(root: Path) -> None:
    for path in list(root.rglob("*_011.PNG")):
        path.unlink()


@case("SIDD", "a scene of the benchmark among the training scenes")
def _(root: Path) -> None:
    scene(root).rename(scene(root).with_name("0009_001_S6_00800_00350_3200_L"))


@case("SIDD", "noisy and clean of different size")
def _(root: Path) -> None:
    fx.png(noisy_png(root), fx.photo(96, 120, 1))


@case("SIDD", "equal counts, but names that are no pair")
def _(root: Path) -> None:
    noisy_png(root).rename(scene(root) / "0001_NOISY_SRGB_012.PNG")


@case("SIDD", "a truncated PNG")
def _(root: Path) -> None:
    noisy_png(root).write_bytes(noisy_png(root).read_bytes()[:-500])


@case("SIDD", "a PNG with damaged pixels")
def _(root: Path) -> None:
    data = bytearray(noisy_png(root).read_bytes())
    data[len(data) // 2] ^= 255
    noisy_png(root).write_bytes(bytes(data))


@case("SIDD", "a PNG of zero bytes")
def _(root: Path) -> None:
    noisy_png(root).write_bytes(b"")


@case("SIDD", "a text file that is called PNG")
def _(root: Path) -> None:
    noisy_png(root).write_text("version https://git-lfs.github.com/spec/v1\n")


@case("SIDD", "a PNG with alpha")
def _(root: Path) -> None:
    saved(root, Image.fromarray(fx.photo(96, 128, 1)).convert("RGBA"))


@case("SIDD", "a grey PNG")
def _(root: Path) -> None:
    saved(root, Image.fromarray(fx.photo(96, 128, 1)).convert("L"))


@case("SIDD", "a PNG with a palette")
def _(root: Path) -> None:
    saved(root, Image.fromarray(fx.photo(96, 128, 1)).convert("P"))


@case("SIDD", "a PNG of 16 bits")
def _(root: Path) -> None:
    header = struct.pack(">IIBBBBB", 128, 96, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(128 * 6) for _ in range(96))
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    noisy_png(root).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks))


@case("SIDD", "one photograph under two names")
def _(root: Path) -> None:
    (scene(root, 0) / "0001_NOISY_SRGB_011.PNG").write_bytes(noisy_png(root).read_bytes())


@case("SIDD", "photographs smaller than a crop")
def _(root: Path) -> Any:
    large = sidd.Cutting(crops=3, size=256)
    return lambda: sidd.prepare(root, root.parent / "out", cutting=large, sizes=SIDD, workers=1)


@case("SIDD", "too few scenes for the split by photograph")
def _(root: Path) -> Any:
    for number in (1, 2):
        for path in scene(root, number).iterdir():
            path.unlink()
        scene(root, number).rmdir()
    rule = sidd.Cutting("by-photo", crops=3, size=32)
    return lambda: sidd.prepare(root, root.parent / "out", cutting=rule, sizes=SIDD, allow_partial=True, workers=1)


NOISY, CLEAN, BENCH = "ValidationNoisyBlocksSrgb", "ValidationGtBlocksSrgb", "BenchmarkNoisyBlocksSrgb"


@case("SIDD", "64 of the 1,280 validation blocks")
def _(root: Path) -> Any:
    fx.mat(root / f"{NOISY}.mat", NOISY, np.zeros((2, 32, 256, 256, 3), np.uint8))
    fx.mat(root / f"{CLEAN}.mat", CLEAN, np.zeros((2, 32, 256, 256, 3), np.uint8))
    sizes = sidd.SiddSizes(pairs=6)
    return lambda: sidd.prepare(root, root.parent / "out", cutting=CUT, sizes=sizes, workers=1)


@case("SIDD", "benchmark blocks under the name of the validation blocks")
def _(root: Path) -> None:
    (root / f"{BENCH}.mat").replace(root / f"{NOISY}.mat")


@case("SIDD", "validation blocks inside the benchmark file")
def _(root: Path) -> None:
    fx.mat(root / f"{BENCH}.mat", BENCH, fx.blocks(2, 4, 32)[0])


@case("SIDD", "noisy and ground-truth blocks exchanged")
def _(root: Path) -> None:
    noisy, clean = fx.blocks(2, 4, 32)
    fx.mat(root / f"{NOISY}.mat", NOISY, clean)
    fx.mat(root / f"{CLEAN}.mat", CLEAN, noisy)


@case("SIDD", "the same blocks on both sides")
def _(root: Path) -> None:
    fx.mat(root / f"{CLEAN}.mat", CLEAN, fx.blocks(2, 4, 32)[0])


@case("SIDD", "ground-truth blocks missing")
def _(root: Path) -> None:
    (root / f"{CLEAN}.mat").unlink()


@case("SIDD", "no validation blocks at all")
def _(root: Path) -> None:
    (root / f"{CLEAN}.mat").unlink()
    (root / f"{NOISY}.mat").unlink()


@case("SIDD", "blocks with their axes reversed")
def _(root: Path) -> None:
    fx.mat(root / f"{NOISY}.mat", NOISY, fx.blocks(2, 4, 32)[0].T)


@case("SIDD", "blocks converted to floats")
def _(root: Path) -> None:
    fx.mat(root / f"{NOISY}.mat", NOISY, fx.blocks(2, 4, 32)[0] / 255.0)


@case("SIDD", "a MATLAB file cut short")
def _(root: Path) -> None:
    path = root / f"{NOISY}.mat"
    path.write_bytes(path.read_bytes()[:3000])


@case("SIDD", "a MATLAB file of zero bytes")
def _(root: Path) -> None:
    (root / f"{NOISY}.mat").write_bytes(b"")


@case("SIDD", "a login page saved as MATLAB file")
def _(root: Path) -> None:
    (root / f"{NOISY}.mat").write_text("<!DOCTYPE html><html><body>Please sign in</body></html>")


def png_blocks(root: Path) -> Path:
    for name in (NOISY, CLEAN):
        (root / f"{name}.mat").unlink()
    return fx.sidd_nafnet(root / "blocks")


@case("SIDD", "a PNG block missing")
def _(root: Path) -> None:
    (png_blocks(root) / "input_crops" / "ValidationBlocksSrgb_5.png").unlink()


@case("SIDD", "PNG blocks under other names")
def _(root: Path) -> None:
    folder = png_blocks(root) / "input_crops"
    (folder / "ValidationBlocksSrgb_5.png").rename(folder / "block5.png")


@case("SIDD", "a PNG block of another size")
def _(root: Path) -> None:
    fx.png(png_blocks(root) / "gt_crops" / "ValidationBlocksSrgb_5.png", fx.photo(32, 40, 1))


@case("SIDD", "a PNG block with a gAMA chunk, which changes the official KLD")
def _(root: Path) -> None:
    path = png_blocks(root) / "input_crops" / "ValidationBlocksSrgb_5.png"
    data, chunk = path.read_bytes(), b"gAMA" + struct.pack(">I", 45455)
    path.write_bytes(data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:])


@case("SIDD", "blocks as LMDB")
def _(root: Path) -> None:
    for name in (NOISY, CLEAN):
        (root / f"{name}.mat").unlink()
    (root / "input_crops.lmdb").mkdir()


def whole(root: Path, table: np.ndarray, size: tuple[int, int] = (96, 128)) -> None:
    (root / f"{BENCH}.mat").unlink()
    fx.sidd_whole(root, table, size=size)


TABLE = np.array([[1, 1, 32, 32], [5, 90, 32, 32], [9, 9, 32, 32], [33, 1, 32, 32]])


@case("SIDD", "BenchmarkBlocks32 counted from 0")
def _(root: Path) -> None:
    whole(root, TABLE - [[1, 1, 0, 0]])


@case("SIDD", "BenchmarkBlocks32 with other positions")
def _(root: Path) -> Any:
    from senm.data.sidd_blocks import read_table

    path = fx.mat(root / "BenchmarkBlocks32.mat", "BenchmarkBlocks32",
                  np.add(official_table(), [8, 0, 0, 0]).astype(np.uint16))
    return lambda: read_table(path)


@case("SIDD", "benchmark photographs turned to portrait")
def _(root: Path) -> None:
    whole(root, TABLE, (128, 96))


@case("SIDD", "an archive cut short")
def _(root: Path) -> None:
    archive = fx.zip_folder(root / "SIDD_Medium_Srgb", root / "SIDD_Medium_Srgb.zip", "SIDD_Medium_Srgb/")
    archive.write_bytes(archive.read_bytes()[:-3000])


@case("SIDD", "an archive that writes outside its folder")
def _(root: Path) -> None:
    fx.zip_folder(root / "SIDD_Medium_Srgb", root / "SIDD_Medium_Srgb.zip", "../../SIDD_Medium_Srgb/")


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


def message(build: Callable[[Path], Callable[[], Any]], tmp: Path) -> str:
    """What the call says, with the scratch folder left out; an empty string where it says nothing."""
    call = build(tmp)
    before = sorted(p.relative_to(tmp) for p in tmp.rglob("*"))
    try:
        call()
    except SenmError as error:
        left = sorted({p.relative_to(tmp) for p in tmp.rglob("*")} - set(before))
        if left:
            raise AssertionError(f"left behind: {left}") from error
        text = re.sub(re.escape(str(tmp / "root")) + "/?", "DIR/", str(error)).replace("DIR/ ", "DIR ")
        return re.sub(r"DIR/(?:[\w.-]+/){2,}", "DIR/.../", LIBRARY.sub("", text))
    return ""


def document() -> str:
    """The page: one row a case, made by running all of them."""
    lines = ["# Bad inputs and what is said about them", "",
             "Every row is made by a test that spoils a small copy of the official download and runs the preparation.",
             "In each case the exit code is not 0 and nothing half-written is left behind. `DIR` stands for the folder",
             "given with `--root`; the copies are small, so counts are smaller than the official ones.", "",
             "| data | input | message |", "|---|---|---|"]
    for data, title, build in CASES:
        with tempfile.TemporaryDirectory() as tmp:
            lines.append(f"| {data} | {title} | {message(build, Path(tmp)).replace('|', '/')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOC.write_text(document(), encoding="utf-8")

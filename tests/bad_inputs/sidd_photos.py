"""Faults of SIDD's training photographs."""

import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image

from senm.data.formats import sidd
from tests import fixtures_official as fx
from tests.bad_inputs.base import SIDD, case


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

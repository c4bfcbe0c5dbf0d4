"""What goes wrong with a user's own pairs, and with images that were made elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from senm.data.images import read_rgb, write_png
from tests.bad_inputs.base import case


def change(root: Path, number: int, how: Callable[[np.ndarray], np.ndarray]) -> None:
    file = root / f"p{number}_noisy.png"
    write_png(file, np.ascontiguousarray(how(read_rgb(file))))


def exchange(first: Path, second: Path) -> None:
    a, b = first.read_bytes(), second.read_bytes()
    first.write_bytes(b)
    second.write_bytes(a)


@case("own pairs", "the noisy image of one pair shifted")
def _(root: Path) -> None:
    change(root, 0, lambda image: np.roll(image, (2, -3), (0, 1)))


@case("own pairs", "the noisy image of one pair mirrored")
def _(root: Path) -> None:
    change(root, 0, lambda image: image[:, ::-1])


@case("own pairs", "the noisy image of one pair with red and blue exchanged")
def _(root: Path) -> None:
    change(root, 2, lambda image: image[..., ::-1])


@case("own pairs", "the noisy image of one pair at half the brightness")
def _(root: Path) -> None:
    change(root, 0, lambda image: image // 2)


@case("own pairs", "the partners of two pairs mixed up")
def _(root: Path) -> None:
    exchange(root / "p0_noisy.png", root / "p6_noisy.png")


@case("own pairs", "the sides of one pair swapped")
def _(root: Path) -> None:
    exchange(root / "p0_noisy.png", root / "p0_clean.png")


@case("own pairs", "all sides swapped")
def _(root: Path) -> None:
    for number in range(8):
        exchange(root / f"p{number}_noisy.png", root / f"p{number}_clean.png")


@case("own pairs", "one photograph twice")
def _(root: Path) -> None:
    (root / "p1_noisy.png").write_bytes((root / "p0_noisy.png").read_bytes())


@case("own pairs", "a noisy image without a partner")
def _(root: Path) -> None:
    (root / "p1_clean.png").unlink()


@case("own pairs", "a pair of two sizes")
def _(root: Path) -> None:
    change(root, 0, lambda image: image[:100])


@case("made elsewhere", "generated noise saved as JPEG")
def _(root: Path) -> None:
    for file in list(root.iterdir()):
        Image.open(file).save(file.with_suffix(".jpg"))
        file.unlink()


@case("made elsewhere", "two files for one image")
def _(root: Path) -> None:
    Image.open(root / "0001_01.png").save(root / "0001_01.bmp")


@case("made elsewhere", "an image missing")
def _(root: Path) -> None:
    (root / "0001_02.png").unlink()


@case("made elsewhere", "an image of another size")
def _(root: Path) -> None:
    write_png(root / "0001_02.png", np.zeros((8, 8, 3), np.uint8))

"""Image files: what is read, what is refused and why, and that writing is exact, plain and atomic."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from senm.data import images
from senm.support.errors import DataError, MachineError

RGB = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)


@pytest.mark.parametrize("extension", ["png", "bmp", "tif"])
def test_lossless_formats_give_the_pixels(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    Image.fromarray(RGB).save(path)
    assert np.array_equal(images.read_rgb(path), RGB)
    assert images.image_size(path) == (13, 17)


def test_jpeg_is_read_as_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.JPG"
    Image.fromarray(RGB).save(path, format="JPEG", quality=95)
    assert np.array_equal(images.read_rgb(path), np.array(Image.open(path)))


def write_16_bit_png(path: Path) -> None:
    """Pillow cannot write 16-bit RGB, so the depth of an 8-bit file is patched: the header suffices to refuse it."""
    import zlib

    Image.fromarray(RGB).save(path)
    data = bytearray(path.read_bytes())
    data[24] = 16
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(bytes(data))


def write_16_bit_tiff(path: Path) -> None:
    import tifffile

    tifffile.imwrite(path, RGB.astype(np.uint16) * 257, photometric="rgb")


def save(mode: str, **options: object):
    def write(path: Path) -> None:
        Image.fromarray(RGB).convert(mode).save(path, **options)  # type: ignore[arg-type]
    return write


REFUSED = {
    "grey.png": (save("L"), "grey"),
    "grey.jpg": (save("L"), "grey"),
    "bilevel.png": (save("1"), "grey"),
    "alpha.png": (save("RGBA"), "alpha"),
    "grey_alpha.png": (save("LA"), "alpha"),
    "palette.png": (save("P"), "palette"),
    "transparent.png": (save("RGB", transparency=(1, 2, 3)), "alpha"),
    "deep.png": (write_16_bit_png, "16 bits"),
    "deep_grey.png": (lambda p: Image.fromarray(RGB[..., 0].astype(np.uint16)).save(p), "16 bits"),
    "deep.tif": (write_16_bit_tiff, "16 bits"),
    "cmyk.jpg": (save("CMYK"), "CMYK"),
    "pages.tif": (save("RGB", save_all=True, append_images=[Image.fromarray(RGB)]), "2 images"),
    "empty.png": (lambda p: p.write_bytes(b""), "zero bytes"),
    "text.png": (lambda p: p.write_text("no image"), "cannot be read as an image"),
    "folder.png": (lambda p: p.mkdir(), "is not a file"),
    "missing.png": (lambda p: None, "does not exist"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_images_are_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    write, reason = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(DataError, match=reason) as caught:
        images.read_rgb(tmp_path / name)
    assert name in str(caught.value) and caught.value.exit_code == 3


@pytest.mark.parametrize("extension", ["png", "jpg", "bmp", "tif"])
def test_truncated_files_are_refused(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    Image.fromarray(RGB.repeat(8, 0).repeat(8, 1)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=f"a.{extension}"):
        images.read_rgb(path)


def test_a_flipped_bit_in_a_png_is_found(tmp_path: Path) -> None:
    data = bytearray(images.encode_png(RGB))
    data[len(data) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(bytes(data))
    with pytest.raises(DataError, match="damaged"):
        images.read_rgb(tmp_path / "a.png")


def test_written_png_is_exact_and_has_no_colour_chunks(tmp_path: Path) -> None:
    images.write_png(tmp_path / "a.png", RGB)
    assert np.array_equal(images.read_rgb(tmp_path / "a.png"), RGB)
    assert set(images.png_chunks(tmp_path / "a.png")) == {"IHDR", "IDAT", "IEND"}
    images.check_no_gamma(tmp_path / "a.png")
    assert images.encode_png(RGB) == images.encode_png(RGB)


@pytest.mark.parametrize("chunk", [b"gAMA", b"sRGB"])
def test_gamma_chunks_are_found(tmp_path: Path, chunk: bytes) -> None:
    info = PngImagePlugin.PngInfo()
    info.add(chunk, b"\x00\x00\xb1\x8f" if chunk == b"gAMA" else b"\x00")
    Image.fromarray(RGB).save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(DataError, match=chunk.decode()):
        images.check_no_gamma(tmp_path / "a.png")


def test_a_png_that_ends_inside_a_chunk_is_truncated(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(images.encode_png(RGB)[:-3])
    with pytest.raises(DataError, match="truncated"):
        images.png_chunks(tmp_path / "a.png")


def test_a_failed_write_leaves_the_old_file_and_no_scrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images.write_png(tmp_path / "a.png", RGB)
    before = (tmp_path / "a.png").read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match=r"No space left.*free disk space"):
        images.write_png(tmp_path / "a.png", 255 - RGB)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"] and (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize("bad", [RGB.astype(np.float32), RGB[..., 0], RGB[..., :2], RGB[:0]])
def test_only_uint8_rgb_is_written(tmp_path: Path, bad: np.ndarray) -> None:
    with pytest.raises(DataError):
        images.write_png(tmp_path / "a.png", bad)
    assert not list(tmp_path.iterdir())


def test_names_sort_by_their_numbers(tmp_path: Path) -> None:
    for name in ("b10.png", "b2.PNG", "a.jpg", "note.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [p.name for p in images.list_images(tmp_path)] == ["a.jpg", "b2.PNG", "b10.png"]


def test_digits_that_are_no_numbers_sort_as_letters() -> None:
    assert sorted(["s²3", "s2", "s10", "s٣"], key=images.natural_key) == ["s2", "s٣", "s10", "s²3"]


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no image"):
        images.list_images(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        images.list_images(tmp_path / "nowhere")

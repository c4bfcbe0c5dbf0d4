"""Reading and writing 8-bit RGB image files, with a clear error for everything that is not one.

A file is never converted silently: grey, alpha, palette and 16-bit images are refused, because a hidden
conversion changes the noise that this project measures.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from senm.support.errors import DataError, MachineError
from senm.support.files import write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
OTHERS = (".heic", ".heif", ".avif", ".webp", ".gif", ".jp2", ".jxl", ".exr", ".psd", ".npy", ".ppm", ".dng", ".arw",
          ".cr2", ".cr3", ".nef", ".orf", ".raf", ".rw2", ".raw")
"""Pictures that are left out, and said to be: a conversion of them would be a hidden one."""
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)
"""The EXIF tag, and its values for which height and width are exchanged."""
EXPECTED = "an 8-bit RGB PNG, JPEG, BMP or TIFF"
GAMMA_CHUNKS = ("gAMA", "sRGB")
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key that compares runs of digits as numbers: ``a2`` before ``a10``."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part)


def list_images(folder: Path | str) -> list[Path]:
    """Image files directly in `folder` (by extension, case ignored), in natural order of their names.

    Names that begin with a dot are passed over: they are companions of other files, as macOS writes them.

    Raises:
        DataError: the folder is missing, is not a folder, or holds no image file; subfolders that hold some are named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}", "a folder of images", "check the path")
    found = [p for p in folder.iterdir() if _is_image(p)]
    if not found:
        below = [(p.name, sum(map(_is_image, p.iterdir()))) for p in sorted(folder.iterdir()) if p.is_dir()]
        inside = [f"{name} ({count})" for name, count in below if count]
        more = f" and {len(inside) - 5} more" if len(inside) > 5 else ""
        raise DataError(
            f"{folder} holds no image" + (f"; its subfolders do: {', '.join(inside[:5])}{more}" if inside else "")
            + (f"; {others}" if (others := left_out(folder)) else ""), f"files that end in {', '.join(EXTENSIONS)}",
            "give one of the subfolders" if inside else "check the path")
    return sorted(found, key=lambda p: (natural_key(p.name), p.name))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()


def left_out(folder: Path | str) -> str:
    """A sentence on the files directly in `folder` that are pictures of a kind that is not read, or nothing."""
    found = sorted(p.name for p in Path(folder).iterdir() if p.suffix.lower() in OTHERS and not p.name.startswith("."))
    if not found:
        return ""
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    were = "file is of another kind and was" if len(found) == 1 else "files are of another kind and were"
    return f"{len(found)} {were} left out: {', '.join(found[:5])}{more}"


def _open(path: Path) -> Image:
    import PIL.Image

    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise DataError(f"{path} {what}", EXPECTED, "check the path")
    if path.stat().st_size == 0:
        raise DataError(f"{path} has zero bytes", EXPECTED, "copy or download the file again")
    try:
        image = PIL.Image.open(path, formats=FORMATS)
    except PermissionError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}", "", "give this user read permission") from error
    except (PIL.UnidentifiedImageError, PIL.Image.DecompressionBombError, *BROKEN) as error:
        raise DataError(f"{path} cannot be read as an image ({type(error).__name__})", EXPECTED,
                        "copy or download the file again, or convert it") from error
    try:
        _check_kind(path, image)
    except DataError:
        image.close()
        raise
    return image


def _check_kind(path: Path, image: Image) -> None:
    """Refuse everything but three channels of 8 bits; Pillow alone would reduce 16-bit RGB to 8 bits silently."""
    mode, bits = image.mode, 8
    if image.format == "PNG":
        with path.open("rb") as file:
            bits = file.read(25)[24]
    elif image.format == "TIFF":
        bits = max(image.tag_v2.get(258, (8,)))  # type: ignore[attr-defined]
    elif image.format == "BMP":
        with path.open("rb") as file:
            bits = 8 if file.read(30)[28:30] in (b"\x18\x00", b"\x20\x00", b"\x08\x00") else 5
    found = ""
    if bits > 8 or mode.startswith(("I", "F")):
        found = f"has {max(bits, 16)} bits a channel"
    elif mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        found = "has an alpha channel"
    elif mode in ("1", "L"):
        found = "is grey (one channel)"
    elif mode == "P":
        found = "has a colour palette"
    elif mode != "RGB" or bits != 8:
        found = f"has colour mode {mode} with {bits} bits a channel"
    elif getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # a JPEG with a preview behind it
        found = f"holds {image.n_frames} images"  # type: ignore[attr-defined]
    if found:
        raise DataError(f"{path} {found}", EXPECTED, "convert it yourself, so that the conversion is a known one")


def image_size(path: Path | str) -> tuple[int, int]:
    """(height, width) from the header alone, with the checks of `read_rgb` except that of the pixel data."""
    with _open(Path(path)) as image:
        if image.format in ("JPEG", "MPO", "PNG") and _orientation(image) in TURNED:  # Pillow turns a TIFF itself
            return image.width, image.height
        return image.height, image.width


def _orientation(image: Image) -> int:
    """The EXIF orientation, 1 where there is none or it cannot be read."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except BROKEN:
        return 1


def read_rgb(path: Path | str) -> np.ndarray:
    """The pixels of an 8-bit RGB file as uint8 (H, W, 3), turned as its EXIF orientation says, so as it is shown.

    Raises:
        DataError: missing, empty, truncated or damaged file; grey, alpha, palette or 16-bit image.
    """
    path = Path(path)
    with _open(path) as image:
        try:
            image.load()
        except BROKEN as error:
            raise DataError(f"{path} is truncated or damaged ({error})", EXPECTED,
                            "copy or download the file again") from error
        if _orientation(image) != 1:
            from PIL import ImageOps

            image = ImageOps.exif_transpose(image)
        return np.array(image, dtype=np.uint8)


def check_rgb(image: np.ndarray, what: str = "image") -> np.ndarray:
    """`image` itself where it is a uint8 (H, W, 3) array, else a DataError that names `what`."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise DataError(f"{what} is {image.dtype} of shape {image.shape}", "uint8 of shape (H, W, 3), RGB")
    return image


def encode_png(image: np.ndarray) -> bytes:
    """PNG bytes of a uint8 (H, W, 3) array, without gamma or colour-space chunks, the same on every call."""
    import PIL.Image

    buffer = io.BytesIO()
    PIL.Image.fromarray(check_rgb(image)).save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


def write_png(path: Path | str, image: np.ndarray) -> None:
    """Write a uint8 (H, W, 3) array as PNG, atomically: a reader sees the whole file or none.

    Raises:
        DataError: `image` is not uint8 (H, W, 3).
        MachineError: the folder cannot be written, or the disk is full.
    """
    write_bytes(Path(path), encode_png(image))


def png_chunks(path: Path | str) -> list[str]:
    """The chunk names of a PNG file in order.

    Raises:
        DataError: not a PNG, or it ends inside a chunk.
    """
    data = Path(path).read_bytes()
    if not data.startswith(PNG_SIGNATURE):
        raise DataError(f"{path} is not a PNG file", "a PNG file")
    names, at = [], len(PNG_SIGNATURE)
    while at < len(data):
        if at + 12 > len(data):
            raise DataError(f"{path} is truncated", "a whole PNG file", "copy or download the file again")
        (length,) = struct.unpack(">I", data[at:at + 4])
        names.append(data[at + 4:at + 8].decode("latin-1"))
        at += 12 + length
    if at > len(data):
        raise DataError(f"{path} is truncated", "a whole PNG file", "copy or download the file again")
    return names


def check_no_gamma(path: Path | str) -> None:
    """Refuse a PNG with a gAMA or sRGB chunk: decoders turn it to grey in linear light, which changes the KLD.

    Raises:
        DataError: the chunk is there, or the file is not a whole PNG.
    """
    bad = [name for name in png_chunks(path) if name in GAMMA_CHUNKS]
    if bad:
        raise DataError(f"{path} has a {' and a '.join(bad)} chunk", "a PNG without gamma or sRGB chunk",
                        "read it and write it again with senm.data.images.write_png")

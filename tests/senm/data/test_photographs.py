"""Photographs as cameras, phones and other projects leave them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from senm.api import pairs_in
from senm.cli.options import pairs_of
from senm.data.formats.folder import SUBFOLDERS
from senm.data.images import image_size, left_out, list_images, read_rgb, write_png
from senm.support.errors import DataError, UsageError

RGB = np.random.default_rng(0).integers(0, 256, (66, 70, 3), dtype=np.uint8)


@pytest.mark.parametrize("extension", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_read_as_it_is_shown(tmp_path: Path, extension: str, orientation: int) -> None:
    path, exif = tmp_path / f"a.{extension}", Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(RGB).save(path, exif=exif)
    turned = (70, 66) if orientation >= 5 else (66, 70)
    assert image_size(path) == turned and read_rgb(path).shape == (*turned, 3)
    if extension != "jpg" and orientation in (1, 3):
        assert np.array_equal(read_rgb(path), RGB if orientation == 1 else RGB[::-1, ::-1])


def test_of_a_jpeg_with_a_preview_the_picture_is_read(tmp_path: Path) -> None:
    path, plain = tmp_path / "a.jpg", tmp_path / "plain.jpg"
    Image.fromarray(RGB).save(plain, quality=90)
    Image.fromarray(RGB).save(path, format="MPO", save_all=True, quality=90,
                              append_images=[Image.fromarray(RGB[:32, :32])])
    assert Image.open(path).n_frames == 2 and np.array_equal(read_rgb(path), read_rgb(plain))


def test_companions_are_passed_over_and_other_kinds_are_named(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", RGB)
    (tmp_path / "._a.png").write_bytes(b"\0\5\x16\7")
    for name in ("b.heic", "c.DNG", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in list_images(tmp_path)] == ["a.png"]
    assert left_out(tmp_path) == "2 files are of another kind and were left out: b.heic, c.DNG"


def test_images_in_subfolders_are_named(tmp_path: Path) -> None:
    (tmp_path / "monday").mkdir()
    write_png(tmp_path / "monday" / "a.png", RGB)
    (tmp_path / "b.webp").write_bytes(b"x")
    with pytest.raises(DataError, match=r"its subfolders do: monday \(1\).*b\.webp.*give one of the subfolders"):
        list_images(tmp_path)


def sides(root: Path, noisy: str, clean: str) -> Path:
    for side in (noisy, clean):
        for name in "ab":
            (root / side).mkdir(parents=True, exist_ok=True)
            write_png(root / side / f"{name}.png", RGB)
    return root


@pytest.mark.parametrize("names", SUBFOLDERS)
@pytest.mark.parametrize("case", [str, str.upper, str.title])
def test_folders_have_the_names_of_the_field(tmp_path: Path, names: tuple[str, str], case: type[str]) -> None:
    root = sides(tmp_path, case(names[0]), case(names[1]))
    assert pairs_in(root).noisy.names == ("a", "b")
    assert {path.parent.name for path in pairs_in(root).clean.paths} == {case(names[1])}  # type: ignore[attr-defined]


def test_two_folders_can_be_named_outright(tmp_path: Path) -> None:
    sides(tmp_path, "with, comma", "other")
    found = pairs_of(f"{tmp_path}/with, comma,{tmp_path}/other")
    assert found.noisy.names == ("a", "b") and found.noisy.paths[0].parent.name == "with, comma"


def test_a_comma_in_a_folders_name_is_no_suffix(tmp_path: Path) -> None:
    from benchmarks.data.datasets import parse

    root = tmp_path / "Zurich, 2024"
    root.mkdir()
    for name in ("a_real", "a_mean"):
        write_png(root / f"{name}.png", RGB)
    assert pairs_of(f"{root},_real,_mean").noisy.names == ("a",)
    spec = parse(f"folder:{root},_real,_mean")
    assert (spec.path, spec.suffixes) == (root, ("_real", "_mean"))
    assert parse(f"folder:{root}").path == root
    with pytest.raises(UsageError, match="suffixes"):
        pairs_of(f"{tmp_path},_real")


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    sides(tmp_path / "photos", "noisy", "clean")
    assert pairs_of("~/photos").noisy.names == ("a", "b")

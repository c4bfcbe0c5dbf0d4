"""Folders of pairs: found by name, cut and divided by seeded streams; every wrong use has its sentence."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from senm.data import PreparedData, read_rgb, write_png
from senm.data.formats import folder
from senm.data.formats.folder import Cutting
from senm.support.errors import DataError, UsageError

CUTTING = Cutting(crop=64, crops=4, validation_crops=2)
SIZES = [(80, 70), (64, 96), (75, 75), (90, 64), (66, 66), (70, 71), (100, 64), (64, 64)]


def pair(i: int) -> tuple[np.ndarray, np.ndarray]:
    """A clean ramp and a noisy copy of it."""
    rng = np.random.default_rng(i)
    height, width = SIZES[i]
    ramp = np.linspace(60, 180, height)[:, None, None] + rng.uniform(-20, 20, 3)
    clean = np.broadcast_to(ramp, (height, width, 3))
    return clean.round().astype(np.uint8), (clean + rng.normal(0, 12, clean.shape)).clip(0, 255).astype(np.uint8)


def by_suffix(root: Path) -> Path:
    root.mkdir()
    for i in range(len(SIZES)):
        clean, noisy = pair(i)
        write_png(root / f"p{i}_mean.png", clean)
        write_png(root / f"p{i}_real.png", noisy)
    return root


def by_folder(root: Path, noisy_name: str = "noisy", clean_name: str = "clean") -> Path:
    for i in range(len(SIZES)):
        for name, image, end in ((clean_name, pair(i)[0], "bmp"), (noisy_name, pair(i)[1], "TIFF")):
            (root / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(root / name / f"p{i}.{end}")
    return root


def prepare(root: Path, out: Path, **options: object) -> PreparedData:
    suffixes = {} if (root / "noisy").is_dir() else {"noisy_suffix": "_real", "clean_suffix": "_mean"}
    return folder.prepare(root, out, **{"cutting": CUTTING, **suffixes, **options})  # type: ignore[arg-type]


def test_crops_equal_slices_of_the_files(tmp_path: Path) -> None:
    data = prepare(by_suffix(tmp_path / "in"), tmp_path / "out")
    for split in ("train", "validation"):
        pairs = data.pairs(split)
        for i, item in enumerate(data.items(split)):
            place = slice(item["row"], item["row"] + 64), slice(item["column"], item["column"] + 64)  # type: ignore
            assert np.array_equal(pairs.clean[i], read_rgb(tmp_path / "in" / str(item["clean_file"]))[place])
            assert np.array_equal(pairs.noisy[i], read_rgb(tmp_path / "in" / str(item["noisy_file"]))[place])
    assert (len(data.pairs("train")), len(data.pairs("validation"))) == (7 * 4, 2)


@pytest.mark.parametrize("names", [("noisy", "clean"), ("input", "gt")])
def test_two_subfolders_give_the_same_crops_as_suffixes(tmp_path: Path, names: tuple[str, str]) -> None:
    a = prepare(by_suffix(tmp_path / "a"), tmp_path / "a_out")
    b = folder.prepare(by_folder(tmp_path / "b", *names), tmp_path / "b_out", cutting=CUTTING)
    assert a.pairs("train").names == b.pairs("train").names
    assert all(np.array_equal(x, y) for x, y in zip(a.pairs("train").noisy, b.pairs("train").noisy, strict=True))


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    root = by_suffix(tmp_path / "in")
    first, second = prepare(root, tmp_path / "a"), prepare(root, tmp_path / "b", workers=1)
    other = prepare(root, tmp_path / "c", seed=1)
    assert first.fingerprint == second.fingerprint != other.fingerprint
    assert first.items("train") != other.items("train")


def test_validation_images_are_never_trained_on(tmp_path: Path) -> None:
    data = prepare(by_suffix(tmp_path / "in"), tmp_path / "out")
    assert not {i["scene"] for i in data.items("train")} & {i["scene"] for i in data.items("validation")}


def test_the_authors_rule_halves_the_crops(tmp_path: Path) -> None:
    domains = prepare(by_suffix(tmp_path / "in"), tmp_path / "out").domains()
    assert domains.counts == (28, 14, 14) and not set(domains.source.names) & set(domains.target.names)


def test_the_strict_rule_divides_the_photographs(tmp_path: Path) -> None:
    data = prepare(by_suffix(tmp_path / "in"), tmp_path / "out", split_rule="by-photo")
    few = data.domains(10)
    scenes = [{n.rsplit("_", 1)[0] for n in names} for names in (few.paired.names, few.source.names, few.target.names)]
    assert all(scenes) and sum(map(len, scenes)) == len(set.union(*scenes)) == 7
    assert data.paired_counts == {10: 4, 96: 4, 960: 4} and data.domains().counts[0] == 28
    assert data.domains().paired.names[:4] == few.paired.names


def test_small_images_lower_the_crop_and_scales_bound_the_work(tmp_path: Path) -> None:
    root = by_suffix(tmp_path / "in")
    data = prepare(root, tmp_path / "a", cutting=None, scale="short")
    assert data.pairs("train").clean.size(0) == (64, 64)
    limited = prepare(root, tmp_path / "b", cutting=Cutting(64, 1, 1, images=3))
    assert len(limited.pairs("train")) == 3


def test_noisy_images_of_one_clean_file_are_one_scene(tmp_path: Path) -> None:
    root = by_suffix(tmp_path / "in")
    clean, _ = pair(0)
    write_png(root / "again_mean.png", clean)
    write_png(root / "again_real.png", 255 - pair(0)[1])
    found = {p.name: p for p in folder.find_pairs(root, "_real", "_mean")}
    assert found["again"].size == found["p0"].size
    data = prepare(root, tmp_path / "out")
    scenes = {str(i["name"]).rsplit("_", 1)[0]: i["scene"] for s in ("train", "validation") for i in data.items(s)}
    assert scenes["again"] == scenes["p0"]


def test_one_photograph_written_twice_is_one_scene(tmp_path: Path) -> None:
    """Other bytes, the same pixels, another name: it must not validate what it trained."""
    from PIL import Image

    root = by_suffix(tmp_path / "photos")
    with Image.open(root / "p0_mean.png") as image:
        image.save(root / "copy_mean.bmp")
        noisy = np.asarray(image).astype(int) + np.random.default_rng(5).integers(-9, 10, (*image.size[::-1], 3))
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(root / "copy_real.bmp")
    data = prepare(root, tmp_path / "out")
    scenes = {str(i["name"]).rsplit("_", 1)[0]: i["scene"] for s in ("train", "validation") for i in data.items(s)}
    assert scenes["copy"] == scenes["p0"]


def swap(root: Path) -> None:
    for i in range(len(SIZES)):
        a, b, spare = root / f"p{i}_mean.png", root / f"p{i}_real.png", root / "spare"
        a.rename(spare)
        b.rename(a)
        spare.rename(b)


def same(root: Path) -> None:
    for i in range(len(SIZES)):
        (root / f"p{i}_real.png").write_bytes((root / f"p{i}_mean.png").read_bytes())


def edit(name: str, content: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda root: content(root / name)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "unpaired": (edit("p3_mean.png", Path.unlink), r"has no partner for p3 \(only ending in '_real'\)"),
    "other size": (edit("p2_real.png", lambda p: write_png(p, pair(0)[1])), "p2_real.png has 80 x 70 .* 75 x 75"),
    "truncated": (edit("p5_real.png", lambda p: p.write_bytes(p.read_bytes()[:-2000])), "p5_real.png is truncated"),
    "zero bytes": (edit("p5_mean.png", lambda p: p.write_bytes(b"")), "p5_mean.png has zero bytes"),
    "grey": (edit("p1_mean.png", lambda p: Image.open(p).convert("L").save(p)), "p1_mean.png is grey"),
    "too small": (lambda r: [write_png(r / f"p4_{s}.png", pair(4)[0][:40]) for s in ("mean", "real")], "40 x 66"),
    "name twice": (lambda r: Image.open(r / "p0_real.png").save(r / "p0_real.bmp"), "the same name"),
    "image twice": (lambda r: [(r / f"q_{s}.png").write_bytes((r / f"p0_{s}.png").read_bytes())
                               for s in ("mean", "real")], "p0_real.png and q_real.png are the same file"),
    "swapped": (swap, "noisier than the noisy"),
    "equal sides": (same, "the same pixels"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_folder_says_why_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    spoil, message = BAD[name]
    spoil(by_suffix(tmp_path / "in"))
    with pytest.raises(DataError, match=message) as caught:
        prepare(tmp_path / "in", tmp_path / "out")
    assert caught.value.mend and [p.name for p in tmp_path.iterdir()] == ["in"]


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        prepare(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty"):
        folder.prepare(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(DataError, match="holds no image"):
        prepare(tmp_path / "empty", tmp_path / "out")
    root = by_suffix(tmp_path / "in")
    with pytest.raises(DataError, match="no pair of subfolders"):
        folder.prepare(root, tmp_path / "out")
    with pytest.raises(DataError, match=r"holds no image ending in '_a' or ending in '_b'"):
        folder.find_pairs(root, "_a", "_b")
    for noisy, clean in (("_real", None), ("_real", "_real")):
        with pytest.raises(UsageError, match="two different ones"):
            folder.find_pairs(root, noisy, clean)
    with pytest.raises(UsageError, match="authors, by-photo"):
        prepare(root, tmp_path / "out", split_rule="author")


def test_one_pair_is_too_few(tmp_path: Path) -> None:
    root = by_suffix(tmp_path / "in")
    for path in root.iterdir():
        if not path.name.startswith("p0"):
            path.unlink()
    with pytest.raises(DataError, match="1 scene"):
        prepare(root, tmp_path / "out")


def test_an_empty_suffix_means_the_other_files(tmp_path: Path) -> None:
    root = by_suffix(tmp_path / "in")
    for path in root.glob("*_mean.png"):
        path.rename(root / path.name.replace("_mean", ""))
    assert [p.name for p in folder.find_pairs(root, "_real", "")] == [f"p{i}" for i in range(len(SIZES))]


@pytest.mark.skipif(not os.environ.get("SENM_POLYU"), reason="SENM_POLYU does not name a folder of PolyU crops")
def test_real_camera_pairs(tmp_path: Path) -> None:
    data = folder.prepare(os.environ["SENM_POLYU"], tmp_path / "out", "smoke", noisy_suffix="_real",
                          clean_suffix="_mean")
    assert data.domains(10).counts[0] == 10 and len(data.pairs("validation")) == 8

"""Pairs judged by content: every mistake is named, and strong true noise is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

import senm
from benchmarks.run import main as benchmark
from senm.__main__ import main
from senm.config import PRESETS
from senm.data.checking.alignment import check_pairs, doubts
from senm.data.embedded import PHOTOGRAPHS, load
from senm.data.formats.folder import prepare
from senm.data.images import write_png
from senm.data.pool import ArrayImages, Pairs
from senm.support.errors import DataError
from tests import ROOT

SIDE = 128
POLYU = ROOT.parent / "shared" / "data" / "polyu"


@pytest.fixture(scope="module")
def clean() -> list[np.ndarray]:
    """Two crops of each of eight photographs."""
    found = []
    for photograph in PHOTOGRAPHS:
        image = load(photograph)
        for row, column in ((20, 60), (image.shape[0] - SIDE - 30, image.shape[1] - SIDE - 90)):
            found.append(image[row : row + SIDE, column : column + SIDE])
    return found


def noise(image: np.ndarray, seed: int, sigma: float = 12) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.asarray((image + drawn).round().clip(0, 255).astype(np.uint8))


def pairs(clean: list[np.ndarray], noisy: list[np.ndarray]) -> Pairs:
    names = [f"photo{i:02d}" for i in range(len(clean))]
    return Pairs(ArrayImages(np.stack(clean), names), ArrayImages(np.stack(noisy), names))


@pytest.mark.parametrize("sigma", [2, 12, 50, 100])
@pytest.mark.parametrize("form", ["as they are", "dark", "bright", "small", "blurred noise"])
def test_true_pairs_are_left_alone(clean: list[np.ndarray], sigma: float, form: str) -> None:
    images = {
        "dark": [(image * 0.06).astype(np.uint8) for image in clean],
        "bright": [(image * 0.2 + 200).astype(np.uint8) for image in clean],
        "small": [image[40:88, 40:88] for image in clean],
    }.get(form, clean)
    noisy = [noise(image, i, sigma) for i, image in enumerate(images)]
    if form == "blurred noise":
        fields = [gaussian_filter(np.random.default_rng(i).normal(0, 4 * sigma, image.shape), (1.2, 1.2, 0))
                  for i, image in enumerate(images)]
        noisy = [(a + b).round().clip(0, 255).astype(np.uint8) for a, b in zip(images, fields, strict=True)]
    assert doubts(pairs(images, noisy)) == []


@pytest.mark.skipif(not POLYU.is_dir(), reason="real camera pairs of PolyU, which cannot be shipped, are not there")
def test_real_camera_pairs_are_left_alone() -> None:
    real = sorted(POLYU.glob("*_real.JPG"))[::3]
    both = [[np.asarray(Image.open(path).convert("RGB")) for path in side]
            for side in ([Path(str(path).replace("_real", "_mean")) for path in real], real)]
    assert check_pairs(pairs(*both)) == ""


MISTAKES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "is shifted by (2, -3) pixels": (lambda image: np.roll(image, (2, -3), (0, 1)), 0.7),
    "is shifted by (0, 1) pixels": (lambda image: np.roll(image, 1, 1), 0.4),
    "is mirrored left to right": (lambda image: image[:, ::-1], 0.5),
    "is mirrored top to bottom": (lambda image: image[::-1], 0.5),
    "is turned by 90 degrees": (lambda image: np.rot90(image, -1), 0.4),
    "has red and blue exchanged": (lambda image: image[..., ::-1], 0.6),
    "has another exposure (0.5": (lambda image: image // 2, 0.6),
}


@pytest.mark.parametrize("said", MISTAKES)
def test_a_mistake_in_one_pair_is_named(clean: list[np.ndarray], said: str) -> None:
    """Where a photograph hides it (a shift of what is smooth, a mirrored sky) nothing may be said."""
    change, share = MISTAKES[said]
    good = [noise(image, i) for i, image in enumerate(clean)]
    named = 0
    for place in range(len(clean)):
        noisy = [noise(change(image), i) if i == place else good[i] for i, image in enumerate(clean)]
        found = doubts(pairs(clean, noisy))
        assert {each.name for each in found} <= {f"photo{place:02d}"}, "no other pair is blamed"
        named += any(said in each.what for each in found)
    assert named >= share * len(clean)


def test_partners_mixed_up_name_the_right_one(clean: list[np.ndarray]) -> None:
    noisy = [noise(image, i) for i, image in enumerate(clean)]
    noisy[0], noisy[12] = noisy[12], noisy[0]
    found = {each.name: each.what for each in doubts(pairs(clean, noisy))}
    assert found == {"photo00": "shows photo12", "photo12": "shows photo00"}


def test_some_sides_swapped_or_equal(clean: list[np.ndarray]) -> None:
    noisy = [noise(image, i) for i, image in enumerate(clean)]
    first = [noisy[i] if i in (2, 5) else image for i, image in enumerate(clean)]
    second = [clean[i] if i in (2, 5, 7) else image for i, image in enumerate(noisy)]
    found = {each.name: each.what for each in doubts(pairs(first, second))}
    assert set(found) == {"photo02", "photo05", "photo07"}
    assert "swapped" in found["photo02"] and "equals" in found["photo07"]


def test_a_refusal_names_three_pairs_and_the_way_on(clean: list[np.ndarray]) -> None:
    wrong = pairs(clean, [noise(image, i) for i, image in enumerate(clean[1:] + clean[:1])])
    with pytest.raises(DataError, match=r"of 16 pairs looked at are no pairs \(photo\d\d: .*; \.\.\.\)") as caught:
        check_pairs(wrong)
    assert "--trust-pairs" in str(caught.value)
    assert "no pairs" in check_pairs(wrong, trust=True)
    swapped = pairs([noise(image, i) for i, image in enumerate(clean)], clean)
    with pytest.raises(DataError, match="noisier than the noisy ones"):
        check_pairs(swapped)
    assert "noisier" in check_pairs(swapped, trust=True)


@pytest.fixture
def shifted(tmp_path: Path, clean: list[np.ndarray]) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, image in enumerate(clean[:8]):
        write_png(folder / f"p{i}_mean.png", image)
        write_png(folder / f"p{i}_real.png", noise(np.roll(image, (2, -3), (0, 1)), i))
    return folder


def test_every_door_refuses_and_can_be_told_to_trust(
    shifted: Path, tmp_path: Path, clean: list[np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "--pairs", f"{shifted},_real,_mean", "--preset", "smoke", "--set", "train.iterations=2",
             "--out", str(tmp_path / "model")]
    assert main(train) == 3
    assert "is shifted by (2, -3) pixels" in capsys.readouterr().err and not (tmp_path / "model").exists()
    assert main([*train, "--trust-pairs"]) == 0
    assert "taken as they are" in capsys.readouterr().err
    with pytest.raises(DataError, match="is shifted"):
        prepare(shifted, tmp_path / "data", "smoke", noisy_suffix="_real", clean_suffix="_mean")
    assert not (tmp_path / "data").exists()
    where = ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "runs")]
    table = ["table1", "--scale", "smoke", "--rows", "gaussian", "--data", f"folder:{shifted},_real,_mean", *where]
    assert benchmark(table) == 3
    assert "is shifted" in capsys.readouterr().err
    assert benchmark([*table, "--trust-pairs"]) == 0
    assert "taken as they are" in capsys.readouterr().err
    moved = [noise(np.roll(image, (2, -3), (0, 1)), i) for i, image in enumerate(clean)]
    settings = PRESETS["smoke"].but(train={"iterations": 2}, level="measured")
    with pytest.raises(DataError, match="is shifted"):
        senm.fit((clean, moved), settings=settings, workdir=tmp_path / "work")
    with pytest.warns(UserWarning, match="taken as they are"):
        senm.fit((clean, moved), settings=settings, workdir=tmp_path / "work", trust_pairs=True)

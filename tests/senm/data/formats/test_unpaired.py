"""Bad and good photographs in two folders: what becomes of them, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from senm.data.formats import bicubic, unpaired
from senm.data.images import write_png
from senm.data.prepared import PreparedData
from senm.support.errors import DataError
from tests.fixtures_official import noisy, photo


def folders(root: Path, low: int = 12, high: int = 3) -> tuple[Path, Path]:
    for name in ("low", "high"):
        (root / name).mkdir(parents=True)
    for i in range(low):
        write_png(root / "low" / f"l{i:02d}.png", noisy(photo(75, 90, 10 + i), i))
    for i in range(high):
        write_png(root / "high" / f"h{i}.png", photo(130, 161, 50 + i))
    return root / "low", root / "high"


def make(root: Path, out: Path, scale: str = "short") -> PreparedData:
    return unpaired.prepare(root / "low", out, partners=root / "high", scale=scale, workers=1)


def test_good_photographs_are_reduced_and_bad_ones_divided(tmp_path: Path) -> None:
    _, high = folders(tmp_path)
    data = make(tmp_path, tmp_path / "out")
    assert data.domains().counts == (0, 3, 11)
    assert data.has("validation", "noisy") and not data.has("validation", "clean")
    kept, used = data.images("validation").names, data.images("target").names
    assert len(kept) == 1 and not set(kept) & set(used) and len(set(kept) | set(used)) == 12
    assert data.images("target").size(0) == (72, 88) and data.images("source", "high").size(0) == (128, 160)
    whole = photo(130, 161, 50)[:128, :160]
    assert high.name == "high" and np.array_equal(data.images("source", "high")[0], whole)
    assert np.array_equal(data.images("source", "clean")[0], bicubic.reduce(whole, 4))


@pytest.mark.parametrize(("scale", "size"), [("smoke", (64, 64)), ("short", (72, 88))])
def test_validation_takes_the_middle_of_a_photograph(tmp_path: Path, scale: str, size: tuple[int, int]) -> None:
    low, _ = folders(tmp_path)
    data = make(tmp_path, tmp_path / "out", scale)
    (name,) = data.images("validation").names
    whole = noisy(photo(75, 90, 10 + int(name[1:])), int(name[1:]))
    top, left = (75 - size[0]) // 2, (90 - size[1]) // 2
    assert low.is_dir() and data.images("validation").size(0) == size
    assert np.array_equal(data.images("validation")[0], whole[top : top + size[0], left : left + size[1]])


def test_a_copy_is_taken_once(tmp_path: Path) -> None:
    low, _ = folders(tmp_path)
    write_png(low / "again.png", noisy(photo(75, 90, 10), 0))
    data = make(tmp_path, tmp_path / "out")
    assert len(data.images("target")) + len(data.images("validation")) == 12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda low, high: write_png(high / "x.png", noisy(photo(75, 90, 10), 0)), "1 photograph is in both folders"),
        (lambda low, high: write_png(low / "x.png", photo(7, 90, 1)), "at least 8 on each side"),
        (lambda low, high: write_png(high / "x.png", photo(31, 90, 1)), "at least 32 on each side"),
        (lambda low, high: write_png(low / "x.png", np.full((64, 64, 3), 9, np.uint8)), "one flat colour"),
        (lambda low, high: [p.unlink() for p in low.iterdir()], "holds no image"),
        (lambda low, high: [p.unlink() for p in list(low.iterdir())[1:]], "at least 2"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(tmp_path: Path, change, words: str) -> None:
    change(*folders(tmp_path))
    with pytest.raises(DataError, match=words):
        make(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()

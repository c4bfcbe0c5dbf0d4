"""Sampling to disk: resumable, order-independent, and straight into a prepared data set."""

from pathlib import Path

import numpy as np
import pytest

from senm.data.images import read_rgb
from senm.data.pool import ArrayImages, Images
from senm.data.prepared import PreparedData
from senm.errors import DataError
from senm.pipeline import in_background, sample_to_folder, sample_to_prepared

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)
CLEAN = ArrayImages(PIXELS, [f"photo{i}" for i in range(6)])


class Inverter:
    """Stands for a sampler: inverts images, remembers which it was asked for, and may break down."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self.seen: list[str] = []
        self.breaks_after = breaks_after

    def __call__(self, clean: Images):
        for name, image in zip(clean.names, clean, strict=True):
            if len(self.seen) == self.breaks_after:
                raise RuntimeError("power cut")
            self.seen.append(name)
            yield 255 - image


def test_folder_resumes_after_a_breakdown(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="power cut"):
        sample_to_folder(Inverter(breaks_after=3), CLEAN, tmp_path)
    finished = {path.stem for path in tmp_path.glob("*.png")}
    again = Inverter()
    assert sample_to_folder(again, CLEAN, tmp_path) == 6 - len(finished)
    assert finished.isdisjoint(again.seen)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".png"]
    for i, name in enumerate(CLEAN.names):
        np.testing.assert_array_equal(read_rgb(tmp_path / f"{name}.png"), 255 - PIXELS[i])


def test_same_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="same name"):
        sample_to_folder(Inverter(), ArrayImages(PIXELS[:2], ["a", "a"]), tmp_path)


def test_prepared_store_holds_the_pairs(tmp_path: Path) -> None:
    out = sample_to_prepared(Inverter(), CLEAN, tmp_path / "made", plan={"seed": 0})
    pairs = PreparedData.open(out).pairs("train")
    assert pairs.names == CLEAN.names
    np.testing.assert_array_equal(np.stack(list(pairs.clean)), PIXELS)
    np.testing.assert_array_equal(np.stack(list(pairs.noisy)), 255 - PIXELS)


def test_prepared_store_resumes_by_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("senm.pipeline.CHUNK", 2)
    with pytest.raises(RuntimeError, match="power cut"):
        sample_to_prepared(Inverter(breaks_after=5), CLEAN, tmp_path / "made", plan={"seed": 0})
    assert not (tmp_path / "made").exists()
    again = Inverter()
    sample_to_prepared(again, CLEAN, tmp_path / "made", plan={"seed": 0})
    assert again.seen == ["photo4", "photo5"]


def test_a_failing_writer_stops_the_work() -> None:
    made = []

    def jobs():
        for i in range(1000):
            made.append(i)
            yield i, None

    def work(i: int, _: object) -> None:
        if i == 3:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        list(in_background(work, jobs(), 2))
    assert len(made) < 100

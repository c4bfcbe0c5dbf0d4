"""Sampling to disk: resumable, order-independent, and straight into a prepared data set."""

from pathlib import Path

import numpy as np
import pytest

from senm.config import SMOKE
from senm.data.images import read_rgb, write_png
from senm.data.pool import ArrayImages, Images
from senm.data.prepared import PreparedData
from senm.model import SeNMVAE
from senm.sampling.pipeline import (
    PLAN,
    denoise_folder,
    fingerprint,
    in_background,
    sample_folder,
    sample_to_folder,
    sample_to_prepared,
)
from senm.sampling.trained import Trained
from senm.support.errors import DataError, MachineError, UsageError

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


@pytest.fixture
def model() -> Trained:
    return Trained(SeNMVAE(SMOKE.network), SMOKE.but(level="measured"), [0.02, 0.05])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, image in zip(CLEAN.names[:3], CLEAN, strict=False):
        write_png(folder / f"{name}.png", image)
    return folder


def pngs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.parametrize("into", ["photos", "photos/../photos", "link"])
def test_the_folder_that_is_read_is_never_written(tmp_path: Path, photos: Path, model: Trained, into: str) -> None:
    (tmp_path / "link").symlink_to(photos)
    before = pngs(photos)
    for make in (sample_folder, denoise_folder):
        with pytest.raises(UsageError, match="images to read.*another --out"):
            make(model, photos, tmp_path / into)
    assert pngs(photos) == before and len(list(photos.iterdir())) == 3


@pytest.mark.parametrize(("change", "sentence"), [
    ({"seed": 1}, r"another seed \(0, now 1\)"),
    ({"level": 0.2, "temperature": 0.5}, r"level \(none, now 0.2\) and temperature \(1.0, now 0.5\)"),
])
def test_images_of_another_run_are_not_taken_for_finished(
    tmp_path: Path, photos: Path, model: Trained, change: dict, sentence: str
) -> None:
    out = tmp_path / "out"
    assert sample_folder(model, photos, out) == 3
    before = pngs(out)
    with pytest.raises(UsageError, match=sentence + ".*choose another --out, or remove the folder"):
        sample_folder(model, photos, out, **change)
    assert pngs(out) == before
    for path in out.glob("*.png"):
        path.unlink()
    sample_folder(model, photos, out, **change)
    assert len(pngs(out)) == 3


def test_a_retrained_model_other_photographs_and_another_command_are_another_run(
    tmp_path: Path, photos: Path, model: Trained
) -> None:
    out = tmp_path / "out"
    sample_folder(model, photos, out)
    with pytest.raises(UsageError, match=r"another command \(sample, now denoise\)"):
        denoise_folder(model, photos, out)
    model.network.output[2].bias.data += 0.1
    with pytest.raises(UsageError, match=r"another model \([0-9a-f]{8}\.\.\., now"):
        sample_folder(model, photos, out)
    model.network.output[2].bias.data -= 0.1
    others = photos.rename(tmp_path / "others")
    with pytest.raises(UsageError, match=r"another folder \(photos, now others\)"):
        sample_folder(model, others, out)


def test_the_same_run_goes_on_also_with_other_tiles(tmp_path: Path, photos: Path, model: Trained) -> None:
    for make, options in ((sample_folder, {"seed": 4}), (denoise_folder, {})):
        out = tmp_path / make.__name__
        make(model, photos, out, **options)
        whole = pngs(out)
        (out / "photo1.png").unlink()
        kept = (out / "photo0.png").stat().st_mtime_ns
        make(model, photos, out, **options, tile=0)
        assert pngs(out) == whole and (out / "photo0.png").stat().st_mtime_ns == kept


def test_images_of_unknown_origin_are_refused(tmp_path: Path, photos: Path, model: Trained) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write_png(out / "holiday.png", PIXELS[0])
    sample_folder(model, photos, out)
    (out / PLAN).unlink()
    with pytest.raises(UsageError, match=r"3 of the images \(photo0.png\), made with something unknown"):
        sample_folder(model, photos, out)
    (out / PLAN).write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        sample_folder(model, photos, out)


def test_a_model_keeps_its_fingerprint_on_disk(tmp_path: Path, model: Trained) -> None:
    model.save(tmp_path)
    again = Trained.load(tmp_path)
    assert fingerprint(again) == fingerprint(model)
    again.levels.append(0.1)
    assert fingerprint(again) != fingerprint(model)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(MachineError, match="is not a folder"):
        sample_to_folder(Inverter(), CLEAN, tmp_path / "out")


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
    monkeypatch.setattr("senm.sampling.pipeline.CHUNK", 2)
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


def test_other_photographs_of_the_same_names_are_not_taken_for_finished(tmp_path: Path, model: Trained) -> None:
    for folder, grey in (("a", 40), ("b", 200)):
        (tmp_path / folder / "clean").mkdir(parents=True)
        write_png(tmp_path / folder / "clean" / "x.png", np.full((16, 16, 3), grey, np.uint8))
    sample_folder(model, tmp_path / "a" / "clean", tmp_path / "out")
    with pytest.raises(UsageError, match="another images"):
        sample_folder(model, tmp_path / "b" / "clean", tmp_path / "out")

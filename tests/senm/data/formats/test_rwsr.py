"""AIM19 and NTIRE20 from zips and folders: the split, the reductions, and names that do not match."""

import numpy as np
import pytest
from PIL import Image

from senm.data.formats import bicubic, rwsr
from senm.support.errors import DataError, UsageError
from tests import fixtures_official as fx

SIZES = rwsr.RwsrSizes(validation=12, paired=10)


def read(path):
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module", params=["aim19", "ntire20"])
def case(request, tmp_path_factory):
    root = fx.rwsr(tmp_path_factory.mktemp("r"), request.param)
    out = tmp_path_factory.mktemp("o") / "set"
    return request.param, root, rwsr.prepare(request.param, root, out, sizes=SIZES, workers=1)


def test_first_ten_pairs_train_and_the_rest_is_evaluated(case):
    _, _, data = case
    assert data.side("train", "noisy").names == tuple(f"{i:04d}" for i in range(801, 811))
    assert data.side("validation", "noisy").names == ("0811", "0812")
    assert data.domains(10, None, None).counts == (10, 3, 3)


def test_sides_are_the_files_and_their_reduction(case):
    kind, root, data = case
    degraded, clean, low, high = fx.RWSR_FOLDERS[kind]
    for k, name in enumerate(data.side("validation", "noisy").names):
        truth = read(root / high / f"{name}.png")
        assert np.array_equal(data.side("validation", "high")[k], truth)
        assert np.array_equal(data.side("validation", "noisy")[k], read(root / low / f"{name}.png"))
        assert np.array_equal(data.side("validation", "clean")[k], bicubic.reduce(truth, 4))
    source, target = data.side("source", "clean"), data.side("target", "noisy")
    multiple, step = (32, 8) if kind == "aim19" else (16, 4)
    for k, name in enumerate(source.names):
        whole = read(root / clean / f"{name}.png")
        h, w = (n - n % multiple for n in whole.shape[:2])
        assert np.array_equal(data.side("source", "high")[k], whole[:h, :w])
        assert np.array_equal(source[k], bicubic.reduce(whole[:h, :w], 4))
    for k, name in enumerate(target.names):
        whole = read(root / degraded / f"{name}.png")
        h, w = (n - n % step for n in whole.shape[:2])
        assert np.array_equal(target[k], whole[:h, :w])


def test_zips_give_the_same_bytes_as_folders_and_leave_nothing_unpacked(case, tmp_path):
    kind, _, data = case
    root = fx.rwsr(tmp_path / "r", kind, zipped=True)
    zipped = rwsr.prepare(kind, root, tmp_path / "o", sizes=SIZES, workers=1)
    pools = [name for name in data.manifest.files if name.endswith(".npy")]
    assert [zipped.manifest.files[n] for n in pools] == [data.manifest.files[n] for n in pools]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o", "r"]
    assert {s.sha256 for s in zipped.manifest.sources} == {s.sha256 for s in data.manifest.sources}


def test_older_folder_names_of_aim_are_found(tmp_path):
    root = fx.rwsr(tmp_path / "r", "aim19")
    for new, old in zip(fx.RWSR_FOLDERS["aim19"], ("TrainingSource", "DIV2K_train_HR", "ValidationSource",
                                                   "DIV2K_valid_HR"),
                        strict=True):
        (root / new).rename(root / old)
    assert len(rwsr.prepare("aim19", root, tmp_path / "o", sizes=SIZES, workers=1).side("target", "noisy")) == 3


def test_smoke_scale_takes_sixteen_images_and_an_incomplete_set(tmp_path):
    root = fx.rwsr(tmp_path / "r", "ntire20", train=18)
    data = rwsr.prepare("ntire20", root, tmp_path / "o", scale="smoke", workers=1)
    assert (len(data.side("target", "noisy")), len(data.side("validation", "noisy"))) == (16, 2)


def broken(root, how):
    low, high = root / "valid-input-noisy", root / "valid-gt-clean"
    if how == "names":
        (low / "0803.png").rename(low / "0803x4.png")
    elif how == "scale":
        fx.png(low / "0803.png", fx.photo(128, 192, 3))
    elif how == "count":
        (low / "0812.png").unlink()
        (high / "0812.png").unlink()
    elif how == "truncated":
        path = root / "train-noisy-images" / "Flickr2K_000002.png"
        path.write_bytes(path.read_bytes()[:-200])
    elif how == "part":
        (root / "train-clean-images").rename(root / "clean")


@pytest.mark.parametrize(("how", "message"), [
    ("names", "differ in 2 names"), ("scale", "0803: input has 128 x 192"), ("count", "11 of 12 validation pairs"),
    ("truncated", "truncated"), ("part", "neither train-clean-images nor train-clean-images.zip")])
def test_faults_are_named_and_leave_nothing(tmp_path, how, message):
    root = fx.rwsr(tmp_path / "r", "aim19")
    broken(root, how)
    with pytest.raises(DataError, match=message):
        rwsr.prepare("aim19", root, tmp_path / "o", sizes=SIZES, workers=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r"]


def test_unknown_set_suggests_the_nearest(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'aim19'"):
        rwsr.prepare("aim20", tmp_path, tmp_path / "o")

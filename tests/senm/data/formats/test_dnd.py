"""DND from MATLAB v7.3 files: axes, boxes, and every way in which converted copies differ."""

import h5py
import numpy as np
import pytest

from senm.data.formats import dnd
from senm.data.formats.matfiles import read_mat_sample
from senm.support.errors import DataError
from tests import fixtures_official as fx

SHAPE = dnd.DndShape(photos=2, boxes=3, size=32)


@pytest.fixture
def root(tmp_path):
    return fx.dnd(tmp_path / "r")


def corners(root, photo):
    """Boxes as MATLAB would show them, read without the code under test."""
    with h5py.File(root / "dnd_2017" / "info.mat") as file:
        return file[file["info/boundingboxes"][0, photo]][()].T.astype(int)


def test_crops_are_the_boxes_of_the_photographs(root):
    crops = dnd.read_dnd(root, SHAPE)
    assert crops.names[:4] == ("0001_01", "0001_02", "0001_03", "0002_01")
    for i, name in enumerate(crops.names):
        photo, box = (int(part) - 1 for part in name.split("_"))
        image = fx.noisy(fx.photo(96, 128, 60 + photo), photo)
        r1, c1, r2, c2 = corners(root, photo)[box]
        assert np.array_equal(crops[i], image[r1 - 1:r2, c1 - 1:c2])
        assert np.allclose(crops.exact(i) * 255, image[r1 - 1:r2, c1 - 1:c2], atol=1e-4)
        assert crops.exact(i).dtype == np.float32


def test_prepared_benchmark_has_all_crops_and_no_ground_truth(root, tmp_path):
    data = dnd.prepare(root, tmp_path / "o", shape=SHAPE)
    assert len(data.images("benchmark")) == 6 and "clean" not in data.manifest.pools["benchmark"].sides
    assert data.items("benchmark")[4]["file"] == "dnd_2017/images_srgb/0002.mat"
    assert np.array_equal(data.images("benchmark")[4], dnd.read_dnd(root, SHAPE)[4])


def test_column_table_of_references_is_read_too(root):
    path = root / "dnd_2017" / "info.mat"
    with h5py.File(path, "r+") as file:
        references = file["info/boundingboxes"][()]
        del file["info/boundingboxes"]
        file["info"].create_dataset("boundingboxes", data=references.T, dtype=h5py.ref_dtype)
    assert dnd.read_boxes(path, SHAPE).shape == (2, 3, 4)


def test_only_the_crop_is_read_from_a_large_photograph(root, monkeypatch):
    read = []
    plain = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda self, key: (read.append(key), plain(self, key))[1])
    crops = dnd.read_dnd(root, SHAPE)
    read.clear()
    crops.exact(0)
    assert len(read) == 1 and read[0][0] == slice(None)
    assert [part.stop - part.start for part in read[0][1:]] == [32, 32]


def test_converted_public_crop_is_a_sample_but_not_a_data_set(root, tmp_path):
    block = fx.photo(512, 512, 4)
    path = fx.mat(tmp_path / "1.mat", "im_noisy", block)
    assert np.array_equal(read_mat_sample(path), block)
    path.replace(root / "dnd_2017" / "images_srgb" / "0001.mat")
    with pytest.raises(DataError, match="MATLAB v5"):
        dnd.read_dnd(root, SHAPE)


IMAGE = fx.noisy(fx.photo(96, 128, 60), 0).astype(np.float32) / 255
FAULTS = {
    "channels last": (IMAGE, "channels last"),
    "reshaped": (IMAGE.transpose(1, 0, 2).reshape(3, 128, 96), "reshaped, not transposed"),
    "transposed": (IMAGE.transpose(2, 0, 1), "a box leaves it"),
    "bytes": ((IMAGE.T * 255).astype(np.uint8), "type uint8"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_memory_layouts_are_named(root, fault):
    stored, message = FAULTS[fault]
    if fault == "transposed":
        set_boxes(root, np.array([[60, 90, 91, 121]] * 3))
    fx.dnd_image(root / "dnd_2017" / "images_srgb" / "0001.mat", stored)
    with pytest.raises(DataError, match=message):
        dnd.read_dnd(root, SHAPE)


def set_boxes(root, table):
    with h5py.File(root / "dnd_2017" / "info.mat", "r+") as file:
        target = file[file["info/boundingboxes"][0, 0]]
        target[...] = table.T


@pytest.mark.parametrize(("table", "message"), [
    ([[0, 1, 31, 32]] * 3, "counted from 0"),
    ([[1, 1, 33, 33]] * 3, "open end"),
    ([[1, 1, 20, 32]] * 3, "boxes of 20 to 32 pixels"),
    ([[80, 1, 111, 32]] * 3, "a box leaves it"),
])
def test_wrong_boxes_are_named(root, table, message):
    set_boxes(root, np.array(table, dtype=float))
    with pytest.raises(DataError, match=message):
        dnd.read_dnd(root, SHAPE)


def test_values_outside_zero_to_one_are_refused(root):
    fx.dnd_image(root / "dnd_2017" / "images_srgb" / "0001.mat", IMAGE.T * 255)
    with pytest.raises(DataError, match="floats in \\[0, 1\\]"):
        dnd.read_dnd(root, SHAPE).exact(0)

"""SIDD blocks: every published form gives the same pool, and foreign ones are refused with the reason."""

import numpy as np
import pytest
from scipy.io import savemat

from senm.data.formats import sidd_blocks, sidd_layouts
from senm.data.formats.matfiles import read_array, read_mat_sample
from senm.support.errors import DataError
from tests import fixtures_official as fx

SHAPE = sidd_blocks.BlockShape(2, 4, 32)


def expected():
    noisy, clean = fx.blocks(2, 4, 32)
    return noisy.reshape(-1, 32, 32, 3), clean.reshape(-1, 32, 32, 3)


@pytest.mark.parametrize("form", ["v5", "hdf5", "nafnet", "restormer"])
def test_all_forms_give_the_same_validation_pairs(tmp_path, form):
    if form in ("v5", "hdf5"):
        fx.sidd_mats(tmp_path / "deep" / "er", container=form)
    else:
        getattr(fx, f"sidd_{form}")(tmp_path / "deep")
    found = sidd_layouts.read_validation(tmp_path, SHAPE)
    noisy, clean = expected()
    assert found.form == {"v5": "mat v5", "hdf5": "mat hdf5"}.get(form, "png")
    for i in range(8):
        assert np.array_equal(found.sides["noisy"][i], noisy[i])
        assert np.array_equal(found.sides["clean"][i], clean[i])
    assert found.sides["noisy"].names[5] == "0002_02"
    assert all(path.is_file() for path in found.files)


def test_nafnet_order_is_by_number_not_by_name(tmp_path):
    n, c = fx.blocks(3, 4, 32)
    shape = sidd_blocks.BlockShape(3, 4, 32)
    fx.sidd_nafnet(tmp_path, images=3)
    found = sidd_layouts.read_validation(tmp_path, shape)
    assert np.array_equal(found.sides["noisy"][10], n.reshape(-1, 32, 32, 3)[10])
    assert np.array_equal(found.sides["clean"][2], c.reshape(-1, 32, 32, 3)[2])


@pytest.mark.parametrize("container", ["v5", "hdf5"])
def test_benchmark_blocks_from_matlab_files(tmp_path, container):
    fx.sidd_mats(tmp_path, container=container)
    found = sidd_layouts.read_benchmark(tmp_path, SHAPE)
    assert np.array_equal(found.sides["noisy"][7], fx.blocks(2, 4, 32, seed=9000)[0][1, 3])


def test_whole_photographs_are_cut_by_the_table(tmp_path):
    table = np.array([[1, 1, 32, 32], [65, 97, 32, 32], [2, 3, 32, 32], [10, 20, 32, 32]])
    fx.sidd_whole(tmp_path, table)
    found = sidd_layouts.read_benchmark(tmp_path, SHAPE)
    for k, image in enumerate(found.sides["noisy"]):
        photo = fx.noisy(fx.photo(96, 128, 700 + k // 4), k // 4)
        r, c = table[k % 4, :2] - 1
        assert np.array_equal(image, photo[r:r + 32, c:c + 32])
    assert len(found.files) == 2


def test_official_table_covers_eight_squares_in_two_by_two_order():
    table = sidd_blocks.official_table()
    assert table.shape == (32, 4)
    assert table[:4].tolist() == [[1601, 2413, 256, 256], [1601, 2669, 256, 256],
                                  [1857, 2413, 256, 256], [1857, 2669, 256, 256]]
    assert table[-1].tolist() == [2593, 1349, 256, 256]
    assert len({tuple(row) for row in table.tolist()}) == 32


def test_official_table_is_accepted_as_written_by_matlab(tmp_path):
    path = fx.mat(tmp_path / "BenchmarkBlocks32.mat", "BenchmarkBlocks32",
                  sidd_blocks.official_table().astype(np.uint16))
    assert np.array_equal(sidd_blocks.read_table(path), sidd_blocks.official_table())
    moved = sidd_blocks.official_table()
    moved[3, 0] += 1
    fx.mat(path, "BenchmarkBlocks32", moved.astype(np.uint16))
    with pytest.raises(DataError, match="differs from the published positions"):
        sidd_blocks.read_table(path)


def test_full_size_photograph_with_the_official_positions(tmp_path):
    photo = np.zeros((2848, 3664, 3), np.uint8)
    photo[1600 + 256:1600 + 512, 2412:2412 + 256] = 200  # block 3 of the first square
    path = fx.png(tmp_path / fx.INSTANCES[0] / "0001_NOISY_SRGB_010.PNG", photo)
    shape = sidd_blocks.BlockShape(1, 32, 256)
    pool = sidd_blocks.read_whole_benchmark(path.parents[1], sidd_blocks.official_table(), shape)
    assert [int(pool[i].mean()) for i in range(4)] == [0, 0, 200, 0]


@pytest.mark.parametrize("key", ["im_noisy", "im_gt"])
def test_public_single_block_samples(tmp_path, key):
    block = fx.photo(256, 256, 1)
    savemat(tmp_path / "noisy.mat", {key: block})
    assert np.array_equal(read_mat_sample(tmp_path / "noisy.mat"), block)
    savemat(tmp_path / "noisy.mat", {key: block / 255.0})
    with pytest.raises(DataError, match="uint8"):
        read_mat_sample(tmp_path / "noisy.mat")


def test_matlab_containers_agree_on_axes(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for container in ("v5", "hdf5"):
        fx.mat(tmp_path / "a.mat", "a", array, container)
        assert np.array_equal(read_array(tmp_path / "a.mat", "a"), array)

"""The x4 reduction against published vectors and closed forms."""


import numpy as np
import pytest

from senm.data.formats import bicubic
from senm.support.errors import UsageError
from tests import DATA

VECTORS = np.load(DATA / "bicubic_vectors.npz")


def test_rounding_after_each_axis_gives_the_published_bytes():
    for clean, expected in zip(VECTORS["clean"], VECTORS["lr4_rounded_each_axis"], strict=True):
        assert np.array_equal(bicubic.reduce(clean, 4), expected)


def test_float_route_gives_the_published_floats_and_other_bytes():
    differing = 0
    arrays = (VECTORS[k] for k in ("clean", "lr4_float", "lr4_rounded_each_axis"))
    for clean, expected, rounded in zip(*arrays, strict=True):
        rows = bicubic._along_rows(clean / 255.0, 4)
        both = bicubic._along_rows(rows.transpose(1, 0, 2), 4).transpose(1, 0, 2)
        assert np.abs(both - expected).max() < 2e-7
        differing += (np.round(both * 255) != rounded).sum()
    assert 0.05 < differing / VECTORS["lr4_float"].size < 0.2


@pytest.mark.parametrize("size", [4, 7, 64, 101])
def test_weights_sum_to_one_and_stay_inside(size):
    table, at = bicubic.weights(size, 4)
    assert np.allclose(table.sum(axis=1), 1)
    assert at.min() >= 0 and at.max() < size
    assert len(table) == -(-size // 4)


def test_constant_image_stays_constant_and_ramp_keeps_its_slope():
    assert (bicubic.reduce(np.full((20, 24, 3), 77, np.uint8)) == 77).all()
    ramp = np.broadcast_to(np.arange(128, dtype=np.uint8)[None, :, None], (16, 128, 3)).copy()
    inner = bicubic.reduce(ramp)[0, 4:-4, 0].astype(int)
    assert (np.diff(inner) == 4).all()


def test_factor_one_copies_and_other_types_are_refused():
    image = np.zeros((4, 4, 3), np.uint8)
    assert bicubic.reduce(image, 1) is not image
    with pytest.raises(UsageError, match="float64"):
        bicubic.reduce(image.astype(float), 4)

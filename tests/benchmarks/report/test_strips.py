"""Strips: crops by rule, amplification, storage that never turns a name into a path."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.report.pictures import picture_strips
from benchmarks.report.strips import (
    Box,
    Strip,
    amplification,
    crop_size,
    detail_crop,
    encode,
    flat_crop,
    load_strip,
    residual_image,
    save_strip,
)
from senm.support.errors import DataError
from tests.benchmarks.report_cases import PLANTED, camera_noise, photograph, strips


def flat(side: int = 128, value: int = 100) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def test_crops_follow_their_rules():
    image = flat()
    image[64:128, 32:96][::2] = 220
    assert detail_crop(image) == Box(64, 32, 64)
    assert flat_crop(image) == Box(0, 0, 64)
    dark = flat()
    dark[:64] = 5
    dark[64:, :, :] += np.arange(128, dtype=np.uint8)[None, :, None] // 8
    assert flat_crop(dark).top == 64, "a black patch varies least, but shows no noise"


def test_a_tie_goes_to_the_first_patch_in_raster_order():
    assert detail_crop(flat()) == flat_crop(flat()) == Box(0, 0, 64)


@pytest.mark.parametrize(("side", "size"), [(256, 64), (64, 32), (3, 1), (1, 1)])
def test_crops_fit_small_images(side, size):
    image = flat(side)
    assert crop_size(image) == size
    assert detail_crop(image).cut(image).shape == (size, size, 3)


@pytest.mark.parametrize(("reach", "factor"), [(0, 16), (7, 16), (8, 8), (60, 2), (127, 1), (255, 1)])
def test_amplification_keeps_residuals_in_range(reach, factor):
    assert amplification([np.full((4, 4), reach), np.full((4, 4), -reach)]) == factor


def test_one_broken_system_does_not_hide_the_others():
    good, broken = np.full((4, 4), 7), np.full((4, 4), 255)
    assert amplification([good, good, broken]) == 16
    assert amplification([]) == 16


def test_a_residual_is_centred_amplified_and_clipped():
    clean = flat(2)
    image = clean.copy()
    image[0, 0], image[0, 1], image[1, 0] = 103, 97, 200
    shown = residual_image(image, clean, 4)
    assert shown[..., 0].tolist() == [[140, 116], [255, 128]]


def test_a_stored_strip_comes_back_whole_and_in_order(tmp_path):
    image, label = "../../photo/" + PLANTED, "SeNM-VAE / 10 %"
    panels = {"clean": photograph(), "noisy": camera_noise(photograph(), 1), label: camera_noise(photograph(), 2)}
    key, name = save_strip(tmp_path / "images", "noise", image, panels)
    assert key == f"noise/{image}"
    assert [p.name for p in (tmp_path / "images").iterdir()] == [name] and "/" not in name
    back = load_strip(tmp_path / "images" / name, "table1")
    assert (back.kind, back.image, back.title, list(back.panels)) == ("noise", image, "table1", list(panels))
    assert all(np.array_equal(back.panels[k], v) for k, v in panels.items())


def test_a_large_photograph_is_cut_around_its_detail(tmp_path):
    clean = flat(600)
    clean[500:564:2, 500:564] = 250
    _, name = save_strip(tmp_path, "noise", "large", {"clean": clean, "noisy": clean}, limit=200)
    kept = load_strip(tmp_path / name).clean
    assert kept.shape == (200, 200, 3) and kept.max() == 250


def test_the_input_of_super_resolution_is_enlarged(tmp_path):
    small = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    _, name = save_strip(tmp_path, "restoration", "sr", {"noisy": small, "clean": flat(16)})
    noisy = load_strip(tmp_path / name).panels["noisy"]
    assert noisy.shape == (16, 16, 3) and np.array_equal(noisy[::4, ::4], small)


@pytest.mark.parametrize(
    "panels", [{"noisy": flat(8)}, {"clean": flat(8), "noisy": flat(9)}, {"clean": flat(8)[..., 0]}]
)
def test_a_strip_that_cannot_be_compared_is_refused(tmp_path, panels):
    with pytest.raises(DataError):
        save_strip(tmp_path, "noise", "bad", panels)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "noise-1.npz"
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DataError, match=r"noise-1\.npz"):
        load_strip(path)


def test_pictures_are_exact_and_share_one_amplification():
    noise, restoration = picture_strips(strips())
    labels = [line.label for line in noise.lines]
    assert labels == ["detail crop", "flat crop", f"residual of the detail crop, ×{noise.factor}"]
    assert len(restoration.lines) == 2 and restoration.lines[0].panels[0].note.endswith(" dB")
    strip = strips()[0]
    data = base64.b64decode(noise.lines[0].panels[1].source.split(",")[1])
    assert np.array_equal(np.array(Image.open(io.BytesIO(data))), detail_crop(strip.clean).cut(strip.panels["noisy"]))
    left, top, width, height = noise.frames[0][1:]
    assert 0 <= left <= left + width <= 100 and 0 <= top <= top + height <= 100


def test_encode_is_a_data_uri():
    assert encode(flat(4)).startswith("data:image/png;base64,")
    assert encode(flat(4), "jpeg").startswith("data:image/jpeg;base64,")
    assert Strip("noise", "x", {"clean": flat(4)}).clean.shape == (4, 4, 3)

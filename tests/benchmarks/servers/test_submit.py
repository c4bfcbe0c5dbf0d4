"""Submissions: bytes against the reference vector, an independent reader, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.servers import files as submit
from senm.data.pool import ArrayImages
from senm.support.errors import DataError
from senm.support.seeding import rng
from tests import DATA


def blocks(count: int, side: int = 8) -> np.ndarray:
    return rng("submit", count).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_the_encoding_is_that_of_the_reference_vector() -> None:
    vectors = {v["id"]: v for v in json.loads((DATA / "metric_vectors.json").read_text())["vectors"]}
    vector = vectors["sidd_csv_base64_sha256"]
    clean = np.load(DATA / "metric_vectors.npz")["clean"]
    text = submit.encode_block(clean[0])
    assert hashlib.sha256(text.encode()).hexdigest() == vector["values"][0]
    assert len(text) == vector["parameters"]["length"]
    assert len(submit.encode_block(np.zeros((256, 256, 3), np.uint8))) == vector["parameters"]["length_for_256x256x3"]


def test_the_encoding_does_not_depend_on_the_memory_layout() -> None:
    block = blocks(1)[0]
    assert submit.encode_block(np.asfortranarray(block)) == submit.encode_block(block)


def test_pandas_reads_the_csv_back_to_the_same_blocks(tmp_path: Path) -> None:
    import pandas as pd

    images = blocks(6)
    submit.write_csv(tmp_path / "SubmitSrgb.csv", iter(images))
    table = pd.read_csv(tmp_path / "SubmitSrgb.csv")
    assert list(table.columns) == ["ID", "BLOCK"] and list(table.ID) == list(range(6))
    again = [np.frombuffer(base64.b64decode(text), np.uint8).reshape(8, 8, 3) for text in table.BLOCK]
    assert np.array_equal(np.stack(again), images)
    submit.check_csv(tmp_path / "SubmitSrgb.csv", 6, 8)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda t: t.replace("ID,BLOCK", "id,block"), "header"),
        (lambda t: t.replace("\n1,", "\n7,"), "ID 1"),
        (lambda t: t.rsplit("\n", 2)[0] + "\n", "3 blocks"),
        (lambda t: t[:-9] + "\n", "line 4"),
        (lambda t: t.replace("\n2,", "\n2,%%%%"), "base64"),
    ],
)
def test_a_spoilt_csv_is_refused_with_its_place(tmp_path: Path, spoil, word: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "SubmitSrgb.csv"
    submit.write_csv(path, iter(blocks(3)))
    path.write_text(spoil(path.read_text()))
    with pytest.raises(DataError, match=word):
        submit.check_csv(path, 3, 8)


def named(count: int, grid: tuple[int, int], side: int = 8) -> ArrayImages:
    names = [f"{i + 1:04d}_{j + 1:02d}" for i in range(grid[0]) for j in range(grid[1])][:count]
    return ArrayImages(blocks(count, side), names)


def test_blocks_are_put_in_the_server_s_order_by_name() -> None:
    images = named(6, (2, 3))
    shuffled = images.subset([4, 0, 5, 2, 1, 3])
    assert np.array_equal(np.stack(list(submit.blocks_in_order(shuffled, (2, 3), 8))), images.array)


def test_missing_foreign_and_misshapen_blocks_are_refused() -> None:
    with pytest.raises(DataError, match="0002_03"):
        list(submit.blocks_in_order(named(5, (2, 3)), (2, 3), 8))
    with pytest.raises(DataError, match="belongs to no block"):
        list(submit.blocks_in_order(named(6, (2, 3)), (1, 3), 8))
    with pytest.raises(DataError, match="expected: uint8 of shape"):
        list(submit.blocks_in_order(named(6, (2, 3)), (2, 3), 16))


def test_the_older_mat_file_is_read_by_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import loadmat

    monkeypatch.setattr(submit, "SIDD_GRID", (2, 3))
    images = blocks(6)
    submit.write_mat(tmp_path / "SubmitSrgb.mat", iter(images), seconds=3.0)
    found = loadmat(tmp_path / "SubmitSrgb.mat")
    cell = found["DenoisedBlocksSrgb"]
    assert cell.shape == (2, 3) and cell[1, 2].dtype == np.float32
    assert np.array_equal(np.rint(cell[1, 2] * 255).astype(np.uint8), images[5])
    assert {"TimeMPSrgb", "OptionalData"} <= set(found)
    submit.check_mat(tmp_path / "SubmitSrgb.mat", 8)
    with pytest.raises(DataError, match="single 9 x 9"):
        submit.check_mat(tmp_path / "SubmitSrgb.mat", 9)


def test_dnd_bundles_hold_twenty_crops_each_and_say_what_they_are(tmp_path: Path) -> None:
    from scipy.io import loadmat

    crops = blocks(6)
    submit.write_dnd(tmp_path, iter(crops), (2, 3))
    found = loadmat(tmp_path / "0002.mat")
    assert found["Idenoised"].shape == (1, 3)
    assert np.allclose(found["Idenoised"][0, 1], crops[4] / np.float32(255))
    assert not found["israw"].item() and found["eval_version"].item() == "1.0"
    submit.check_dnd(tmp_path, (2, 3), 8)
    (tmp_path / "0001.mat").unlink()
    with pytest.raises(DataError, match="0001.mat is missing"):
        submit.check_dnd(tmp_path, (2, 3), 8)


def test_floats_outside_the_range_are_clamped_for_dnd(tmp_path: Path) -> None:
    submit.write_dnd(tmp_path, iter([np.array([[[-0.5, 0.5, 1.5]]])]), (1, 1))
    submit.check_dnd(tmp_path, (1, 1), 1)

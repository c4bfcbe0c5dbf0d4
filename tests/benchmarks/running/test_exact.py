"""Restored images that are not rounded: what is kept, what is read back, and which metrics may see them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.base import to_image
from benchmarks.run import main
from benchmarks.running.exact import join, split
from senm.data.images import write_png
from senm.data.prepared import PreparedData
from tests.benchmarks.tiny import write_tiny


def test_two_bytes_keep_the_level_and_the_rest() -> None:
    image = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    image[0, 0] = (0.0, 1.0, 0.5)
    level, rest = split(image)
    np.testing.assert_array_equal(level, to_image(torch.from_numpy(image).permute(2, 0, 1)))
    assert np.abs(join(level, rest) - image).max() <= 1 / 508 / 255 + 1e-7


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exact")
    write_tiny(folder / "tiny")
    return folder


def cells(place: Path, *words: str) -> dict[str, dict[str, object]]:
    """The cells of table 3 by column, from a smoke run of its NAFNet row."""
    where = ["--data", f"folder:{place / 'tiny'}", "--store", str(place / "store"), "--out", str(place / "runs")]
    assert main(["table3", "--scale", "smoke", *words, *where]) == 0
    (path,) = (place / "runs").rglob("table3/*/table.json")
    return {cell["column"]: cell for cell in json.loads(path.read_text())["cells"]}


def test_table_3_measures_outputs_that_are_not_rounded(place: Path) -> None:
    found = cells(place, "--rows", "nafnet")
    exact, rounded = (found[column]["values"][0] for column in ("val-psnr", "val-psnr-8-bit"))
    assert exact != rounded and exact == pytest.approx(rounded, abs=0.1)
    assert "printed as" not in str(found["val-psnr"]["reason"])


def test_8_bit_images_from_elsewhere_are_refused_by_such_a_metric(place: Path) -> None:
    folder = place / "made"
    folder.mkdir()
    clean = PreparedData.open(place / "tiny").images("validation", "clean")
    for name, image in zip(clean.names, clean, strict=True):
        write_png(folder / f"{name}.png", image ^ 1)
    found = cells(place, "--rows", "made", "--external", f"made={folder}")
    assert found["val-psnr"]["state"] == "not run" and "rounded to 8 bit" in str(found["val-psnr"]["reason"])
    assert found["val-psnr-8-bit"]["state"] == "measured"

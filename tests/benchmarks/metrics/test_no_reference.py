"""Scores of one image alone, and tables on photographs that have no partner."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmarks.core.record import EvaluationRecord, read
from benchmarks.metrics import METRICS, Unavailable
from benchmarks.run import main
from senm.data.images import write_png
from senm.support.errors import DataError
from tests.fixtures_official import noisy, photo

BLUR, PIQE = METRICS["blur_effect_skimage"], METRICS["piqe_pypiqe"]


def test_blur_raises_the_blur_effect_and_noise_lowers_it() -> None:
    sharp = photo(96, 96, 1)
    blurred = gaussian_filter(sharp, (3, 3, 0))
    assert BLUR(sharp) < BLUR(blurred) and BLUR(noisy(blurred, 2)) < BLUR(blurred)
    assert BLUR.values([sharp, blurred]) == [BLUR(sharp), BLUR(blurred)]


def test_a_metric_of_one_image_takes_no_reference() -> None:
    with pytest.raises(DataError, match="without restored"):
        BLUR()
    with pytest.raises(DataError, match="8-bit"):
        BLUR(np.zeros((32, 32, 3), np.float32))


def test_piqe_is_given_its_channel_order_and_never_a_black_image(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    module = ModuleType("pypiqe.piqe")
    module.piqe = lambda image: (seen.append(image) or 41.5, None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pypiqe", ModuleType("pypiqe"))
    monkeypatch.setitem(sys.modules, "pypiqe.piqe", module)
    image = photo(32, 48, 3)
    assert PIQE(image) == 41.5 and np.array_equal(seen[0], image[:, :, ::-1])
    assert PIQE(np.zeros_like(image)) == 100 and len(seen) == 1
    with pytest.raises(DataError, match="16 x 16"):
        PIQE(image[:15])


def test_without_its_package_piqe_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypiqe", None)
    monkeypatch.setitem(sys.modules, "pypiqe.piqe", None)
    with pytest.raises(Unavailable, match="no-reference"):
        PIQE(photo(32, 32, 1))


def test_a_table_on_photographs_without_partners(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(4):
        write_png(tmp_path / "low" / f"l{i}.png", noisy(photo(64, 64, i), i))
        write_png(tmp_path / "high" / f"h{i}.png", photo(128, 128, 40 + i))
    data = f"unpaired:{tmp_path / 'low'},{tmp_path / 'high'}"
    where = ["--data", data, "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    assert main(["table4", "--scale", "smoke", "--rows", "impressionism,senm", *where]) == 0
    run = next((tmp_path / "out" / "table4").iterdir())
    found = json.loads((run / "table.json").read_text())
    assert [c["metric"] for c in found["columns"]] == ["blur_effect_skimage", "piqe_pypiqe"]
    cells = {(c["row"], c["column"]): c for c in found["cells"]}
    assert 0 <= cells["impressionism", "blur"]["mean"] <= 1 and cells["senm", "blur"]["mean"] is None
    assert "needs pairs" in cells["senm", "blur"]["reason"]
    record = read(next(run.rglob("impressionism-0-restoration.json")), EvaluationRecord)
    assert [m.metric for m in record.measurements if m.metric != PIQE.name] == [BLUR.name]
    strips = list((run / "images").glob("*.npz"))
    assert strips and "Impressionism" in (run / "report.html").read_text()
    capsys.readouterr()

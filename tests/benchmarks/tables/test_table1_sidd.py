"""Table 1 from a SIDD tree in the official layout, end to end: prepare, train, sample, restore, measure, report."""

import json

import pytest

from benchmarks import run
from tests import fixtures_official as fx


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("sidd")
    return fx.sidd_mats(fx.sidd_medium(root, size=(96, 112)), images=2, count=4, size=64)


def test_table1_runs_on_an_official_sidd_tree(tree, tmp_path, capfd):
    arguments = ["table1", "--data", f"sidd:{tree}", "--scale", "smoke", "--rows", "senm-10,real,gaussian",
                 "--out", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    assert run.main(arguments) == 0
    assert "prepare sidd" in capfd.readouterr().err
    result = json.loads((tmp_path / "runs" / "table1" / "sidd-smoke-rows" / "table.json").read_text())
    measured = {(cell["row"], cell["column"]) for cell in result["cells"] if cell["state"] == "measured"}
    assert {(row, column) for row in ("senm-10", "real", "gaussian") for column in ("kld", "psnr")} <= measured
    assert {cell["images"] for cell in result["cells"] if (cell["state"], cell["column"]) == ("measured", "kld")} == {8}
    assert run.main(arguments) == 0
    assert "nothing to do" in capfd.readouterr().err

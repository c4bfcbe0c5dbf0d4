"""The paper's numbers as kept, and what may be held against them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.core.record import Cell, Column, Row, TableResult
from benchmarks.judging.compare import PrintedCell, Reference, compare_table, printed, verdict
from benchmarks.metrics import METRICS
from senm.support.errors import DataError


@pytest.fixture
def cell() -> PrintedCell:
    found = printed().cell("table1", "senm-10", "psnr")
    assert found is not None
    return found


def judged(cell: PrintedCell, values: list[float], spread: float | None = None, **changes: object) -> tuple[str, str]:
    given = {
        "convention": cell.convention,
        "split": cell.split,
        "images": cell.images,
        "scale": "paper",
        "data": cell.data,
    }
    return verdict(values, spread, reference=cell, **(given | changes))  # type: ignore[arg-type]


def test_every_printed_cell_is_there() -> None:
    reference = printed()
    counts = {name: len(reference.table(name)) for name in [f"table{n}" for n in range(1, 8)]}
    # table 2: 15 rows of 6, of which N2V and N2S have no DND score
    assert counts == {
        "table1": 33, "table2": 86, "table3": 20, "table4": 21, "table5": 21, "table6": 6, "table7": 18,
    }  # fmt: skip
    assert len(reference.cells) == sum(counts.values()), "two cells in one place"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("table1", "flow-srgb", "fid"), 28.6),
        (("table1", "real", "kld"), 0),
        (("table2", "sdap", "dnd-psnr"), 38.56),
        (("table2", "drunet-960", "val-ssim"), 0.915),
        (("table3", "senm-nafnet", "bench-ssim"), 0.961),
        (("table4", "deflow", "lpips"), 0.349),
        (("table5", "deflow", "lpips"), 0.217),
        (("table6", "without-recon-x", "fid"), 24.26),
        (("table7", "10-0-all", "psnr"), 36.24),
    ],
)
def test_some_cells_by_hand(place: tuple[str, str, str], value: float) -> None:
    found = printed().cell(*place)
    assert found is not None and found.value == value


def test_missing_cells_stay_missing() -> None:
    assert printed().cell("table2", "n2v", "dnd-psnr") is None
    assert printed().cell("figure7", "lambda-1e-7", "fid") is None


def test_conventions_are_metrics_and_ssim_is_not_mixed() -> None:
    reference = printed()
    for name, convention in reference.conventions.items():
        known = [accepted in METRICS for accepted in convention.accepts]
        assert all(known) or name == "server"
    assert {cell.convention for cell in reference.cells} == set(reference.conventions)
    ssim = {(c.table, c.split): c.convention for c in reference.cells if c.column.endswith("ssim")}
    assert ssim == {
        ("table2", "validation"): "ssim_2d_valid_rgb",
        ("table3", "validation"): "ssim_3d",
        ("table2", "bench"): "server",
        ("table3", "bench"): "server",
        ("table2", "dnd"): "server",
        ("table4", "validation"): "ssim_2d_valid_rgb",
        ("table5", "validation"): "ssim_2d_valid_rgb",
    }
    assert {c.images for c in reference.cells if c.table in ("table4", "table5")} == {90}
    assert all(c.value == round(c.value, c.digits) for c in reference.cells)
    lower = {c.convention for c in reference.cells if c.better == "lower"}
    assert lower == {"fid", "kld_senm_official", "lpips_alex"}


def test_tables_and_reference_name_the_same_cells() -> None:
    from benchmarks import tables

    for name in [f"table{n}" for n in range(1, 8)]:
        spec = tables.table(name)
        rows = {row.id for row in spec.rows if row.paper}
        columns = {column.id: column for column in spec.columns if not column.extra}
        cells = printed().table(name)
        assert rows == {row for row, _ in cells} and set(columns) == {column for _, column in cells}
        for (_, column), cell in cells.items():
            assert (columns[column].better, columns[column].split) == (cell.better, cell.split)
            assert cell.data == spec.paper_data


def test_match_is_to_the_printed_digits(cell: PrintedCell) -> None:
    assert judged(cell, [36.734])[0] == "match"
    assert judged(cell, [36.736])[0] == "not comparable", "one replicate decides nothing"
    assert judged(cell, [36.72, 36.74], 0.014)[0] == "match"


def test_spread_allows_for_one_more_run(cell: PrintedCell) -> None:
    # three replicates of spread 0.1: Student's t of 2 degrees 4.303 * 0.1 * sqrt(1 + 1/3) = 0.4968, and half a digit
    assert judged(cell, [36.73 + 0.49] * 3, 0.1)[0] == "within spread"
    found, reason = judged(cell, [36.73 + 0.51] * 3, 0.1)
    assert found == "differs" and "+0.510 (better)" in reason and "3 replicates" in reason
    assert "(worse)" in judged(cell, [36.0] * 3, 0.1)[1] and "one replicate" in judged(cell, [36.0], None)[1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"convention": "psnr_float_clamped"}, "measured as psnr_float_clamped, printed as psnr_rgb_uint8"),
        ({"split": "bench"}, "measured on the bench split, printed for validation"),
        ({"images": 64}, "measured on 64 images, printed for 1280"),
        ({"scale": "short"}, "run at scale short"),
        ({"data": "folder:/somewhere"}, "measured on folder, printed for sidd"),
    ],
)
def test_unlike_numbers_are_refused(changes: dict[str, object], words: str, cell: PrintedCell) -> None:
    found, reason = judged(cell, [cell.value], None, **changes)
    assert found == "not comparable" and words in reason


def test_equal_conventions_under_other_names_are_accepted(cell: PrintedCell) -> None:
    assert judged(cell, [cell.value], convention="psnr_senm_quantise", data="sidd:/data/sidd")[0] == "match"
    ssim = printed().cell("table3", "nafnet", "val-ssim")
    assert ssim and judged(ssim, [0.961], convention="ssim_3d_float_clamped")[0] == "match"
    assert judged(ssim, [0.961], convention="ssim_2d_valid_rgb")[0] == "not comparable"


def test_doubtful_conventions_say_so() -> None:
    fid = printed().cell("table1", "senm-10", "fid")
    assert fid and "no FID code was published" in judged(fid, [17.25])[1]
    assert judged(fid, [17.25], convention="fd_random")[0] == "not comparable"


def test_nothing_to_compare(cell: PrintedCell) -> None:
    assert judged(cell, [])[0] == ""
    assert judged(cell, [float("inf")])[0] == "not comparable"
    arguments = ("psnr_rgb_uint8", "validation", 1280, "paper", "sidd")
    assert verdict([1.0], None, *arguments, None)[0] == "not comparable"


def test_a_whole_table() -> None:
    columns = (
        Column(id="psnr", label="PSNR", metric="psnr_rgb_uint8", split="validation", better="higher"),
        Column(id="extra", label="KLD", metric="kld_neca", split="validation", better="lower"),
    )
    cells = (
        Cell(row="senm-10", column="psnr", state="measured", values=(36.73,), images=1280),
        Cell(row="senm-10", column="extra", state="measured", values=(0.1,), images=1280),
        Cell(row="deflow", column="psnr", state="quoted"),
        Cell(row="c2n", column="psnr", state="not run", reason="left out"),
    )
    rows = tuple(Row(id=name, label=name, filled="trained") for name in ("senm-10", "deflow", "c2n"))
    result = TableResult(
        table="table1", caption="", data="sidd", scale="paper", seeds=(0,), rows=rows, columns=columns, cells=cells
    )
    found = [(c.paper, c.verdict) for c in compare_table(result).cells]
    assert found == [(36.73, "match"), (None, "not comparable"), (33.82, ""), (34.23, "")]


def test_server_scores_are_compared_as_such() -> None:
    column = Column(id="bench-psnr", label="PSNR", metric="psnr_server", split="bench", better="higher")
    cell = Cell(row="senm-10", column="bench-psnr", state="server score", values=(37.93,))
    row = Row(id="senm-10", label="", filled="trained")
    result = TableResult(
        table="table2",
        caption="",
        data="sidd",
        scale="paper",
        seeds=(0,),
        rows=(row,),
        columns=(column,),
        cells=(cell,),
    )
    assert compare_table(result).cells[0].verdict == "match"


def test_a_broken_reference_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is missing"):
        printed(tmp_path / "absent.json")
    broken = json.loads(Reference.model_dump_json(printed()))
    broken["cells"][3]["better"] = "more"
    path = tmp_path / "paper.json"
    path.write_text(json.dumps(broken))
    with pytest.raises(DataError, match=r"cells\.3\.better"):
        printed(path)

"""Tables as text: terminal, Markdown, CSV, LaTeX. Numbers, states and marks that a reader relies on."""

from __future__ import annotations

import csv
import io

import pytest

from benchmarks.core.record import Cell, ClaimResult, Column, Row, TableResult
from benchmarks.report.terminal import number, show
from benchmarks.report.text import comma_separated, latex, markdown

COLUMNS = (
    Column(id="psnr", label="PSNR", metric="psnr_rgb_uint8", split="validation", better="higher", digits=2),
    Column(id="kld", label="KLD", metric="kld_senm_official", split="validation", better="lower"),
)
ROWS = (
    Row(id="a", label="A & B_1", paired="10", filled="trained"),
    Row(id="b", label="B|C", paired="all", filled="quoted"),
    Row(id="real", label="Real", filled="trained"),
)
CELLS = (
    Cell(
        row="a",
        column="psnr",
        state="measured",
        values=(36.7, 36.9),
        mean=36.8,
        spread=0.1,
        images=8,
        paper=36.73,
        verdict="within spread",
    ),
    Cell(row="a", column="kld", state="not run", reason="it failed", paper=0.036),
    Cell(row="b", column="psnr", state="quoted", paper=34.23),
    Cell(row="b", column="kld", state="needs server", reason="send it"),
    Cell(row="real", column="psnr", state="measured", values=(38.0,), mean=38.0, paper=38.34, verdict="differs"),
    Cell(
        row="real",
        column="kld",
        state="measured",
        values=(2e-7,),
        mean=2e-7,
        verdict="not comparable",
        verdict_reason="run at scale smoke",
    ),
)
CLAIM = ClaimResult(id="t1-x", place="table 1", text="A beats B", printed="holds", ours="fails", deciding=("psnr: a",))
RESULT = TableResult(
    table="table1",
    caption="Noise",
    data="embedded",
    scale="smoke",
    seeds=(0, 1),
    rows=ROWS,
    columns=COLUMNS,
    cells=CELLS,
    claims=(CLAIM,),
    deviations=("nf 8 instead of 64",),
    notes=("a note",),
)


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(36.734, 2, "36.73"), (0.0, 3, "0.000"), (2e-7, 3, "2.0e-07"), (0.0006, 3, "0.001")]
)
def test_a_number_never_shows_as_a_false_zero(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    show(RESULT, stream)
    return stream.getvalue()


def test_the_terminal_shows_ours_above_the_paper_s_with_marks_and_reasons(shown: str) -> None:
    assert "36.80±0.10~" in shown and "36.73" in shown and "38.00!" in shown
    assert shown.index("36.80") < shown.index("36.73")
    assert "server" not in shown.split("claims")[0].splitlines()[4], "a quoted row shows the paper's numbers only"
    assert "fails" in shown and "(on the printed cells: holds)" in shown
    assert "nf 8 instead of 64" in shown and "a note" in shown and "a: it failed" in shown
    assert "1 within spread ~, 1 differs !" in shown


def test_no_line_is_longer_than_the_terminal(shown: str) -> None:
    assert max(map(len, shown.splitlines())) <= 80


def test_markdown_keeps_its_cells_apart() -> None:
    text = markdown(RESULT)
    rows = [line for line in text.splitlines() if line.startswith(("| A &", "| B"))]
    assert all(line.replace("\\|", "").count("|") == 6 for line in rows)
    assert "36.80 ± 0.10 (36.73), within spread" in text
    assert "quoted (34.23)" in text and "needs server" in text and "- a: it failed" in text


def test_csv_has_every_cell_in_full_precision() -> None:
    rows = list(csv.DictReader(io.StringIO(comma_separated(RESULT))))
    assert len(rows) == len(CELLS)
    assert rows[0]["values"].split() == ["36.7", "36.9"] and rows[0]["verdict"] == "within spread"
    assert rows[1]["mean"] == "" and rows[1]["reason"] == "it failed"


def test_latex_escapes_and_marks_the_best_of_ours() -> None:
    text = latex(RESULT)
    assert "A \\& B\\_1" in text and "\\toprule" in text
    assert "\\textbf{36.80 $\\pm$ 0.10}" in text, "the real row takes no part in the contest"
    assert "\\textit{34.23}" in text

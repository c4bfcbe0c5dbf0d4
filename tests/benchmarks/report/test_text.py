"""Tables as text: terminal, Markdown, CSV, LaTeX. Numbers, states and marks that a reader relies on."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from benchmarks.core.record import Cell, ClaimResult, Column, Row, TableResult, read
from benchmarks.report.html import page
from benchmarks.report.terminal import number, overview, show, why_empty
from benchmarks.report.text import comma_separated, latex, markdown, write_all
from benchmarks.report.view import EXTRA
from tests.benchmarks.report_cases import result, results

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
    assert "server" not in shown.splitlines()[5], "a quoted row shows the paper's numbers only"
    assert "fails" in shown and "(on the printed cells: holds)" in shown
    assert "a: it failed" in shown
    assert "nf 8 instead of 64" not in shown and "1 note, 1 deviation" in shown.splitlines()[-1]
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


@pytest.fixture(scope="module")
def substituted() -> TableResult:
    """Table 1 with the random features in the place of those that FID needs."""
    made = result("table1", "short", "embedded")
    columns = tuple(c.model_copy(update={"metric": "fd_random", "label": "FD-random"} if c.id == "fid" else {})
                    for c in made.columns)
    return made.model_copy(update={"columns": columns})


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "csv", "html"])
def test_a_printed_fid_in_a_column_of_another_distance_is_marked(substituted: TableResult, form: str) -> None:
    quoted = next(c for c in substituted.cells if c.column == "fid" and c.state == "quoted")
    stream = io.StringIO()
    show(substituted, stream)
    texts = {"terminal": stream.getvalue(), "markdown": markdown(substituted), "latex": latex(substituted),
             "csv": comma_separated(substituted), "html": re.sub("data-printed=.[0-9.]*.", "", page([substituted]))}
    if form == "csv":
        lines = list(csv.DictReader(io.StringIO(texts["csv"])))
        metrics = {line["paper_metric"] for line in lines if line["column"] == "fid" and line["paper"]}
        assert metrics == {"fid"}
    else:
        value = f"{quoted.paper:.2f}"
        assert value in texts[form] and texts[form].count(value) == texts[form].count(f"FID {value}")


def test_a_table_is_about_one_screen_and_its_reading_comes_last(substituted: TableResult) -> None:
    stream = io.StringIO()
    show(substituted, stream, where="results/runs/table1/embedded-short/report.html")
    lines = stream.getvalue().splitlines()
    assert len(lines) <= 36 and max(map(len, lines)) <= 80
    last = max(i for i, line in enumerate(lines) if line.startswith(("undecided", "holds", "fails")))
    assert last > max(i for i, line in enumerate(lines) if "Heteroscedastic" in line)
    assert all(any(claim.id in line for line in lines) for claim in substituted.claims)


def test_no_number_is_broken_over_two_lines() -> None:
    stream = io.StringIO()
    show(result("table2"), stream)
    assert not [line for line in stream.getvalue().splitlines() if line.strip() in ("~", "=", "!")]


def test_the_overview_counts_tables_cells_and_claims_and_names_the_page() -> None:
    stream, every = io.StringIO(), results()
    overview(every, "all.html", stream)
    cells, claims = sum(len(r.cells) for r in every), sum(len(r.claims) for r in every)
    lines = stream.getvalue().splitlines()
    assert lines[0] == f"{len(every)} tables, {cells} cells, {claims} claims" and lines[-1] == "page: all.html"
    assert [line.split()[0] for line in lines[2:-1]] == [r.table for r in every]


def test_the_page_sets_the_best_number_bold_as_latex_does() -> None:
    table = result("table1")
    extra = min(EXTRA, sum(column.extra for column in table.columns))
    assert page([table]).count('class="ours best"') == extra + latex(table).count("textbf") > extra


def test_a_run_writes_every_form_and_claims_only_where_there_are_some(tmp_path: Path) -> None:
    made = write_all(RESULT, tmp_path / "a")
    assert {form: path.name for form, path in made.items()} == {
        "json": "table.json", "md": "table.md", "csv": "table.csv", "tex": "table.tex", "claims": "claims.csv"}
    assert all(path.parent == tmp_path / "a" and path.read_text() for path in made.values())
    assert read(made["json"], TableResult) == RESULT
    assert made["claims"].read_text().splitlines()[1].startswith("t1-x,")
    bare = write_all(RESULT.model_copy(update={"claims": ()}), tmp_path / "b")
    assert "claims" not in bare and len(list((tmp_path / "b").iterdir())) == 4


def test_markdown_has_a_section_for_what_there_is_and_none_for_what_there_is_not() -> None:
    text = markdown(RESULT)
    for title, line in (("Claims", "| A beats B (table 1) | fails | holds | psnr: a |"), ("Notes", "- a note"),
                        ("Not as in the paper", "- nf 8 instead of 64"), ("Empty cells", "- a: it failed")):
        assert f"## {title}" in text and line in text
    assert "- b: send it" in text
    empty = markdown(RESULT.model_copy(update={"claims": (), "notes": (), "deviations": (), "cells": ()}))
    assert "##" not in empty


def test_a_reason_that_several_rows_share_is_given_once() -> None:
    cells = tuple(Cell(row=row, column="kld", state="not run", reason=reason)
                  for row, reason in (("a", "no weights"), ("b", "no weights"), ("real", "it failed")))
    shared = RESULT.model_copy(update={"cells": cells})
    assert why_empty(shared, ("not run",)) == ["a, b: no weights", "real: it failed"]
    assert why_empty(shared, ("needs server",)) == []

"""Foreign text in reports: formulas, TeX, Markdown, and what a terminal would obey."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.core.record import TableResult
from benchmarks.report import escape
from benchmarks.report.terminal import show
from benchmarks.report.text import claims_csv, comma_separated, latex, markdown
from tests.benchmarks.report.test_text import RESULT

HOSTILE = "=cmd|'/C calc'!A0 ^^5cinput^^7b~ \\x <script>x</script> \x1b[31m\u202e`a`"


@pytest.fixture
def hostile() -> TableResult:
    row = RESULT.rows[0].model_copy(update={"label": HOSTILE})
    claim = RESULT.claims[0].model_copy(update={"ours": "undecided", "reason": HOSTILE, "deciding": (HOSTILE,)})
    return RESULT.model_copy(update={"rows": (row, *RESULT.rows[1:]), "claims": (claim,), "notes": (HOSTILE,)})


def test_no_cell_of_a_csv_begins_a_formula(hostile: TableResult) -> None:
    for text in (comma_separated(hostile), claims_csv(hostile)):
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert any("cmd" in cell for cell in cells)
        assert not any(cell.startswith(escape.FORMULA) for cell in cells)


def test_tex_prints_every_mark_and_runs_none(hostile: TableResult) -> None:
    text = latex(hostile)
    body = text.replace("\\textasciicircum{}", "").replace("\\textasciitilde{}", "").split("\\end{tabular}")[0]
    assert "^" not in body and "~" not in body and "\\textbackslash{}x" in text
    assert all(line.startswith("%") for line in text.split("\\end{tabular}\n")[1].splitlines())


def test_markdown_has_no_markup_of_others(hostile: TableResult) -> None:
    text = markdown(hostile)
    assert "<script" not in text.replace("\\<", "") and "\\`a\\`" in text and "\x1b" not in text


def test_the_terminal_gets_no_control_characters(hostile: TableResult) -> None:
    stream = io.StringIO()
    show(hostile, stream)
    assert not set(stream.getvalue()) & {"\x1b", "\u202e", "\x07"}


@pytest.mark.parametrize("form", [markdown, latex, claims_csv])
def test_why_a_claim_is_undecided_stands_in_every_form(form: object) -> None:
    claim = RESULT.claims[0].model_copy(update={"ours": "undecided", "reason": "one replicate decides nothing"})
    result = RESULT.model_copy(update={"claims": (claim,)})
    assert "one replicate decides nothing" in form(result)  # type: ignore[operator]
    stream = io.StringIO()
    show(result, stream)
    assert "one replicate decides nothing" in " ".join(stream.getvalue().split())


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_any_text_is_made_harmless(text: str) -> None:
    assert escape.plain(escape.plain(text)) == escape.plain(text) and len(escape.plain(text).splitlines()) <= 1
    assert not escape.csv_cell(text).startswith(escape.FORMULA)
    assert "^" not in escape.latex(text) and "~" not in escape.latex(text)

"""Claims on the printed cells, on measured cells within a spread, and with cells that are missing or substituted."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from benchmarks.core.record import Cell, ClaimResult, Column, Row, TableResult
from benchmarks.judging.claims import CLAIMS, claims_of, judge, judge_result
from benchmarks.judging.compare import printed
from benchmarks.judging.predicates import Comparison, better, corrected, decide, direction

Cells = dict[tuple[str, str], list[float]]
PRINTED_FAILS = {"t7-more-unpaired"}
PRINTED_UNDECIDED = {"f7-lambda"}
KNOWN = [
    *("t1-unpaired", "t1-paired-1pct", "t1-paired-full", "t1-supervised-10", "t1-monotone", "t1-real-gap"),
    *("t2-augment-10", "t2-augment-96", "t2-augment-960", "t2-selfsup", "t2-near-full", "t2-diminishing"),
    *("t3-finetune", "t3-best", "t4-esrgan", "t5-esrgan", "t4-unpaired", "t5-unpaired", "t6-recon"),
    *("t7-more-unpaired", "t7-any-unpaired", "t7-three-domains", "t7-both-needed", "f7-lambda", "abstract-sidd"),
]


def paper(table: str) -> Cells:
    return {place: [cell.value] for place, cell in printed().table(table).items()}


def one(claim: str, cells: Mapping[tuple[str, str], list[float]], **more: object) -> ClaimResult:
    chosen = [c for c in CLAIMS if c.id == claim]
    cells = {place: values * 3 if len(values) == 1 else values for place, values in cells.items()}
    named = {key: {chosen[0].table: value} for key, value in more.items()}
    return judge({chosen[0].table: cells}, claims=chosen, **named)[0]  # type: ignore[arg-type]


def test_all_claims_are_there_once() -> None:
    assert sorted(claim.id for claim in CLAIMS) == sorted(KNOWN)
    assert sum(len(claims_of(name)) for name in {claim.table for claim in CLAIMS}) == len(CLAIMS)


@pytest.mark.parametrize("claim", KNOWN)
def test_on_the_printed_cells(claim: str) -> None:
    expected = "fails" if claim in PRINTED_FAILS else "undecided" if claim in PRINTED_UNDECIDED else "holds"
    table = next(c.table for c in CLAIMS if c.id == claim)
    result = one(claim, paper(table))
    assert result.printed == result.ours == expected
    assert result.deciding or claim in PRINTED_UNDECIDED


def test_what_fails_in_the_paper_is_named() -> None:
    result = one("t7-more-unpaired", paper("table7"))
    assert len(result.deciding) == 3
    words = " ".join(result.deciding)
    assert "fid: 10-960-960 17.54 against 10-96-96 17.52" in words
    assert "kld: 10-all-all 0.036 against 10-960-960 0.036" in words
    assert "psnr: 10-all-all 36.73 against 10-960-960 36.78" in words
    assert "on the printed cells it fails" in result.reason


def test_either_domain_alone_is_enough_to_hurt() -> None:
    cells = paper("table7")
    assert one("t7-both-needed", cells).deciding == ("fid: 10-0-0 19.79 against 10-all-0 22.98",)
    cells["10-all-0", "fid"] = [19.0]
    assert one("t7-both-needed", cells).ours == "fails"
    del cells["10-0-all", "fid"]
    assert one("t7-both-needed", cells).ours == "undecided"


@pytest.mark.parametrize("claim", sorted(set(KNOWN) - PRINTED_FAILS - PRINTED_UNDECIDED - {"t7-both-needed"}))
def test_every_comparison_counts(claim: str) -> None:
    found = next(c for c in CLAIMS if c.id == claim)
    cells = paper(found.table)
    for comparison in found.over({row for row, _ in cells}):
        good = comparison.terms[0][1]
        worse = {
            **cells,
            (good, comparison.column): [cells[good, comparison.column][0] - direction(comparison.column) * 99],
        }
        result = one(claim, worse)
        assert result.ours == "fails" and any(comparison.column in words for words in result.deciding)


def test_directions() -> None:
    assert [direction(c) for c in ("fid", "kld", "kld-residual", "lpips")] == [-1] * 4
    assert [direction(c) for c in ("psnr", "ssim", "val-psnr", "dnd-ssim")] == [1] * 4


@pytest.mark.parametrize(
    ("a", "b", "state"),
    [
        ([3.0], [2.0], "undecided"),
        ([2.0] * 3, [2.0] * 3, "fails"),
        ([3.0, 3.1, 3.2], [1.0, 1.1, 1.2], "holds"),
        ([1.0, 3.0], [1.5, 2.0], "undecided"),
        ([1.0, 1.1, 1.2], [3.0, 3.1, 3.2], "fails"),
        ([3.0, 3.4], [2.5], "undecided"),
        ([3.0, 3.2, 3.4], [2.8, 3.0, 3.2], "undecided"),
        ([float("inf")] * 3, [2.0] * 3, "undecided"),
    ],
)
def test_decisions_within_the_spread(a: list[float], b: list[float], state: str) -> None:
    (comparison,) = better("a", "b", ("psnr",))
    found = decide(comparison, {("a", "psnr"): a, ("b", "psnr"): b})
    assert found and found.state == state


def test_allowance_includes_its_bound() -> None:
    (comparison,) = better("a", "b", ("psnr",), allowance=0.5)
    states = [decide(comparison, {("a", "psnr"): [v], ("b", "psnr"): [3.0]}, printed=True) for v in (2.5, 2.49)]
    assert [found.state for found in states if found] == ["holds", "fails"]


def test_coefficients_of_one_row_add_up() -> None:
    comparison = Comparison("psnr", ((1, "a"), (-1, "b"), (-1, "b"), (1, "c")))
    values = {("a", "psnr"): [5.0] * 3, ("b", "psnr"): [3.19, 3.2, 3.21], ("c", "psnr"): [2.0] * 3}
    found = decide(comparison, values)
    assert found and found.margin == pytest.approx(0.6) and found.state == "holds"
    assert "standard error 0.012" in found.text  # twice that of b, not root two of it


def test_the_chance_is_that_of_welchs_test() -> None:
    from scipy.stats import ttest_ind

    a, b = [3.1, 3.4, 3.2], [2.9, 3.0, 2.4, 3.1]
    (comparison,) = better("a", "b", ("psnr",))
    found = decide(comparison, {("a", "psnr"): a, ("b", "psnr"): b})
    assert found and found.chance == pytest.approx(ttest_ind(a, b, equal_var=False).pvalue)


def test_many_comparisons_do_not_decide_by_luck() -> None:
    a, b = [3.0, 3.1, 3.2], [2.7, 2.8, 2.95]
    (comparison,) = better("a", "b", ("psnr",))
    found = decide(comparison, {("a", "psnr"): a, ("b", "psnr"): b})
    assert found and found.state == "holds" and 0.01 < found.chance < 0.05
    assert [one.state for one in corrected([found] * 9)] == ["undecided"] * 9
    assert [one.state for one in corrected([found])] == ["holds"]


def test_replicates_can_leave_a_claim_open() -> None:
    cells = paper("table6")
    cells["with-recon-x", "kld"] = [0.03, 0.11]
    result = one("t6-recon", cells)
    assert result.ours == "undecided" and result.deciding[0].startswith("kld")
    cells["with-recon-x", "kld"] = [0.03]
    chosen = [claim for claim in CLAIMS if claim.id == "t6-recon"]
    (lone,) = judge({"table6": cells}, claims=chosen)
    assert lone.ours == "undecided" and "one replicate" in lone.reason


def test_missing_cells_leave_a_claim_open_and_say_why() -> None:
    cells = {place: v for place, v in paper("table1").items() if place[0] in ("senm-10", "c2n")}
    quoted = {(row, column): "quoted" for row in ("deflow", "lud-vae") for column in ("fid", "kld", "psnr")}
    result = one("t1-unpaired", cells, reasons=quoted)
    assert result.ours == "undecided"
    assert "quoted: deflow fid" in result.reason and "3 of 9 comparisons can be made, of which 3 hold" in result.reason
    cells["c2n", "fid"] = [1.0]
    assert one("t1-unpaired", cells, reasons=quoted).ours == "fails"


def test_tables_that_were_not_run() -> None:
    results = judge({})
    assert {result.ours for result in results} == {"undecided"} and len(results) == len(CLAIMS)
    assert "table1 has no measured cells" in results[0].reason


def test_a_substitute_column_is_named() -> None:
    cells = {(row, "fd_random" if column == "fid" else column): v for (row, column), v in paper("table6").items()}
    renamed = one("t6-recon", cells)
    assert renamed.ours == "holds" and "judged on fd_random in place of fid" in renamed.reason
    inside = one("t6-recon", paper("table6"), metrics={"fid": "fd_random"})
    assert inside.ours == "holds" and "the fid column holds fd_random" in inside.reason
    assert "fd_random" not in one("t1-real-gap", paper("table1"), metrics={"fid": "fd_random"}).reason


def figure(best: tuple[str, ...]) -> Cells:
    points = ("1e-9", "1e-8", "1e-7", "1e-6", "1e-5", "1e-3")
    good = {"fid": 10.0, "kld": 0.03, "psnr": 37.0}
    bad = {"fid": 20.0, "kld": 0.05, "psnr": 35.0}
    return {(f"lambda-{p}", c): [(good if p in best else bad)[c]] for p in points for c in good}


def test_lambda() -> None:
    assert one("f7-lambda", figure(("1e-7", "1e-6"))).ours == "holds"
    assert one("f7-lambda", figure(("1e-7", "1e-6", "1e-5"))).ours == "fails"
    assert one("f7-lambda", figure(("1e-7",))).ours == "fails"
    others = {("lambda-x", "fid"): [1.0], ("lambda-1e-2", "fid"): [1.0]}
    assert one("f7-lambda", figure(("1e-7", "1e-6")) | others).ours == "holds", "a user's row is no point of the figure"
    few = {place: v for place, v in figure(("1e-7",)).items() if place[0] == "lambda-1e-7"}
    assert one("f7-lambda", few).ours == "undecided"


def test_from_a_table_as_run() -> None:
    columns = tuple(
        Column(id=name, label=name, metric=metric, split="validation", better="lower")
        for name, metric in (("fid", "fd_random"), ("kld", "kld_senm_official"), ("psnr", "psnr_rgb_uint8"))
    )
    cells = [
        Cell(row=row, column=column, state="measured", values=tuple(value) * 3, images=8)
        for (row, column), value in paper("table6").items()
    ]
    result = TableResult(
        table="table6", caption="", data="embedded", scale="short", seeds=(0,), columns=columns, cells=tuple(cells),
        rows=tuple(Row(id=r, label=r, filled="trained") for r in ("with-recon-x", "without-recon-x")),
    )  # fmt: skip
    (claim,) = judge_result(result)
    assert claim.ours == "holds" and "the fid column holds fd_random" in claim.reason
    cells[0] = cells[0].model_copy(update={"state": "quoted"})
    (claim,) = judge_result(result.model_copy(update={"cells": tuple(cells)}))
    assert claim.ours == "undecided" and f"quoted: {cells[0].row} {cells[0].column}" in claim.reason

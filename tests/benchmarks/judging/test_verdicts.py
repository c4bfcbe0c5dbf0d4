"""What a judged claim says, word by word: why it is open, how many comparisons hold, and which cells decide it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from benchmarks.judging.predicates import Comparison, better, shrinking, some
from benchmarks.judging.verdicts import Claim, Judged, judge_cells

METRICS = {"psnr": "psnr_rgb_uint8", "kld": "kld_senm_official"}
NEAR, FAR = [30.0, 30.2, 29.8], [20.0, 20.1, 19.9]


def claim(*comparisons: Comparison) -> Claim:
    return Claim("t", "table9", "here", "a sentence", comparisons)


def judged(comparisons: tuple[Comparison, ...], values: Mapping[tuple[str, str], list[float]],
           reasons: Mapping[tuple[str, str], str] | None = None) -> Judged:
    return judge_cells(claim(*comparisons), values, reasons or {}, METRICS)


def test_a_decided_claim_names_its_closest_cells_and_says_nothing_more() -> None:
    values = {("a", "psnr"): NEAR, ("b", "psnr"): FAR, ("c", "psnr"): [25.0, 25.1, 24.9]}
    found = judged((*better("a", "b", ["psnr"]), *better("a", "c", ["psnr"])), values)
    assert (found.state, found.notes, found.lone) == ("holds", (), False)
    assert found.deciding == ("psnr: a 30 against c 25 (standard error 0.13)",)


def test_a_claim_that_fails_names_every_cell_that_fails() -> None:
    values = {("a", "psnr"): FAR, ("b", "psnr"): NEAR, ("c", "psnr"): NEAR, ("d", "psnr"): [10.0, 10.1, 9.9]}
    found = judged(tuple(one for other in "bcd" for one in better("a", other, ["psnr"])), values)
    assert found.state == "fails" and found.notes == ()
    assert [text.split(" (")[0] for text in found.deciding] == ["psnr: a 20 against b 30", "psnr: a 20 against c 30"]


def test_missing_cells_come_first_grouped_by_reason_and_counted() -> None:
    others = [f"r{i}" for i in range(9)]
    values = {("a", "psnr"): NEAR, ("r0", "psnr"): FAR}
    reasons = {(name, "psnr"): "quoted" for name in others}
    found = judged(tuple(one for other in others for one in better("a", other, ["psnr"])), values, reasons)
    assert found.state == "undecided"
    assert found.notes == ("quoted: r1 psnr, r2 psnr, r3 psnr, r4 psnr and 4 more",
                           "1 of 9 comparisons can be made, of which 1 hold")
    few = judged(tuple(one for other in others[:5] for one in better("a", other, ["psnr"])), values, reasons)
    assert few.notes[0] == "quoted: r1 psnr, r2 psnr, r3 psnr, r4 psnr"
    assert few.deciding == ("psnr: a 30 against r0 20 (standard error 0.13)",), "what could be compared is shown"


def test_missing_cells_of_a_claim_that_fails_anyway_are_not_its_reason() -> None:
    values = {("a", "psnr"): FAR, ("b", "psnr"): NEAR}
    found = judged((*better("a", "b", ["psnr"]), *better("a", "c", ["psnr"])), values)
    assert found.state == "fails" and found.notes == ()


def test_differences_within_the_spread_are_counted() -> None:
    wide = [10.0, 30.0, 50.0]
    values = {("a", "psnr"): NEAR, ("b", "psnr"): FAR, ("c", "psnr"): wide}
    found = judged((*better("a", "b", ["psnr"]), *better("a", "c", ["psnr"])), values)
    assert found.state == "undecided" and not found.lone
    assert found.notes == ("1 of 2 differences may be chance at 5 % (Welch's test, Holm's correction)",)
    assert [text.split(" (")[0] for text in found.deciding] == ["psnr: a 30 against c 30"]


def test_every_open_difference_is_named() -> None:
    wide = [10.0, 30.0, 50.0]
    found = judged((*better("a", "b", ["psnr"]), *better("a", "c", ["psnr"])),
                   {("a", "psnr"): NEAR, ("b", "psnr"): wide, ("c", "psnr"): [w + 1 for w in wide]})
    assert found.notes[0].startswith("2 of 2 differences")
    assert [text.split(" (")[0] for text in found.deciding] == ["psnr: a 30 against b 30", "psnr: a 30 against c 31"]


def test_of_a_claim_that_one_cell_can_fulfil_those_that_hold_are_counted() -> None:
    open_ = Claim("t", "table9", "here", "some one", (*better("a", "b", ["psnr"]), *better("a", "c", ["psnr"])), some)
    found = judge_cells(open_, {("a", "psnr"): FAR, ("b", "psnr"): NEAR}, {}, METRICS)
    assert found.state == "undecided" and found.notes[1] == "1 of 2 comparisons can be made, of which 0 hold"


def test_one_replicate_is_no_chance_but_no_spread() -> None:
    found = judged(better("a", "b", ["psnr"]), {("a", "psnr"): [30.0], ("b", "psnr"): [20.0]})
    assert found.state == "undecided" and found.lone and found.notes == ()


def test_no_rows_and_no_cells_are_told_apart() -> None:
    assert judged((), {("a", "psnr"): NEAR}).notes == ("there are no rows on both sides of the comparison",)
    nothing = judged(better("a", "b", ["psnr"]), {})
    assert nothing.notes == ("table9 has no measured cells",) and nothing.state == "undecided"


@pytest.mark.parametrize(("small", "state"), [(1.0, "holds"), (4.0, "undecided"), (9.0, "fails")])
def test_a_gain_that_shrinks_is_a_sum_of_four_cells(small: float, state: str) -> None:
    """The gain of 4 with few pairs against one of `small` with many."""
    cells = {"few-more": 24.0, "few": 20.0, "many-more": 30.0 + small, "many": 30.0}
    values = {(row, "psnr"): [value - 0.1, value, value + 0.1] for row, value in cells.items()}
    found = judged(shrinking((("few-more", "few"), ("many-more", "many")), ["psnr"]), values)
    assert found.state == state
    assert found.deciding[0].startswith(f"psnr: few-more 24 - few 20 - many-more {30 + small:.4g} + many 30")

"""Judgements without any difference: false decisions of claims and verdicts stay at 5 %, whatever the replicates."""

from __future__ import annotations

import pytest

from ci.false_decisions import REPLICATES, called_different, claim_of, decisions

DRAWS = 400
ALLOWED = 0.05 + 2.6 * (0.05 * 0.95 / DRAWS) ** 0.5
"""5 % and what counting so few draws may add in one of two hundred times."""


@pytest.mark.parametrize("replicates", REPLICATES)
@pytest.mark.parametrize("claim", ["t6-recon", "t1-unpaired"])
def test_equal_systems_are_told_apart_in_one_claim_of_twenty_at_most(claim: str, replicates: int) -> None:
    found = decisions(claim_of(claim), replicates, 0.0, DRAWS)
    assert 1 - found["undecided"] <= ALLOWED
    assert replicates > 1 or found["undecided"] == 1.0


def test_what_is_better_by_four_spreads_is_found_with_five_replicates() -> None:
    assert decisions(claim_of("t1-unpaired"), 5, 4.0, 50)["holds"] > 0.9
    assert decisions(claim_of("t1-unpaired"), 5, -4.0, 50)["fails"] > 0.9


@pytest.mark.parametrize("replicates", REPLICATES)
def test_one_more_run_of_the_same_law_differs_in_one_of_twenty(replicates: int) -> None:
    share = called_different(replicates, 1000)
    assert share == 0 if replicates == 1 else 0.03 < share < 0.07

"""How often claims and verdicts decide: `python -m ci.false_decisions` draws normal replicates and judges them.

Without a difference every decision is false, and at most 5 % of claims may have one; with a difference the share that
holds is the power. The row of docs/trust.md comes from here.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np

from benchmarks.judging.claims import CLAIMS
from benchmarks.judging.predicates import direction
from benchmarks.judging.verdicts import Claim, judge_cells
from senm.support.seeding import rng

REPLICATES = (1, 2, 3, 5, 10)
SHOWN = ("t6-recon", "t1-unpaired", "t2-selfsup")
"""Claims of 3, 9 and 24 comparisons."""


def claim_of(name: str) -> Claim:
    """The claim of this id."""
    return next(claim for claim in CLAIMS if claim.id == name)


def decisions(claim: Claim, replicates: int, shift: float, draws: int) -> dict[str, float]:
    """Shares of 'holds', 'fails' and 'undecided' over draws of independent standard normal cells.

    Args:
        claim: one whose first row is compared with others.
        replicates: in every cell.
        shift: by how many standard deviations of one run the first row is truly better.
        draws: number of judgements.
    """
    comparisons = claim.over(())
    best = comparisons[0].terms[0][1]
    places = sorted({place for one in comparisons for place in one.places})
    random, counts = rng("false-decisions", claim.id, replicates, str(shift)), Counter[str]()
    for _ in range(draws):
        cells = {
            (row, column): (random.normal(direction(column) * shift * (row == best), 1.0, replicates)).tolist()
            for row, column in places
        }
        counts[judge_cells(claim, cells, {}, {}).state] += 1
    return {state: counts[state] / draws for state in ("holds", "fails", "undecided")}


def called_different(replicates: int, draws: int) -> float:
    """How often one more run of the same law is said to differ from the mean of replicates."""
    from benchmarks.judging.compare import PrintedCell, printed, verdict

    random, found = rng("one-more-run", replicates), 0
    like = next(cell for cell in printed().cells if cell.column == "psnr")
    for _ in range(draws):
        values = random.normal(0.0, 1.0, replicates)
        cell = PrintedCell.model_validate({**like.model_dump(), "value": float(random.normal()), "digits": 6})
        spread = float(np.std(values, ddof=1)) if replicates > 1 else None
        metric = printed().conventions[like.convention].accepts[0]
        given = (metric, like.split, like.images, "paper", like.data)
        found += verdict(values.tolist(), spread, *given, cell)[0] == "differs"
    return found / draws


def table(draws: int) -> str:
    """A Markdown table: false decisions of three claims and of verdicts, and the power of the claims, by replicates."""
    head = ["replicates", "false verdicts", *(f"{name}: false" for name in SHOWN)]
    head += [f"{name}: true by {shift} sd" for shift in (2, 4) for name in SHOWN]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for n in REPLICATES:
        null = [1 - decisions(claim_of(name), n, 0.0, draws)["undecided"] for name in SHOWN]
        power = [decisions(claim_of(name), n, shift, draws // 4)["holds"] for shift in (2.0, 4.0) for name in SHOWN]
        shares = [called_different(n, draws), *null, *power]
        lines.append(f"| {n} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m ci.false_decisions", description="How often claims are decided.")
    parser.add_argument("--draws", type=int, default=4000)
    print(table(parser.parse_args(arguments).draws))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Which rows and replicates a run without wishes has: those that can be had now."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.cli.session import REPLICATES, answers_first, ready_replicates
from benchmarks.core.scale import scale
from benchmarks.planning.plan import Planner, TablePlan
from benchmarks.store.store import Store
from benchmarks.tables import table
from tests.benchmarks.planning.test_plan import SMALL


def planned(released: dict[str, str]) -> TablePlan:
    spec = table("table6")
    return Planner(SMALL, scale("smoke"), "fid", released).table(spec, spec.rows[:2], REPLICATES)


def trainings(plan: TablePlan, seed: int) -> dict[str, str]:
    """Identities of the trainings of the first row's replicate, as released."""
    mine = next(row for row in plan.rows if row.seed == seed)
    return {step.identity: "cafe" for step in (mine.fit, mine.network) if step is not None}


def test_replicates_with_released_networks_run_and_others_wait(tmp_path) -> None:
    bare = planned({})
    first = bare.rows[0].row.id
    known = {**trainings(bare, 0)}
    for seed in (0, 1):  # the networks trained on noise of a released model have an identity of their own
        known |= trainings(planned(known), seed)
        known |= trainings(planned(known), seed)
    plan = ready_replicates(planned(known))
    assert [(row.row.id == first, row.seed) for row in plan.rows] == [(True, 0), (True, 1), (False, 0)]
    assert [row.filled for row in plan.rows] == ["released checkpoint", "released checkpoint", "trained"]
    kept = answers_first(plan, Store(tmp_path))
    assert [bool(row.evaluations) for row in kept.rows] == [True, True, False]
    assert kept.rows[2].reason.startswith("not trained yet")


def test_without_released_networks_every_row_has_its_first_replicate() -> None:
    plan = ready_replicates(planned({}))
    assert [row.seed for row in plan.rows] == [0, 0]
    assert ready_replicates(replace(plan, rows=plan.rows[:1])).rows == plan.rows[:1]

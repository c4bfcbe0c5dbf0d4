"""A plan as text: which steps a run makes, which tables share them, what lies in the store already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.running.runner import missing

if TYPE_CHECKING:
    from benchmarks.planning.plan import Plan
    from benchmarks.running.estimate import Estimate
    from benchmarks.store.store import Store

WORDS = {
    "weights": "published networks read",
    "fit": "noise models trained",
    "sample": "sets of noisy images",
    "fit-restorer": "restorers trained",
    "restore": "sets of restored images",
    "external": "folders read",
    "evaluate": "measurements",
    "draws": "measurements over many draws",
}


def plan_lines(plan: Plan, store: Store, estimate: Estimate | None = None, trainings: bool = False) -> list[str]:
    """One line a step: what it does, its state, its estimated time, the tables that use it; then the totals.

    Args:
        trainings: list the trainings only.
    """
    steps, users = plan.steps(), plan.users()
    todo = {step.key for step in missing(plan, store)}
    lines = []
    for step in steps:
        if trainings and step.kind not in ("fit", "fit-restorer"):
            continue
        state = "to do" if step.key in todo else "stored" if store.has(step.key) else "not needed"
        if step.released and step.key in todo:
            state = "released"
        time = f" {estimate.words(step):>9}" if estimate else ""
        lines.append(f"  {state:10}{time}  {step.label}  [{', '.join(users[step.key])}]")
    shared = sum(len(users[step.key]) > 1 for step in steps)
    kinds = [f"{sum(s.kind == kind and not s.released for s in steps)} {word}" for kind, word in WORDS.items()]
    kinds.insert(0, f"{sum(bool(s.released) for s in steps)} released networks")
    kinds = [text for text in kinds if not text.startswith("0 ")]
    without = sum(len(table.steps()) for table in plan.tables)
    done = sum(bool(s.released) for s in steps if s.key in todo)
    total = f"plan: {len(steps)} steps ({', '.join(kinds)}); {len(todo) - done} to do"
    if len(plan.tables) > 1:
        total += f"; {shared} shared between tables ({without} without sharing)"
    return [*lines, total]

"""`--discard`: synthetic images go once the restorer that learned from them is stored, and nothing else waits for them.

At paper scale they are nearly all of a table's disk space. A row that is asked for again later makes them anew, the
same to the bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.running.runner import missing

if TYPE_CHECKING:
    from benchmarks.core.step import Step
    from benchmarks.planning.plan import Plan
    from benchmarks.store.store import Store


def discard(step: Step, plan: Plan, store: Store) -> int:
    """Remove the synthetic images that a finished step learned from, if no step still to do reads them.

    Returns:
        The bytes that were freed.
    """
    images = step.inputs.get("synthetic")
    if step.kind != "fit-restorer" or step.released or images is None or not store.has(step.key):
        return 0
    waiting = {each.key for other in missing(plan, store) for each in other.inputs.values()}
    return 0 if images.key in waiting else store.remove(images.key)

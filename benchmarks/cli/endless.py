"""Runs that could not end are refused before they start, with the hours or the memory that they would take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from benchmarks.core.options import Options
from benchmarks.core.units import counted
from senm.support.errors import MachineError, UsageError

if TYPE_CHECKING:
    from benchmarks.core.step import Step
    from benchmarks.planning.plan import Plan
    from benchmarks.running.estimate import Estimate
    from benchmarks.store.store import Store

TRAININGS = ("fit", "fit-restorer")


def refuse_endless(options: Options, foreseen: Callable[[], tuple[Plan, Store]]) -> None:
    """Refuse the paper's trainings on a CPU or on the embedded photographs, unless ``--yes`` was given.

    A run without trainings (published weights, folders of images) goes on, and so does one on a cluster with data.

    Args:
        options: of the run.
        foreseen: makes the plan without preparing anything; asked only where it matters.

    Raises:
        UsageError: the refusal, with the hours by `plan`'s estimate.
    """
    if options.scale != "paper" or options.yes:
        return
    cpu = options.device == "cpu" and options.on == "local"
    embedded = set(options.data) == {"embedded"}
    if not (cpu or embedded):
        return
    from benchmarks.running.estimate import Estimate
    from benchmarks.running.runner import missing

    plan, store = foreseen()
    todo = missing(plan, store)
    trainings = [step for step in todo if step.kind in TRAININGS and not step.released and any(step.cost.values())]
    if not trainings:
        return
    where = " and ".join(["the embedded photographs"] * embedded + ["a CPU"] * cpu)
    raise UsageError(
        f"--scale paper on {where} has {counted(len(trainings), 'network')} to train: "
        f"{_hours(Estimate.load(options.device, options.scale), todo, cpu)}",
        "the paper's data and a GPU: --data sidd:DIR --device cuda",
        "leave --scale paper out, or add --yes to start all the same",
    )


def refuse_too_large(options: Options, todo: Iterable[Step], estimate: Estimate) -> None:
    """Refuse steps that took more memory where they were measured than this machine has, unless ``--yes`` was given.

    Nothing is said of a cluster, whose nodes ask for memory by ``--resources``, nor of steps that were not measured,
    nor of a GPU's steps, whose memory is another one.

    Raises:
        MachineError: the largest of these steps, what it took and what there is.
    """
    from senm.support.memory import allowed_memory

    if options.yes or options.on != "local" or options.device != "cpu" or not estimate.machine.endswith("-cpu"):
        return
    most, label = max(((estimate.memory_mib(step) / 1024, step.label) for step in todo), default=(0.0, ""))
    limit = allowed_memory() / 2**30
    if most > limit:
        raise MachineError(
            f"{label!r} took {most:.1f} GiB of memory where it was measured, and this machine allows {limit:.1f} GiB",
            "a machine with more memory, or a smaller --scale", "leave its row out with --rows, or add --yes to try",
        )


def _hours(estimate: Estimate, todo: Iterable[Step], cpu: bool) -> str:
    """The time in words; speeds at paper scale are those of GPUs."""
    times = [estimate.seconds(step) for step in todo]
    unknown = sum(time is None for time in times)
    if not estimate.machine or unknown == len(times):
        return "no speed was measured yet, but the paper trains each for days on a GPU"
    hours = sum(time for time in times if time is not None) / 3600
    more = f", and {counted(unknown, 'step')} of unknown speed" if unknown else ""
    slower = ", and a CPU is many times slower" if cpu and not estimate.machine.endswith("-cpu") else ""
    return f"{hours:,.0f} hours by the speeds of {estimate.machine}{more}{slower}"

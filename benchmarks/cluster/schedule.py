"""How long a plan takes on a number of machines: the longest path, the sum, and a list schedule between the two."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.cluster.graph import Graph
from benchmarks.cluster.resources import Capacity, Needs, Resources, parse
from benchmarks.core.units import counted
from senm.support.progress import duration

if TYPE_CHECKING:
    from benchmarks.core.options import Options
    from benchmarks.planning.plan import Plan
    from benchmarks.running.estimate import Estimate
    from benchmarks.store.store import Store


class Forecast(NamedTuple):
    """Seconds: `total` of all steps one after the other, `critical` of the longest path, `wall` on the machines."""

    total: float
    critical: float
    wall: float


class Room:
    """What is free on each node."""

    def __init__(self, nodes: Sequence[Capacity]) -> None:
        self.nodes = list(nodes)
        self.free = [[node.gpu, node.cpu, node.memory] for node in nodes]

    def place(self, needs: Needs) -> int | None:
        """Take what a step needs on the first node that has it; its number, or None."""
        wanted = (needs.gpu, needs.cpu, needs.memory)
        for number, free in enumerate(self.free):
            if all(has + 1e-9 >= asks for has, asks in zip(free, wanted, strict=True)):
                self.free[number] = [has - asks for has, asks in zip(free, wanted, strict=True)]
                return number
        return None

    def give_back(self, number: int, needs: Needs) -> None:
        """Free what a step held."""
        wanted = (needs.gpu, needs.cpu, needs.memory)
        self.free[number] = [has + asks for has, asks in zip(self.free[number], wanted, strict=True)]


def forecast(graph: Graph, resources: Resources, nodes: Sequence[Capacity]) -> Forecast:
    """Play the schedule with the estimated times. The graph is used up; give it a fresh one.

    Raises:
        MachineError: a step fits none of the nodes.
    """
    resources.refuse(graph.steps.values(), nodes)
    room, now = Room(nodes), 0.0
    ends: list[tuple[float, str, int]] = []
    placed: list[int] = []

    def fits(step: object) -> bool:
        number = room.place(resources.of(step))  # type: ignore[arg-type]
        if number is not None:
            placed.append(number)
        return number is not None

    while not graph.over:
        while (step := graph.take(fits)) is not None:
            heapq.heappush(ends, (now + graph.seconds[step.key], step.key, placed.pop()))
        now, key, number = heapq.heappop(ends)
        room.give_back(number, resources.of(graph.steps[key]))
        graph.finish(key)
    return Forecast(sum(graph.seconds.values()), graph.critical, now)


def forecast_of(
    plan: Plan, store: Store, estimate: Estimate, options: Options, nodes: int, gpus: int, cpus: int, memory: int
) -> str:
    """What `plan --nodes` says: the time of the missing steps on so many equal machines.

    Raises:
        MachineError: a step fits none of them; it is named, with what it asks for.
    """
    from benchmarks.running.runner import missing

    steps = missing(plan, store)
    times = {step.key: estimate.seconds(step) for step in steps}
    machines = [Capacity(name=f"node {i}", gpu=gpus, cpu=cpus, memory=memory) for i in range(nodes)]
    device = "cuda" if gpus else options.device
    resources = Resources(device, options.scale, parse(options.resources))
    found = forecast(Graph(steps, lambda step: times[step.key] or 0.0), resources, machines)
    said = sentence(found, machines, sum(time is None for time in times.values()))
    slow = gpus and not estimate.about.get("gpu")
    return said + ("; at the speeds of a CPU, for no GPU has been measured" if slow else "")


def sentence(found: Forecast, nodes: Sequence[Capacity], unknown: int = 0) -> str:
    """A forecast in words."""
    gpus = sum(node.gpu for node in nodes)
    width = f"{counted(len(nodes), 'node')} with {gpus:g} GPUs in all" if gpus else counted(len(nodes), "node")
    text = (
        f"on {width}: {duration(found.wall)}; one after the other {duration(found.total)}, "
        f"the longest path {duration(found.critical)}"
    )
    return text + (f"; {unknown} steps of unknown speed count as no time" if unknown else "")

"""The driver: it alone decides who makes a step. What is lost with a worker or a node is given to another."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.cluster.graph import Graph
from benchmarks.cluster.resources import Capacity, Needs, Resources
from benchmarks.cluster.schedule import Room
from benchmarks.cluster.view import View
from benchmarks.cluster.worker import LIVE, Answer, Gone
from benchmarks.core.step import Step
from benchmarks.running.runner import Outcome, missing
from senm.support.errors import CheckpointError, DataError, MachineError, SenmError, TrainingError

if TYPE_CHECKING:
    from benchmarks.planning.plan import Plan
    from benchmarks.store.store import Store

ROUNDS = 3  # damaged inputs are made again in another round
TICK, LOOK = 1.0, 10.0  # seconds between two looks at progress, at the nodes


class Pool(Protocol):
    """Something that runs steps elsewhere."""

    patience: int

    def nodes(self) -> Sequence[Capacity]:
        """What is there now."""

    def free(self) -> bool:
        """Whether it takes one more step."""

    def submit(self, step: Step, needs: Needs) -> None:
        """Start a step."""

    def wait(self, timeout: float) -> list[tuple[str, Answer | Gone]]:
        """The steps that ended within `timeout` seconds."""

    def stop(self) -> None:
        """End everything that still runs."""


class Driver:
    """Runs the missing steps of a plan on a pool.

    Args:
        store: where artefacts go; all workers see the same folder.
        pool: where steps run.
        resources: what each step asks for.
        seconds: estimated time of a step, for the order and the forecast.
        view: where progress goes.
    """

    def __init__(self, store: Store, pool: Pool, resources: Resources, seconds: Callable[[Step], float],
                 view: View, made: Callable[[Step], object] | None = None) -> None:
        self.store, self.pool, self.resources, self.seconds, self.view = store, pool, resources, seconds, view
        self._told = made
        self.outcome = Outcome()
        self.lost: Counter[str] = Counter()
        self.troubled: set[str] = set()

    def run(self, plan: Plan) -> Outcome:
        """Run every missing step.

        Raises:
            MachineError, UsageError: something that stops the other steps as well.
        """
        started = time.monotonic()
        roots = [step for table in plan.tables for row in table.rows for step in row.evaluations.values()]
        self.outcome.found = list({step.key: None for step in roots if self.store.get(step) is not None})
        live = self.store.root / LIVE
        try:
            for _ in range(ROUNDS):
                todo = [s for s in missing(plan, self.store) if not self.outcome.problem(s)]
                if not todo:
                    break
                self.resources.refuse(todo, self.pool.nodes())
                live.mkdir(parents=True, exist_ok=True)
                self._round(Graph(todo, self.seconds))
        finally:
            self.pool.stop()
            self.view.close()
            shutil.rmtree(live, ignore_errors=True)
        self.outcome.seconds = time.monotonic() - started
        return self.outcome

    def _round(self, graph: Graph) -> None:
        nodes = self.pool.nodes()
        room, places = Room(nodes), dict[str, int | None]()
        looked = ticked = time.monotonic()

        def fits(step: Step) -> bool:
            number = room.place(self.resources.of(step))
            if number is not None:
                places[step.key] = number
            return number is not None

        while not graph.over:
            while self.pool.free() and (step := graph.take(fits)) is not None:
                self.pool.submit(step, self.resources.of(step))
                self.view.started(step, graph)
            for key, answer in self.pool.wait(TICK):
                number = places.pop(key, None)
                if number is not None:
                    room.give_back(number, self.resources.of(graph.steps[key]))
                self._take(graph, key, answer)
            now = time.monotonic()
            if now - looked > LOOK:
                looked, found = now, self.pool.nodes()
                if found != nodes and len(found) != len(nodes):
                    nodes, room = found, Room(found)
                    places = {key: room.place(self.resources.of(graph.steps[key])) for key in graph.running}
            if now - ticked > TICK:
                ticked = now
                self.view.tick(graph, how_far(self.store.root / LIVE, graph.running), len(nodes))

    def _take(self, graph: Graph, key: str, answer: Answer | Gone) -> None:
        step = graph.steps[key]
        if isinstance(answer, Gone):
            self.lost[key] += 1
            if self.lost[key] < self.pool.patience:
                self.view.lost(step, answer.reason)
                graph.again(key)
                return
            found = f"{step.label} lost its worker {self.lost[key]} times: {answer.reason}"
            mend = f"give it more memory: --resources {step.kind}=memory:GIB"
            answer = Answer(key, "", error=MachineError(found, "a worker that lives", mend))
        for note in answer.notes:
            self.view.say(f"{step.label}: {note}")
        if answer.defect:
            raise RuntimeError(f"{step.label} on {answer.node}:\n{answer.defect}")
        if answer.lacking:
            graph.fail(key, DataError(f"an input of {step.label} is damaged"))  # made again in the next round
            self.view.lost(step, "an input was damaged and is made again")
        elif answer.error is not None:
            self._failed(graph, step, answer, answer.error)
        else:
            (self.outcome.made if answer.made else self.outcome.found).append(key)
            graph.finish(key)
            self.view.done(step, answer, graph)
            if answer.made and self._told is not None:
                self._told(step)

    def _failed(self, graph: Graph, step: Step, answer: Answer, error: SenmError) -> None:
        if not isinstance(error, TrainingError | DataError | CheckpointError | MachineError):
            raise error
        if isinstance(error, MachineError):
            self.troubled.add(answer.node)
            nodes = self.pool.nodes()
            if len(nodes) > 1 and answer.node:
                error = MachineError(f"on {answer.node}: {error}")
            if len(self.troubled) >= len(nodes):
                raise error
        self.outcome.failed[step.key] = error
        graph.fail(step.key, error)
        self.view.failed(step, error)


def how_far(folder: Path, keys: set[str]) -> dict[str, dict[str, Any]]:
    """What running steps said last, by key."""
    found: dict[str, dict[str, Any]] = {}
    for key in keys:
        try:
            found[key] = json.loads((folder / key[:32]).read_text())
        except (OSError, ValueError):
            continue
    return found

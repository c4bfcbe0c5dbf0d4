"""Plans of empty steps, and a pool that does them at once and can be told what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from benchmarks.cluster.drive import Driver
from benchmarks.cluster.resources import Capacity, Needs, Resources
from benchmarks.cluster.view import View
from benchmarks.cluster.worker import Answer, Gone
from benchmarks.core.step import Step
from benchmarks.store.store import Store


def chain(number: int, length: int = 3) -> Step:
    """fit -> sample -> evaluate, none of which does anything."""
    step: Step | None = None
    for kind in ("fit", "sample", "restore", "evaluate")[4 - length:]:
        inputs = {"model": step} if step else {}
        step = Step(kind, f"{kind} {number}", {"number": number}, inputs=inputs, sources=())
    assert step is not None
    return step


def plan(*steps: Step) -> Any:
    rows = [SimpleNamespace(evaluations={"noise": step}) for step in steps]
    return SimpleNamespace(tables=[SimpleNamespace(rows=rows)], scale=SimpleNamespace(name="smoke"))


class FakePool:
    """Does steps in this process; `trouble(step, attempt)` may return what becomes of one instead."""

    patience = 3

    def __init__(self, store: Store, width: int = 2, hosts: Sequence[str] = ("one",),
                 trouble: Callable[[Step, int], Any] = lambda step, attempt: None) -> None:
        self.store, self.width, self.hosts, self.trouble = store, width, hosts, trouble
        self.running: list[Step] = []
        self.begun: list[str] = []
        self.widest, self.stopped = 0, False

    def nodes(self) -> list[Capacity]:
        return [Capacity(name=host, cpu=self.width, memory=64) for host in self.hosts]

    def free(self) -> bool:
        return True

    def submit(self, step: Step, needs: Needs) -> None:
        self.running.append(step)
        self.begun.append(step.label)
        self.widest = max(self.widest, len(self.running))

    def wait(self, timeout: float) -> list[tuple[str, Answer | Gone]]:
        step = self.running.pop(0)
        found = self.trouble(step, self.begun.count(step.label))
        if found is None:
            assert all(self.store.get(each) for each in step.inputs.values()), "started before its inputs were there"
            self.store.make(step, lambda folder: (folder / "out").write_text(step.label))
            found = Answer(step.key, self.hosts[0], made=True)
        return [(step.key, found)]

    def stop(self) -> None:
        self.stopped = True


def driver(store: Store, pool: Any, seconds: Callable[[Step], float] = lambda step: 1.0, view: View | None = None,
           resources: Resources | None = None) -> Driver:
    return Driver(store, pool, resources or Resources(), seconds, view or View())

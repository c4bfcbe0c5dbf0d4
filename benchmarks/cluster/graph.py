"""Which step of a plan runs next: those whose inputs are there, the longest remaining path first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from benchmarks.core.step import Step
from senm.support.errors import SenmError

LOOK_AHEAD = 64  # steps that do not fit now and are passed over


class Graph:
    """The missing steps of a plan, and what became of each.

    Args:
        steps: missing steps, inputs first (`benchmarks.running.runner.missing`); inputs that are not among them are
            in the store.
        seconds: estimated time of a step, for the order.
    """

    def __init__(self, steps: Iterable[Step], seconds: Callable[[Step], float]) -> None:
        self.steps = {step.key: step for step in steps}
        self.inputs = {key: self._inputs(step) for key, step in self.steps.items()}
        self.users: dict[str, list[str]] = {key: [] for key in self.steps}
        for key, inputs in self.inputs.items():
            for each in inputs:
                self.users[each].append(key)
        self.seconds = {key: seconds(step) for key, step in self.steps.items()}
        self.path = self._paths()
        self.running: set[str] = set()
        self.done: set[str] = set()
        self.failed: dict[str, SenmError] = {}
        self.skipped: set[str] = set()
        self._left = {key: len(inputs) for key, inputs in self.inputs.items()}
        self._ready: list[tuple[float, int, str]] = []
        self._order = {key: number for number, key in enumerate(self.steps)}
        for key, left in self._left.items():
            if not left:
                self._push(key)

    def _inputs(self, step: Step) -> set[str]:
        return set() if step.released else {each.key for each in step.inputs.values() if each.key in self.steps}

    def _paths(self) -> dict[str, float]:
        """Seconds from the start of a step to the end of the last one that needs it."""
        found: dict[str, float] = {}
        for key in reversed(self.steps):
            found[key] = self.seconds[key] + max((found[user] for user in self.users[key]), default=0.0)
        return found

    def _push(self, key: str) -> None:
        heapq.heappush(self._ready, (-self.path[key], self._order[key], key))

    @property
    def critical(self) -> float:
        """Seconds of the longest path: no number of machines is faster."""
        return max(self.path.values(), default=0.0)

    @property
    def waiting(self) -> int:
        """Steps that are neither running nor finished in any way."""
        return len(self.steps) - len(self.running) - len(self.done) - len(self.failed) - len(self.skipped)

    @property
    def over(self) -> bool:
        """Whether nothing is left to start or to wait for."""
        return not self.running and not self._ready

    def ready(self) -> int:
        """How many steps could start now."""
        return len(self._ready)

    def take(self, fits: Callable[[Step], bool] | None = None) -> Step | None:
        """The next step to start, now counted as running; None where none is ready or fits."""
        found: str | None = None
        aside: list[tuple[float, int, str]] = []
        while self._ready and found is None and len(aside) < LOOK_AHEAD:
            entry = heapq.heappop(self._ready)
            if fits is None or fits(self.steps[entry[2]]):
                found = entry[2]
            else:
                aside.append(entry)
        for entry in aside:
            heapq.heappush(self._ready, entry)
        if found is None:
            return None
        self.running.add(found)
        return self.steps[found]

    def finish(self, key: str) -> None:
        """A step has its artefact: those that waited for it alone can start."""
        self.running.discard(key)
        self.done.add(key)
        for user in self.users[key]:
            self._left[user] -= 1
            if not self._left[user] and user not in self.skipped:
                self._push(user)

    def fail(self, key: str, error: SenmError) -> list[str]:
        """A step cannot be made: the keys of all that need it, which will not be tried."""
        self.running.discard(key)
        self.failed[key] = error
        gone, queue = [], list(self.users[key])
        while queue:
            user = queue.pop()
            if user not in self.skipped and user not in self.failed:
                self.skipped.add(user)
                gone.append(user)
                queue += self.users[user]
        return gone

    def again(self, key: str) -> None:
        """A step was lost with its worker: it can start once more."""
        self.running.discard(key)
        self._push(key)

"""One view of a whole plan: done, running where, waiting, failed, estimate; as lines, live, or as JSON events."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from senm.support.errors import SenmError
from senm.support.progress import duration

if TYPE_CHECKING:
    from benchmarks.cluster.graph import Graph
    from benchmarks.cluster.worker import Answer
    from benchmarks.core.step import Step


class View:
    """Plain lines, one an event, and a summary every `every` seconds.

    Args:
        out: stream; stderr by default.
        every: seconds between summaries.
        clock: seconds, for tests.
    """

    def __init__(self, out: TextIO | None = None, every: float = 30.0,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.out, self.every, self.clock = out or sys.stderr, every, clock
        self.begun = self.last = clock()

    def started(self, step: Step, graph: Graph) -> None:
        """A step was given to a worker."""
        self.say(f"[{len(graph.done) + len(graph.running)}/{len(graph.steps)}] {step.label}")

    def done(self, step: Step, answer: Answer, graph: Graph) -> None:
        """A step has its artefact."""
        if answer.seconds >= 1:
            self.say(f"{step.label}: done in {duration(answer.seconds)} on {answer.node}")

    def failed(self, step: Step, error: SenmError) -> None:
        """A step cannot be made; its rows are left out."""
        self.say(f"{step.label}: {error}")

    def lost(self, step: Step, reason: str) -> None:
        """A step goes to another worker."""
        self.say(f"{step.label}: {reason}; it goes on with another worker from its last checkpoint")

    def tick(self, graph: Graph, live: Mapping[str, Mapping[str, Any]], nodes: int) -> None:
        """Time passed."""
        if self.clock() - self.last >= self.every:
            self.last = self.clock()
            self.say(self.summary(graph, live))

    def summary(self, graph: Graph, live: Mapping[str, Mapping[str, Any]]) -> str:
        """One line on the whole plan."""
        text = (
            f"{len(graph.done)} of {len(graph.steps)} done, {len(graph.running)} running, {graph.waiting} waiting, "
            f"{len(graph.failed)} failed"
        )
        left = self.left(graph)
        running = "; ".join(_where(graph.steps[key].label, live.get(key, {})) for key in sorted(graph.running)[:4])
        text += f", about {duration(left)} left" if left is not None else ""
        return f"{text}: {running}" if running else text

    def left(self, graph: Graph) -> float | None:
        """Seconds left by the share of the estimated work that is done; None while nothing is."""
        total = sum(graph.seconds.values())
        share = sum(graph.seconds[key] for key in graph.done) / total if total else 0.0
        passed = self.clock() - self.begun
        return passed * (1 - share) / share if share > 0 else None

    def say(self, text: str) -> None:
        """Print one line."""
        print(text, file=self.out, flush=True)

    def close(self) -> None:
        """The run is over."""


class JsonView(View):
    """One JSON object a line, for programs: event, step, label, node, seconds, counts."""

    def started(self, step: Step, graph: Graph) -> None:
        self._event("started", step, running=len(graph.running))

    def done(self, step: Step, answer: Answer, graph: Graph) -> None:
        self._event("done", step, node=answer.node, seconds=answer.seconds, done=len(graph.done),
                    steps=len(graph.steps))

    def failed(self, step: Step, error: SenmError) -> None:
        self._event("failed", step, error=str(error))

    def lost(self, step: Step, reason: str) -> None:
        self._event("lost", step, reason=reason)

    def tick(self, graph: Graph, live: Mapping[str, Mapping[str, Any]], nodes: int) -> None:
        if self.clock() - self.last >= self.every:
            self.last = self.clock()
            counts = {"done": len(graph.done), "running": len(graph.running), "waiting": graph.waiting,
                      "failed": len(graph.failed), "nodes": nodes, "seconds_left": self.left(graph)}
            super().say(json.dumps({"event": "progress", **counts}))

    def say(self, text: str) -> None:
        super().say(json.dumps({"event": "note", "text": text}))

    def _event(self, event: str, step: Step, **fields: Any) -> None:
        about = {"event": event, "step": step.key, "kind": step.kind, "label": step.label, **fields}
        super().say(json.dumps(about))


class LiveView(View):
    """A display that is drawn again every second: the summary, and a line for each running step."""

    def __init__(self, out: TextIO | None = None) -> None:
        super().__init__(out)
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self.out, no_color=bool(os.environ.get("NO_COLOR")) or None)
        self.display = Live(console=console, auto_refresh=False, transient=True)
        self.display.start()

    def started(self, step: Step, graph: Graph) -> None:
        """Shown by the next tick."""

    def tick(self, graph: Graph, live: Mapping[str, Mapping[str, Any]], nodes: int) -> None:
        from rich.text import Text

        lines = [self.summary(graph, {}).partition(": ")[0]]
        lines += [f"  {_where(graph.steps[key].label, live.get(key, {}))}" for key in sorted(graph.running)]
        self.display.update(Text("\n".join(lines[:30])), refresh=True)

    def say(self, text: str) -> None:
        self.display.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        self.display.stop()


def _where(label: str, live: Mapping[str, Any]) -> str:
    if not live:
        return label
    total = live.get("total")
    far = f" {100 * int(live['done']) // int(total)}%" if total else ""
    return f"{label}{far} on {live['node']}"


def view(as_json: bool) -> View:
    """What a command line should use."""
    if as_json:
        return JsonView(every=5.0)
    if sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb":
        return LiveView()
    return View()

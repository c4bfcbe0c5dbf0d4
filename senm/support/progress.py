"""Progress of long work: a bar with an estimate on a terminal, one line every few seconds elsewhere.

All output goes to stderr, so that stdout stays clean for tables and file names.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, TextIO


def terminate_as_interrupt() -> None:
    """Let SIGTERM, by which schedulers and container engines stop a program, end it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, n: int = 1, **fields: Any) -> None:
        """Count `n` more units as done; `fields` (a loss, a rate) are shown beside the count."""


class Progress(Protocol):
    """Somewhere to report long work to."""

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Task]:
        """Begin a piece of work of `total` units (None: unknown); it ends with the context."""

    def say(self, text: str) -> None:
        """Print one line without disturbing a bar."""


class _Silent:
    def advance(self, n: int = 1, **fields: Any) -> None:
        """Nothing to show."""


class NullProgress:
    """Reports nothing."""

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        yield _Silent()

    def say(self, text: str) -> None:
        """Nothing to show."""


def duration(seconds: float) -> str:
    """``42s``, ``3m05s`` or ``2h07m``.

    >>> duration(185.2)
    '3m05s'
    """
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def show(fields: dict[str, Any]) -> str:
    """``loss=0.0123 step=5`` from named values."""
    return " ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in fields.items())


class _LineTask:
    def __init__(self, label: str, total: int | None, every: float, out: TextIO, clock: Callable[[], float]) -> None:
        self.label, self.total, self.every, self.out, self.clock = label, total, every, out, clock
        self.done, self.start = 0, clock()
        self.last = self.start
        self.fields: dict[str, Any] = {}

    def advance(self, n: int = 1, **fields: Any) -> None:
        self.done += n
        self.fields.update(fields)
        now = self.clock()
        if now - self.last >= self.every:
            self.last = now
            self._print(now)

    def finish(self) -> None:
        """The closing line, so that a log shows how long the work took."""
        now = self.clock()
        print(f"{self.label}: {self.done} in {duration(now - self.start)} {show(self.fields)}".rstrip(),
              file=self.out, flush=True)

    def _print(self, now: float) -> None:
        of = f"/{self.total} ({100 * self.done // self.total}%)" if self.total else ""
        left = ""
        if self.total and 0 < self.done <= self.total:
            left = f", {duration((now - self.start) * (self.total - self.done) / self.done)} left"
        print(f"{self.label}: {self.done}{of}{left} {show(self.fields)}".rstrip(), file=self.out, flush=True)


class LineProgress:
    """One plain line every `every` seconds and one at the end: for logs and pipes.

    Args:
        every: seconds between lines.
        out: stream; None means stderr at the time of writing.
        clock: seconds, for tests.
    """

    def __init__(self, every: float = 5.0, out: TextIO | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.every, self.out, self.clock = every, out, clock

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        line = _LineTask(label, total, self.every, self.out or sys.stderr, self.clock)
        yield line
        line.finish()

    def say(self, text: str) -> None:
        """Print one line."""
        print(text, file=self.out or sys.stderr, flush=True)


class _RichTask:
    def __init__(self, bar: Any, number: Any) -> None:
        self.bar, self.number = bar, number
        self.fields: dict[str, Any] = {}

    def advance(self, n: int = 1, **fields: Any) -> None:
        self.fields.update(fields)
        self.bar.update(self.number, advance=n, fields=show(self.fields))


class RichProgress:
    """Bars with elapsed time and time left, drawn by rich on stderr; nested tasks share one display."""

    def __init__(self, out: TextIO | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Display

        self.console = Console(file=out or sys.stderr, no_color=bool(os.environ.get("NO_COLOR")) or None)
        self.display = Display(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
            TextColumn("{task.fields[fields]}", markup=False), console=self.console, transient=True)
        self.running = 0

    @contextmanager
    def task(self, label: str, total: int | None = None) -> Iterator[Task]:
        if self.running == 0:
            self.display.start()
        self.running += 1
        number = self.display.add_task(label, total=total, fields="")
        try:
            yield _RichTask(self.display, number)
        finally:
            self.display.remove_task(number)
            self.running -= 1
            if self.running == 0:
                self.display.stop()

    def say(self, text: str) -> None:
        """Print one line above the bars."""
        self.console.print(text, markup=False, highlight=False)


def console_progress(quiet: bool = False) -> Progress:
    """What a command line should use: nothing where `quiet`, bars on a terminal, lines otherwise."""
    if quiet:
        return NullProgress()
    if sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb":
        return RichProgress()
    return LineProgress()


def printable() -> None:
    """Replace signs that a stream cannot show (arrows in a Latin-1 log) by question marks instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")

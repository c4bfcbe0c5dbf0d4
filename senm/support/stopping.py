"""Being asked to stop: noted in the middle of a step, obeyed at its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Stop:
    """Whether somebody has asked for the end."""

    asked: bool = False


@contextmanager
def noted_interrupts(wanted: bool = True) -> Iterator[Stop]:
    """Note Ctrl-C within the block instead of raising; a second one raises `KeyboardInterrupt` at once.

    So does SIGTERM where `senm.support.progress.terminate_as_interrupt` made it the same. Signals that the program
    handles otherwise are left alone, and so are all where this is not the main thread.

    Args:
        wanted: False leaves everything as it is.
    """
    stop = Stop()

    def note(number: int, frame: Any) -> None:
        if stop.asked:
            signal.default_int_handler(number, frame)
        stop.asked = True

    mine = wanted and threading.current_thread() is threading.main_thread()
    signals = [s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) is signal.default_int_handler]
    for number in signals if mine else ():
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number in signals if mine else ():
            signal.signal(number, signal.default_int_handler)

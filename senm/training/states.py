"""The saved states of a training and its log, in one folder.

`state.pt` is written every so many steps: a training that blows up goes back to it, so that its step must not depend on
the clock. `stopped.pt` is written when the training is stopped, and once a minute: it is only gone on from.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from senm.checkpoint import load_state, save_state

STATE, STOPPED, LOG = "state.pt", "stopped.pt", "log.jsonl"
SECONDS = 60.0
"""As much work is lost when the process is killed."""


class States:
    """Writes the states of one training."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.saved = folder, time.monotonic()

    @property
    def due(self) -> bool:
        """Whether more work than that of `SECONDS` would be lost."""
        return time.monotonic() - self.saved >= SECONDS

    def keep(self, state: dict[str, Any]) -> None:
        """Write the state that a training may go back to."""
        save_state(self.folder / STATE, state)
        (self.folder / STOPPED).unlink(missing_ok=True)
        self.saved = time.monotonic()

    def note(self, state: dict[str, Any]) -> None:
        """Write the state that a stopped training goes on from."""
        save_state(self.folder / STOPPED, state)
        self.saved = time.monotonic()


def newest(folder: Path) -> tuple[dict[str, Any] | None, Path]:
    """The state to go on from, and its file; None where there is none that can be read."""
    found = [(state, folder / name) for name in (STATE, STOPPED) if (state := load_state(folder / name)) is not None]
    return max(found, key=lambda each: int(each[0]["step"])) if found else (None, folder / STATE)


def trim_log(path: Path, step: int) -> None:
    """Drop logged lines from `step` on, so that a resumed log has each step once."""
    if path.is_file():
        whole = [line for line in path.read_text().splitlines() if line.endswith("}")]
        lines = [line for line in whole if json.loads(line)["step"] < step]
        path.write_text("".join(line + "\n" for line in lines))

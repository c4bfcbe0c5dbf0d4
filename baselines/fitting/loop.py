"""The engine under every training loop here: resume, atomic full-state checkpoints, log, progress, skipped steps."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from senm.checkpoint import UNREADABLE, save_state
from senm.config import Settings
from senm.support.errors import CheckpointError, MachineError, TrainingError
from senm.support.files import only_one, write_atomically
from senm.training.tensorboard import asked_for

if TYPE_CHECKING:
    from senm.support.progress import Progress

CHECKPOINT_SECONDS = 60.0
STATE = "state.pt"
LOG = "log.jsonl"


class Stateful(Protocol):
    """Anything whose state belongs in a checkpoint: modules, optimisers, guards."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


class Guard:
    """Watches losses and gradient norms; lets single non-finite steps be skipped and stops after too many in a row.

    Args:
        limit: consecutive skipped steps that are tolerated; 0 stops at the first.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.skipped, self.in_a_row = limit, 0, 0

    def allows(self, step: int, terms: Mapping[str, float]) -> bool:
        """True where all terms are finite; otherwise counts a skipped step.

        Raises:
            TrainingError: more than `limit` steps in a row; names the first non-finite term and the step.
        """
        bad = next((name for name, value in terms.items() if not math.isfinite(value)), None)
        if bad is None:
            self.in_a_row = 0
            return True
        self.skipped += 1
        self.in_a_row += 1
        if self.in_a_row > self.limit:
            raise TrainingError(
                f"term {bad!r} is {terms[bad]} at step {step}, the {self.in_a_row}. such step in a row",
                f"at most {self.limit} skipped steps in a row",
                "lower the learning rate or raise skip_limit",
            )
        return False

    def state_dict(self) -> dict[str, Any]:
        return {"skipped": self.skipped, "in_a_row": self.in_a_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.skipped, self.in_a_row = int(state["skipped"]), int(state["in_a_row"])


def identity(settings: Settings, *more: str | int) -> str:
    """A short hash of settings and names: a training resumes only from a checkpoint with the same identity."""
    text = json.dumps([settings.model_dump(mode="json"), *more], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_loop(
    step: Callable[[int], Mapping[str, float]],
    parts: Mapping[str, Stateful],
    *,
    steps: int,
    workdir: Path,
    identity: str,
    progress: Progress,
    label: str,
    log_every: int,
    checkpoint_every: int,
) -> None:
    """Call ``step(0) ... step(steps - 1)``, going on from the checkpoint in `workdir` where there is one.

    Every random draw of a step must be a function of its number, so that a resumed run equals an uninterrupted one
    bit for bit on a CPU. `step` returns the numbers to log; means over each window go to `log.jsonl` and, where the
    environment variable SENM_TENSORBOARD names a folder, to TensorBoard.

    Raises:
        CheckpointError: the checkpoint in `workdir` is broken or belongs to another training.
        MachineError: another process trains in `workdir`, it cannot be written, or GPU memory ran out.
    """
    state_path, log_path = workdir / STATE, workdir / LOG
    with ExitStack() as open_now:
        open_now.enter_context(only_one(workdir / "lock", f"training in {workdir}"))
        done, window = _resume(state_path, parts, identity)
        _cut_log(log_path, done)
        saved_at = time.monotonic()
        task = open_now.enter_context(progress.task(label, steps))
        log = open_now.enter_context(log_path.open("a"))
        events = open_now.enter_context(asked_for(workdir.name))
        if done:
            task.advance(done)
        for number in range(done, steps):
            values = dict(_guarded(step, number))
            for key, value in values.items():
                total, count = window.get(key, (0.0, 0))
                window[key] = (total + value, count + 1)
            last = number + 1 == steps
            if (number + 1) % log_every == 0 or last:
                means = {key: total / count for key, (total, count) in window.items()}
                log.write(json.dumps({"step": number + 1, **means}) + "\n")
                log.flush()
                events.write(number + 1, means)
                window = {}
            due = (number + 1) % checkpoint_every == 0 or time.monotonic() - saved_at > CHECKPOINT_SECONDS
            if due or last:
                _save(state_path, parts, identity, number + 1, window)
                saved_at = time.monotonic()
            task.advance(1, **{key: value for key, value in values.items() if key == "loss"})


def _guarded(step: Callable[[int], Mapping[str, float]], number: int) -> Mapping[str, float]:
    try:
        return step(number)
    except torch.OutOfMemoryError as error:
        raise MachineError(
            f"GPU memory ran out at step {number}", "more memory", "set a smaller batch, crop or micro_batch"
        ) from error


def _save(path: Path, parts: Mapping[str, Stateful], identity: str, done: int, window: dict[str, Any]) -> None:
    content = {
        "identity": identity,
        "step": done,
        "window": window,
        "parts": {name: part.state_dict() for name, part in parts.items()},
    }
    save_state(path, content)


def _resume(path: Path, parts: Mapping[str, Stateful], identity: str) -> tuple[int, dict[str, Any]]:
    if not path.is_file():
        return 0, {}
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["identity"] != identity:
            raise CheckpointError(
                f"{path} belongs to another training (settings, seed or data differ)",
                "a checkpoint of this training",
                f"choose another folder or remove {path.parent}",
            )
        for name, part in parts.items():
            part.load_state_dict(content["parts"][name])
        return int(content["step"]), dict(content["window"])
    except (*UNREADABLE, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} is broken: {reason}", "a full training state", f"remove {path}") from error


def _cut_log(path: Path, done: int) -> None:
    """Drop logged steps after the checkpoint, and a half-written last line."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            break
        if entry.get("step", 0) > done:
            break
        kept.append(line)
    write_atomically(path, lambda temporary: temporary.write_text("".join(line + "\n" for line in kept)))

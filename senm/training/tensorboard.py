"""TensorBoard output of a training: scalars and images by step. Off unless asked for; the library is loaded lazily."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from senm.paired import PairedVAE
from senm.support import seeding
from senm.support.errors import MachineError

if TYPE_CHECKING:
    from senm.training.train import Training

VARIABLE = "SENM_TENSORBOARD"
"""Environment variable that names the folder for event files; unset means no TensorBoard output."""
PREVIEWS = 4
LEVEL = 0.03
"""Noise level of previews where a batch holds no pairs to measure it on, in [0, 1] units."""


class Writer:
    """Writes event files into a folder; `Writer(None)` does nothing, so that a loop needs no condition.

    Args:
        folder: where the event files go, or None.

    Raises:
        MachineError: a folder is given and the tensorboard package is missing.
    """

    def __init__(self, folder: str | Path | None) -> None:
        self._events: Any = None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MachineError(
                "TensorBoard output was asked for, but tensorboard is not installed",
                mend="pip install tensorboard",
            ) from error
        self._events = SummaryWriter(log_dir=str(folder))

    @property
    def on(self) -> bool:
        """Whether anything is written: images need not be made where it is not."""
        return self._events is not None

    def write(
        self, step: int, scalars: Mapping[str, Any] | None = None, images: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Write what is known at a step.

        Args:
            step: number of finished steps.
            scalars: name -> number; nested mappings are joined by a slash, what is no number is passed over.
            images: name -> (H, W, 3) array, uint8 in 0..255 or float in [0, 1].
        """
        if self._events is None:
            return
        for name, value in (scalars or {}).items():
            if isinstance(value, Mapping):
                self.write(step, {f"{name}/{key}": item for key, item in value.items()})
            elif isinstance(value, int | float) and not isinstance(value, bool) and name != "step":
                self._events.add_scalar(name, value if math.isfinite(value) else math.nan, step)
        for name, image in (images or {}).items():
            self._events.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        """Flush and close the event file."""
        if self._events is not None:
            self._events.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def asked_for(run: str, folder: str | Path | None = None) -> Writer:
    """The writer of the training called `run`; it does nothing unless output was asked for.

    Args:
        run: name of this training within the folder.
        folder: where event files go; by default what the environment variable SENM_TENSORBOARD names.

    Raises:
        MachineError: a folder is named and the tensorboard package is missing.
    """
    asked = folder or os.environ.get(VARIABLE)
    return Writer(Path(asked) / run if asked else None)


def observer(run: str, folder: str | Path | None = None) -> Callable[[Training, dict[str, float]], None] | None:
    """What a training calls after each logged step: scalars, and every tenth time what the model makes of four crops.

    Nothing that is observed moves a random stream of the training, so its numbers stay as they are.

    Args:
        run: name of this training within the folder.
        folder: where event files go; by default the environment variable SENM_TENSORBOARD, and without it None.

    Returns:
        The function, or None where no output was asked for.
    """
    writer = asked_for(run, folder)
    if not writer.on:
        return None
    calls = 0

    def observe(training: Training, logged: dict[str, float]) -> None:
        nonlocal calls
        rate = training.optimiser.param_groups[0]["lr"]
        done = training.step == training.settings.train.iterations
        images = previews(training) if calls % 10 == 0 or done else None
        writer.write(training.step, {**logged, "lr": rate}, images)
        calls += 1
        if done:
            writer.close()

    return observe


@torch.no_grad()
def previews(training: Training) -> dict[str, np.ndarray]:
    """Up to four crops of the next batch: a row of clean, one of generated and, if all have pairs, one of real ones.

    Returns:
        One image under a name that lists its rows, uint8 (rows * c, columns * c, 3); nothing without clean crops.
    """
    batch = training.sampler.batch(training.step).to(training.device)
    count = min(PREVIEWS, len(batch.x))
    if not count:
        return {}
    clean = batch.x[:count]
    pairs = min(count, batch.paired)
    level = float((batch.y[:pairs] - clean[:pairs]).std()) if pairs else LEVEL
    generator = seeding.generator("preview", training.seed, device=training.device)
    model = training.model
    make = model.generate if isinstance(model, PairedVAE) else model.translate
    generated = make(clean, level, generator=generator)
    rows, names = [clean, generated], ["clean", "generated"]
    if pairs == count:
        rows.append(batch.y[:count])
        names.append("real")
    grid = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    array = (grid.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return {", ".join(names): array}

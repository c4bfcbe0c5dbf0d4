"""TensorBoard output of a training: scalars and images by step. Off unless asked for; the library is loaded lazily."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from senm.errors import MachineError


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

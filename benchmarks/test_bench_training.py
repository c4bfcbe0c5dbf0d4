"""The training step: every sample through everything against each domain through its own parts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from benchmarks.conftest import DEVICES
from benchmarks.profiling.arms import TRAINERS, Case, training_work


@pytest.mark.parametrize("scale", ["smoke", "short", "authors"])
@pytest.mark.parametrize(("device", "arm"), [(d, arm) for d in DEVICES for arm in TRAINERS[d]], indirect=["device"])
def test_training_step(arm: str, scale: str, device: torch.device, measure: Callable[..., None]) -> None:
    sizes = {"smoke": (6, 32), "short": (8, 48), "authors": (8, 64) if device.type == "cuda" else (3, 16)}
    batch, size = sizes[scale]
    measure(training_work(arm, Case("senm", scale, batch, size), device), device)

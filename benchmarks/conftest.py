"""What the timing suites share: the devices to measure on, and a call that waits for a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from benchmarks.profiling.timing import denormals_flushed

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
ROUNDS = 5


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """Every device of this machine; sizes grow with it."""
    with denormals_flushed():
        yield torch.device(request.param)


@pytest.fixture
def measure(benchmark: Any) -> Callable[..., None]:
    """Time a call: one warm-up and five rounds, each until the device is idle."""

    def run(work: Callable[[], object], device: torch.device | None = None) -> None:
        def whole() -> None:
            work()
            if device is not None and device.type == "cuda":
                torch.cuda.synchronize(device)

        benchmark.pedantic(whole, rounds=ROUNDS, warmup_rounds=1)

    return run

"""Sampling as people meet it: in bfloat16 with what that changes, beside another busy program, on one worker and two.

What a case changes stands in its `extra_info`; compare the cases of one group in one run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

import senm
from benchmarks.cluster.local import LocalPool
from benchmarks.cluster.resources import Needs
from benchmarks.cluster.worker import Job
from benchmarks.core.step import Step
from senm.sampling.precision import WITHIN, computes_bf16, probes

MODEL = "embedded-10"
CPU = torch.device("cpu")
BUSY = "while True: pass"


@pytest.mark.benchmark(group="precision, two images of 96 x 96")
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_precision(precision: str, measure: Callable[..., None], benchmark: object) -> None:
    model, images = senm.load(MODEL), probes()
    exact, now = (np.stack(list(model.sample(images, precision=each))).astype(int) for each in ("float32", precision))
    benchmark.extra_info["instructions in bf16"] = computes_bf16(CPU)  # type: ignore[attr-defined]
    benchmark.extra_info["pixels within one level"] = float(  # type: ignore[attr-defined]
        (np.abs(exact - now) <= WITHIN).mean())
    measure(lambda: list(model.sample(images, precision=precision)))


@contextmanager
def beside(others: int) -> Iterator[None]:
    """So many other programs that never rest."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(others)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


@pytest.mark.benchmark(group="company, two images of 96 x 96")
@pytest.mark.parametrize("others", [0, 1])
def test_sampling_beside_busy_programs(others: int, measure: Callable[..., None]) -> None:
    model, images = senm.load(MODEL), probes()
    with beside(others):
        measure(lambda: list(model.sample(images)))


def nothing(number: int) -> Step:
    """A released checkpoint that is not there: what a step costs a pool beyond its own work."""
    return Step("fit", f"empty {number}", {"system": "gaussian"}, number, sources=(), released="absent")


@pytest.mark.benchmark(group="16 empty steps on worker processes")
@pytest.mark.parametrize("workers", [1, 2])
def test_steps_on_workers(workers: int, measure: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> None:
    pool = LocalPool(Job(store=str(tmp_path_factory.mktemp("store"))), workers)

    def work() -> None:
        waiting, done = [nothing(number) for number in range(16)], 0
        while done < 16:
            while waiting and pool.free():
                pool.submit(waiting.pop(), Needs())
            done += len(pool.wait(1.0))

    try:
        measure(work)
    finally:
        pool.stop()

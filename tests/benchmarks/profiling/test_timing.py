"""Switches that a measurement sets for the whole process are put back."""

import pytest
import torch

from benchmarks.profiling.timing import denormals_flushed

SMALLEST = 5e-324


def tiny() -> float:
    return float(torch.tensor(SMALLEST, dtype=torch.float64) * 1)


def test_small_numbers_come_back_after_a_measurement() -> None:
    with denormals_flushed():
        assert tiny() == 0 or not torch.set_flush_denormal(True)
    assert tiny() == SMALLEST
    with pytest.raises(RuntimeError), denormals_flushed():
        raise RuntimeError
    assert tiny() == SMALLEST

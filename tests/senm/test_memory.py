"""Memory that is freed and asked for again."""

import subprocess
import sys

import pytest

PROBE = """
import resource, torch
from senm.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(48 * 2**18).add_(1)  # 48 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = [faults() for _ in range(8)]
print(before[-1], keep_freed_memory(), [faults() for _ in range(8)][-1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of this system has no mallopt")
def test_freed_memory_is_there_for_the_next_tensor() -> None:
    out = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True).stdout.split()
    before, kept, after = out
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    assert int(before) > 10_000 > 10 * int(after)

"""Memory that is freed and asked for again."""

import subprocess
import sys

import pytest

PROBE = """
import resource, torch
from senm.sampling.memory import bounded_memory, keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(48 * 2**18).add_(1)  # 48 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 2**20

before = [faults() for _ in range(8)]
print(before[-1], keep_freed_memory(), [faults() for _ in range(8)][-1])
held = [torch.ones(5 * 2**20) for _ in range(10)]  # 20 MiB each
del held
kept = resident()
with bounded_memory():
    print(kept - resident())
print([faults() for _ in range(8)][-1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of this system has no mallopt")
def test_freed_memory_is_there_for_the_next_tensor() -> None:
    out = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True).stdout.split()
    before, kept, after, returned, again = out
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    assert int(before) > 10_000 > 10 * max(int(after), int(again))
    assert int(returned) > 100

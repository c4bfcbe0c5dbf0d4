"""How many cores this process may use, and how its threads wait: decided once, before torch is loaded.

Threads of OpenMP spin while they wait for one that was put aside. Alone on a machine that saves time; beside other work
it multiplies it. What waits changes no number; the number of threads may change the last bits of one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from senm.support.errors import UsageError

PASSIVE = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CGROUP = Path("/sys/fs/cgroup")


def allowed_cores(cgroup: Path = CGROUP) -> int:
    """Cores that this process may use at once: by its affinity and the quota of its container, at least one."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, min(count, int(quota) if quota else count))


def _quota(cgroup: Path) -> float | None:
    """Cores that the kernel's control group grants, None where it sets no limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return int(limit) / int(period) if limit.lstrip("-").isdigit() and int(limit) > 0 else None


def in_company(threads: int, cores: int | None = None) -> bool:
    """Whether other programs keep some of the cores busy that this many threads would use."""
    try:
        load = os.getloadavg()[0]
    except OSError:
        return False
    return load + threads > (cores or allowed_cores()) + 0.5


def settle(threads: int | None = None) -> int:
    """Fix how many threads torch uses here and let them sleep while they wait, where the machine has company.

    A number in the environment (OMP_NUM_THREADS) holds unless `threads` is given. Waiting can be chosen only before
    torch is loaded; what the user has set in the environment stays.

    Returns:
        The number of threads.

    Raises:
        UsageError: fewer than one thread.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"--threads {threads}", "at least 1")
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    count = threads or (int(given) if given.isdigit() and int(given) else allowed_cores())
    if threads is not None:
        os.environ.update(dict.fromkeys(COUNTS, str(threads)))
    elif count < (os.cpu_count() or 1):  # torch counts the machine's cores and knows nothing of a quota
        os.environ.setdefault("OMP_NUM_THREADS", str(count))
    if in_company(count):
        for name, value in PASSIVE.items():
            os.environ.setdefault(name, value)
    if "torch" in sys.modules and threads is not None:
        import torch

        torch.set_num_threads(threads)
    return count


def for_worker(threads: int = 1) -> dict[str, str]:
    """The environment of a worker process beside others: its number of threads, which sleep while they wait."""
    return {**dict.fromkeys(COUNTS, str(threads)), **PASSIVE}

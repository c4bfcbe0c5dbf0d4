"""How much memory this process may use."""

from __future__ import annotations

import os
from pathlib import Path

from senm.support.threads import CGROUP


def allowed_memory(cgroup: Path = CGROUP) -> int:
    """Bytes: the machine's memory, or the limit of its container where that is less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [_limit(cgroup / name) for name in ("memory.max", "memory/memory.limit_in_bytes")]
    return min([whole, *(limit for limit in limits if limit)])


def _limit(file: Path) -> int:
    """The limit that a file of the kernel's control group states, 0 for none."""
    try:
        text = file.read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0

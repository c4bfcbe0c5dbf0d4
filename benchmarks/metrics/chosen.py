"""Which Frechet distance fills the FID column of a run, and why it is not FID."""

from __future__ import annotations

import os

from benchmarks.metrics import METRICS
from senm.support.errors import UsageError

VARIABLE = "SENM_FRECHET"
FID, RANDOM = "fid", "fd_random"


def chosen() -> str:
    """FID where its network is on this machine and ``$SENM_FRECHET`` does not ask for FD-random.

    Raises:
        UsageError: the variable has a value that names neither.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", FID, RANDOM):
        raise UsageError(f"${VARIABLE} is {wanted!r}", f"{FID} or {RANDOM}", f"unset {VARIABLE}")
    return RANDOM if wanted == RANDOM or METRICS[FID].missing() else FID


def why_random() -> str:
    """Why FD-random stands in for FID, as a sentence without its full stop."""
    return METRICS[FID].missing() or f"FID could be measured: ${VARIABLE} asked for FD-random"

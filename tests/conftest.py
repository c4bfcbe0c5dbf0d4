"""Workers of one test run share the cores, so each computes with one thread; torch reads this when it is imported."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

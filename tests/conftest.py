"""What the whole test run needs before anything else is imported."""

import os
import signal

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; torch reads this when it is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell; tests interrupt and are answered
    signal.signal(signal.SIGINT, signal.default_int_handler)

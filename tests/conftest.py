"""What the whole test run needs before anything else is imported."""

import os
import signal
from collections.abc import Iterator

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; torch reads this when it is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell; tests interrupt and are answered
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def remembered_hashes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hashes of the tests' own files are no business of the user's cache folder."""
    os.environ["SENM_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def numbers_below_the_normal_range() -> Iterator[None]:
    """A test that leaves the processor flushing small numbers to zero fails itself, not whoever comes after it."""
    yield
    assert 5e-324 * 1.0 > 0, "this test left torch.set_flush_denormal(True) behind"

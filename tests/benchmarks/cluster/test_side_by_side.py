"""Worker processes and Ray nodes give the records of a run on one machine, whatever is killed meanwhile."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster.drive import Driver
from benchmarks.cluster.local import LocalPool
from benchmarks.cluster.resources import Resources
from benchmarks.cluster.view import View
from benchmarks.cluster.worker import Job
from benchmarks.store.store import Store
from ci.crash_test import Run, differences
from tests.benchmarks.cluster.fakes import plan
from tests.benchmarks.tiny import write_tiny

ROWS = ("--rows", "gaussian,c2n")


def table(place: Path, data: Path, *more: str) -> Run:
    return Run(place, "table1", ["--data", f"folder:{data}", *ROWS, *more])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("side") / "tiny"
    write_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def expected(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = table(tmp_path_factory.mktemp("reference"), data)
    assert run.start().wait(300) == 0, (run.place / "progress.txt").read_text()[-2000:]
    return run.result()


def test_two_workers_of_which_one_is_killed_give_the_same_records(
    data: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    import psutil

    run = table(tmp_path, data, "--workers", "2", "--json")
    process = run.start()
    log, killed = tmp_path / "progress.txt", False
    while process.poll() is None:
        if not killed and '"started"' in log.read_text() and "train c2n" in log.read_text():
            workers = [p for p in psutil.Process(process.pid).children() if "spawn_main" in " ".join(p.cmdline())]
            if len(workers) == 2:
                workers[0].kill()
                killed = True
        time.sleep(0.05)
    assert process.returncode == 0 and killed, log.read_text()[-2000:]
    assert '"event": "lost"' in log.read_text() and "signal 9" in log.read_text()
    assert differences(run.result(), expected) == []


def test_workers_end_with_their_driver(data: Path, tmp_path: Path) -> None:
    import psutil

    run = table(tmp_path, data, "--workers", "2")
    process = run.start()
    workers: list[psutil.Process] = []
    while process.poll() is None and len(workers) < 2:
        workers = [p for p in psutil.Process(process.pid).children() if "spawn_main" in " ".join(p.cmdline())]
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(workers) == 2 and psutil.wait_procs(workers, timeout=10)[1] == []


def test_a_step_that_kills_every_worker_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.core.step import Step
    from senm.support.errors import MachineError

    store = Store(tmp_path)
    pool = LocalPool(Job(str(store.root)), 1)
    deadly = Step("fit", "deadly", {"system": "c2n", "fingerprint": "none"})
    start = pool._start

    def started() -> Any:
        worker = start()
        worker.process.kill()
        return worker

    monkeypatch.setattr(pool, "_start", started)
    with pytest.raises(MachineError, match=r"deadly lost its worker 3 times.*signal 9.*memory"):
        Driver(store, pool, Resources(), lambda step: 1.0, View()).run(plan(deadly))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is an extra: pip install -e '.[cluster]'")
def test_three_nodes_of_which_one_dies_a_worker_dies_and_the_driver_dies(
    data: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    from ci.ray_nodes import Nodes

    nodes = Nodes()
    try:
        run = table(tmp_path, data, *nodes.options())
        log, process = tmp_path / "progress.txt", run.start()
        assert nodes.kill("node", nodes.wait_for("train c2n"))
        nodes.wait_for("train c2n")
        assert "its node was lost" in log.read_text() or "worker was lost" in log.read_text()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process = run.start()
        assert nodes.kill("worker", nodes.wait_for("noise for"))
        assert process.wait(180) == 0, log.read_text()[-2000:]
        assert "worker was lost" in log.read_text()
    finally:
        nodes.close()
    assert differences(run.result(), expected) == []
    assert Store(run.store).verify() == []


def test_ctrl_c_ends_the_workers_and_says_how_to_go_on(data: Path, tmp_path: Path) -> None:
    run = table(tmp_path, data, "--workers", "2")
    process = run.start()
    while process.poll() is None and "train c2n" not in (tmp_path / "progress.txt").read_text().split("plan:")[-1]:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
    assert "run the same command again" in (tmp_path / "progress.txt").read_text()
    for _ in range(100):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a process of the group is still there after ten seconds")

"""The Slurm job: a script that shells accept, that hands every option on, and that ends and goes on as it should."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import fields
from pathlib import Path

import pytest

from benchmarks.cluster.slurm import NOT_PASSED, Allocation, job, words
from benchmarks.core.options import Options
from benchmarks.run import main
from senm.support.errors import UsageError

NO_RAY = """#!/bin/bash
printf '%s\\n' "$@" > "$LOG/ray"
exec bash -c "$ENTRY"
"""
SRUN = """#!/bin/bash
printf '%s\\n' "$@" > "$LOG/srun"
while [[ "$1" == --* ]]; do shift; done
exec "$@"
"""
SCONTROL = """#!/bin/bash
if [ "$1" = show ]; then echo first; echo second; else echo "$@" >> "$LOG/scontrol"; fi
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a Slurm and a Ray that write down what they are told; Ray runs $ENTRY in place of the command."""
    (tmp_path / "log").mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("ray", NO_RAY)):
        file = tmp_path / name
        file.write_text(text)
        file.chmod(0o755)
    return tmp_path


def start(site: Path, script: str, entry: str) -> subprocess.Popen[bytes]:
    (site / "job.sh").write_text(script)
    environment = {**os.environ, "PATH": f"{site}:{os.environ['PATH']}", "LOG": str(site / "log"), "ENTRY": entry,
                   "SLURM_JOB_ID": "123457", "SLURM_JOB_NODELIST": "first,second", "SLURM_SUBMIT_DIR": str(site)}
    return subprocess.Popen(["bash", str(site / "job.sh")], env=environment)


def told(site: Path, whom: str) -> list[str]:
    return (site / "log" / whom).read_text().splitlines()


SCRIPT = job(["table1", "table2"], Options(scale="paper", data=("sidd:/data/my SIDD",), seeds=(0, 1)),
             Allocation(nodes=4, gpus=8, cpus=32, time="48:00:00", partition="long"))


def test_the_script_is_one_that_shells_and_shellcheck_accept(site: Path) -> None:
    (site / "job.sh").write_text(SCRIPT)
    subprocess.run(["bash", "-n", site / "job.sh"], check=True)
    checker = shutil.which("shellcheck")
    if checker is not None:
        subprocess.run([checker, site / "job.sh"], check=True)
    head = [line.removeprefix("#SBATCH --") for line in SCRIPT.splitlines() if line.startswith("#SBATCH")]
    assert {"nodes=4", "ntasks-per-node=1", "cpus-per-task=32", "gpus-per-node=8", "time=48:00:00", "partition=long",
            "requeue"} <= set(head)
    assert not [line for line in head if line.startswith(("account", "mem"))], "what was not asked for is not there"


def test_ray_gets_one_task_a_node_a_port_of_the_job_and_the_whole_command(site: Path) -> None:
    assert start(site, SCRIPT, "exit 0").wait(60) == 0
    assert told(site, "srun")[:3] == ["--nodes=4", "--ntasks=4", "--ntasks-per-node=1"]
    ray = told(site, "ray")
    address = f"first:{20000 + 123457 % 20000}"
    assert ray[:5] == ["symmetric-run", "--address", address, "--min-nodes", "4"]
    assert {"--num-cpus=32", "--num-gpus=8"} <= set(ray)
    assert ray[ray.index("--") + 1 :] == [
        "python", "-m", "benchmarks.run", "table1", "table2", "--scale", "paper", "--data", "sidd:/data/my SIDD",
        "--seeds", "0,1", "--device", "cuda", "--on", f"ray:{address}",
    ]
    assert not (site / "log" / "scontrol").exists(), "nothing was put back"


def test_the_code_of_the_run_is_that_of_the_job(site: Path) -> None:
    assert start(site, SCRIPT, "exit 5").wait(60) == 5


@pytest.mark.parametrize(("sent", "requeued"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_a_signal_ends_the_run_in_its_own_time_and_the_job_goes_on_later(
    site: Path, sent: signal.Signals, requeued: bool
) -> None:
    """Before its time is up a job puts itself back; a preempted one is put back by Slurm (`--requeue`)."""
    entry = 'trap "echo saved > $LOG/saved; exit 130" TERM; touch $LOG/up; while :; do sleep 0.1; done'
    running = start(site, SCRIPT, entry)
    for _ in range(600):
        if (site / "log" / "up").exists():
            break
        time.sleep(0.1)
    running.send_signal(sent)
    assert running.wait(60) == 130
    assert told(site, "saved") == ["saved"], "the run ended by itself"
    assert (site / "log" / "scontrol").exists() is requeued
    assert not requeued or told(site, "scontrol") == ["requeue 123457"]


def test_every_option_is_handed_on_or_belongs_to_one_machine() -> None:
    given = {
        "scale": "smoke", "data": ("folder:a b", "dnd:/d"), "rows": ("c2n", "real"), "seeds": (0,), "train": True,
        "retrain": True, "out": Path("o"), "store": Path("s"), "weights": Path("w"), "external": {"x": Path("e")},
        "plugins": ("m:C",), "deterministic": False, "threads": 3, "resources": ("fit=gpu:1",), "yes": True, "draws": 5,
        "trust_pairs": True, "discard": True,
    }
    assert {each.name for each in fields(Options)} == {*given, *NOT_PASSED}, "a new option belongs to one of them"
    assert words(Options(**given)) == [  # type: ignore[arg-type]
        "--scale", "smoke", "--data", "folder:a b", "--data", "dnd:/d", "--rows", "c2n,real", "--seeds", "0",
        "--train", "--retrain", "--out", "o", "--store", "s", "--weights", "w", "--external", "x=e", "--plugin", "m:C",
        "--no-deterministic", "--threads", "3", "--resources", "fit=gpu:1", "--yes", "--draws", "5", "--trust-pairs",
        "--discard",
    ]
    assert words(Options(seeds=())) == []


@pytest.mark.parametrize(
    ("options", "asked", "said"),
    [
        ({}, {"time": "two days"}, "48:00:00"),
        ({}, {"partition": "a b; rm"}, "letters, digits"),
        ({"on": "ray"}, {}, "starts its own cluster"),
        ({"device": "cuda"}, {}, "--gpus-per-node"),
        ({"container": True}, {}, "leave --container out"),
    ],
)
def test_what_slurm_cannot_read_is_refused(options: dict[str, object], asked: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        job(["table1"], Options(**options), Allocation(**asked))  # type: ignore[arg-type]


def test_the_command_prints_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["slurm", "table1", "--scale", "smoke", "--nodes", "2"]) == 0
    assert capsys.readouterr().out == job(["table1"], Options(scale="smoke", seeds=()), Allocation(nodes=2))
    assert main(["slurm", "table11"]) == 2
    assert "did you mean 'table1'" in capsys.readouterr().err
    assert main(["slurm", "table1", "--nodes", "0"]) == 2

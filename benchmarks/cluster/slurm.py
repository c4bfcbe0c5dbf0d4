"""A Slurm job that runs tables on Ray: `ray symmetric-run` starts a cluster on the allocation and ends it afterwards.

Only text is made here. `docs/cluster.md` says how a job is used.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import fields

from pydantic import Field

from benchmarks.core.options import Options
from senm.config import Settings
from senm.support.errors import UsageError

TIME = re.compile(r"(\d+-)?\d{1,3}(:\d{2}){0,2}")
NAME = re.compile(r"[\w.,@+-]*")
NOT_PASSED = ("on", "workers", "container", "gpus", "json", "device")


class Allocation(Settings):
    """What is asked of Slurm: so many equal nodes for `time`; `partition` and `account` as the site names them."""

    nodes: int = Field(1, ge=1, le=4096)
    gpus: int = Field(0, ge=0, le=64)
    cpus: int = Field(8, ge=1, le=1024)
    memory: int = Field(0, ge=0)
    time: str = "24:00:00"
    partition: str = ""
    account: str = ""


def job(names: Sequence[str], options: Options, allocation: Allocation) -> str:
    """The text of a job script that runs these tables and goes on after preemption and after its time is up.

    Raises:
        UsageError: a time, a partition or an account that Slurm cannot read, or options that belong to one machine.
    """
    _check(options, allocation)
    device = ["--device", "cuda"] if allocation.gpus else []
    command = shlex.join(["python", "-m", "benchmarks.run", *names, *words(options), *device])
    title = "senm-" + "-".join(names)
    head = [
        ("job-name", title),
        ("output", f"{title}-%j.log"),
        ("open-mode", "append"),
        ("nodes", allocation.nodes),
        ("ntasks-per-node", 1),
        ("cpus-per-task", allocation.cpus),
        ("gpus-per-node", allocation.gpus or ""),
        ("mem", f"{allocation.memory}G" if allocation.memory else ""),
        ("time", allocation.time),
        ("partition", allocation.partition),
        ("account", allocation.account),
        ("signal", "B:USR1@300"),
    ]
    lines = [f"#SBATCH --{name}={value}" for name, value in head if value != ""]
    return TEMPLATE.format(
        header="\n".join(lines), command=command, nodes=allocation.nodes, cpus=allocation.cpus, gpus=allocation.gpus
    )


def words(options: Options) -> list[str]:
    """The options as a command line gives them: those that differ from the defaults, but for where steps run.

    >>> words(Options(scale="paper", data=("sidd:/data/SIDD",), seeds=(0, 1, 2)))
    ['--scale', 'paper', '--data', 'sidd:/data/SIDD', '--seeds', '0,1,2']
    """
    plain, found = Options(), []
    for field in fields(Options):
        name, value = field.name, getattr(options, field.name)
        if name in NOT_PASSED or value == (() if name == "seeds" else getattr(plain, name)):
            continue
        flag = "--plugin" if name == "plugins" else "--" + name.replace("_", "-")
        if name == "deterministic":
            found.append(flag if value else "--no-deterministic")
        elif value is True:
            found.append(flag)
        elif name in ("rows", "seeds"):
            found += [flag, ",".join(map(str, value))]
        elif name == "external":
            found += [word for key, folder in value.items() for word in (flag, f"{key}={folder}")]
        elif isinstance(value, tuple):
            found += [word for each in value for word in (flag, str(each))]
        else:
            found += [flag, str(value)]
    return found


def _check(options: Options, allocation: Allocation) -> None:
    if not TIME.fullmatch(allocation.time):
        raise UsageError(f"--time {allocation.time!r}", "a time as Slurm writes it", "--time 48:00:00, or 2-00:00:00")
    for what in ("partition", "account"):
        if not NAME.fullmatch(getattr(allocation, what)):
            raise UsageError(f"--{what} {getattr(allocation, what)!r}", "a name of letters, digits and . , @ + -")
    if options.on != "local" or options.workers > 1:
        raise UsageError("--on or --workers for a Slurm job", "neither: the job starts its own cluster")
    options.refuse_container("slurm")
    if options.device != "cpu":
        raise UsageError(f"--device {options.device} for a Slurm job", "--gpus-per-node", "--gpus-per-node 8")


TEMPLATE = """#!/bin/bash
{header}
#SBATCH --requeue

# Send it with `sbatch` from the project's folder. The store must lie on a folder that all nodes share.
set -euo pipefail
cd -- "${{SLURM_SUBMIT_DIR:-.}}"

# Where the installation is not on the path of a batch job, load it here: module load ..., source .../bin/activate

mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${{hosts[0]}}
port=$((20000 + SLURM_JOB_ID % 20000))

# Five minutes before its time is up, or when it is preempted, the run is ended; what is done stays in the store.
again=0 run=
trap 'again=1; kill -TERM "$run" 2>/dev/null || true' USR1
trap 'kill -TERM "$run" 2>/dev/null || true' TERM

srun --nodes={nodes} --ntasks={nodes} --ntasks-per-node=1 --kill-on-bad-exit=1 \\
  ray symmetric-run --address "$head:$port" --min-nodes {nodes} \\
  --num-cpus={cpus} --num-gpus={gpus} --include-dashboard=false -- \\
  {command} --on "ray:$head:$port" &
run=$!
code=0
wait "$run" || code=$?
while kill -0 "$run" 2>/dev/null; do  # a signal ends the waiting, not the run
  code=0
  wait "$run" || code=$?
done
if [ "$again" -eq 1 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""

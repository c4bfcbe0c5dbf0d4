"""What a run is asked for, checked before anything heavy is imported."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from senm.support.errors import MachineError, UsageError, unknown

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / "results" / "store"
RUNS = ROOT / "results" / "runs"
SCALES = ("smoke", "short", "paper")


@dataclass(frozen=True)
class Options:
    """The options that all table commands share. See `python -m benchmarks.run table1 --help`."""

    scale: str = "short"
    data: tuple[str, ...] = ("embedded",)
    rows: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    train: bool = False
    retrain: bool = False
    device: str = "cpu"
    out: Path = RUNS
    store: Path = STORE
    weights: Path | None = None
    external: dict[str, Path] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    deterministic: bool | None = None
    json: bool = False
    container: bool = False
    gpus: str = ""
    on: str = "local"
    workers: int = 1
    threads: int | None = None
    resources: tuple[str, ...] = ()
    yes: bool = False
    draws: int = 0
    trust_pairs: bool = False
    discard: bool = False

    def refuse_container(self, command: str) -> None:
        """Refuse the options of containers and clusters where a command runs no step.

        Raises:
            UsageError: ``--container``, ``--gpus`` or a cluster was given.
        """
        if self.on != "local":
            raise UsageError(f"--on {self.on} with {command}", "a table, or all: only they run steps",
                             "leave --on out")  # fmt: skip
        for option, given in (("--container", self.container), ("--gpus", self.gpus)):
            if given:
                raise UsageError(f"{option} with {command}", "a table, or all: only they run in a container",
                                 f"leave {option} out")  # fmt: skip

    def check_place(self) -> None:
        """Refuse a place to run that does not exist, or options that it cannot follow.

        Raises:
            UsageError: another word than local or ray, fewer than one worker, or resources without either.
        """
        if self.on != "local" and self.on.partition(":")[0] != "ray":
            raise unknown("place", self.on, ("local", "ray", "ray:HOST:PORT"))
        if self.workers < 1:
            raise UsageError(f"--workers {self.workers}", "at least 1")
        if self.on != "local" and self.workers > 1:
            raise UsageError("--workers with --on ray", "--workers for --on local: Ray counts cores itself",
                             "leave one of them out")  # fmt: skip
        if self.resources and not self.side_by_side:
            raise UsageError("--resources for steps that run one after the other", "--workers or --on ray")

    @property
    def side_by_side(self) -> bool:
        """Whether steps run in other processes than this one."""
        return self.on != "local" or self.workers > 1

    def check(self) -> None:
        """Refuse what cannot work before any work is done.

        Raises:
            UsageError: unknown scale, or a folder that is not there.
            MachineError: an output folder that cannot be written.
        """
        if self.scale not in SCALES:
            raise unknown("scale", self.scale, SCALES)
        self.check_place()
        if self.draws < 0:
            raise UsageError(f"--draws {self.draws}", "a number of draws, 50 as published, or 0 for no such column")
        for what, folder in [("weights", self.weights), *self.external.items()]:
            if folder is not None and not folder.is_dir():
                raise UsageError(f"the folder {folder} of {what} does not exist", "an existing folder")
        for what, folder in (("--out", self.out), ("--store", self.store)):
            writable(what, folder)


def seeds(text: str) -> tuple[int, ...]:
    """Replicates from ``0``, ``0-2`` or ``0,3,5``.

    >>> seeds("0-2")
    (0, 1, 2)
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match:
            raise UsageError(f"--seeds {text!r}", "numbers and ranges such as 0, 0-2 or 0,3,5")
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low or high - low > 999:
            raise UsageError(f"--seeds {text!r} has the range {part.strip()}", "a range of at most 1000 that goes up")
        found += range(low, high + 1)
    return tuple(dict.fromkeys(found))


def external(items: tuple[str, ...]) -> dict[str, Path]:
    """Row name -> folder, from ``NAME=DIR`` options."""
    found: dict[str, Path] = {}
    for item in items:
        name, equals, folder = item.partition("=")
        if not (name.strip() and equals and folder):
            raise UsageError(f"--external {item!r}", "NAME=DIR, for example --external 'my model=out/noisy'")
        if name in found:
            raise UsageError(f"--external names {name!r} twice", "one folder a name")
        found[name.strip()] = Path(folder)
    return found


def rows(text: str) -> tuple[str, ...]:
    """Row ids from a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def writable(what: str, folder: Path) -> None:
    """Refuse a folder that cannot be made or written.

    Raises:
        MachineError: naming the folder.
    """
    present = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not present.is_dir():
        raise MachineError(f"{what}: {present} is a file", "a folder", f"choose another {what}")
    if not os.access(present, os.W_OK | os.X_OK):
        raise MachineError(
            f"{what}: no permission to write to {present}", "a writable folder", f"choose another {what}"
        )


def check_device(device: str) -> None:
    """Refuse a device that this machine lacks.

    Raises:
        UsageError: not the name of a device.
        MachineError: a GPU is asked for and there is none.
    """
    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise unknown("device", device, ("cpu", "cuda"))
    if device.startswith("cuda"):
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = int(device.partition(":")[2] or 0)
        if index >= count:
            raise MachineError(f"--device {device}: this machine has {count} usable GPUs", "a CUDA GPU", "--device cpu")

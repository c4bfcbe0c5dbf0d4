"""What a step asks of a machine while it runs: a share of GPUs, CPU cores, memory; by kind and system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from benchmarks.core.systems import get
from senm.config import Settings
from senm.support.errors import MachineError, UsageError, unknown

if TYPE_CHECKING:
    from benchmarks.core.step import Step


class Needs(Settings):
    """What one step holds: `gpu` GPUs, `cpu` cores, `memory` GiB.

    A share of a GPU below 1 lets steps share one; several serve a training whose system can share its batches.
    """

    gpu: float = Field(0.0, ge=0)
    cpu: float = Field(1.0, ge=0)
    memory: float = Field(1.0, ge=0)


class Capacity(Settings):
    """What one node has: GPUs, cores and GiB of memory, and the name by which messages call it."""

    name: str
    gpu: float = 0.0
    cpu: float = 1.0
    memory: float = 1.0

    def holds(self, needs: Needs) -> bool:
        """Whether a step fits this node when nothing else runs there."""
        return needs.gpu <= self.gpu and needs.cpu <= self.cpu and needs.memory <= self.memory


KINDS = ("fit", "fit-restorer", "sample", "restore", "evaluate", "draws", "external", "weights")
TABLE: dict[tuple[str, str], tuple[Needs, Needs]] = {
    # (kind, system or ''): (on a CPU, on a GPU)
    ("fit", ""): (Needs(cpu=1, memory=1), Needs(gpu=1, cpu=4, memory=16)),
    ("fit", "gaussian"): (Needs(), Needs(cpu=1, memory=2)),
    ("fit", "heteroscedastic"): (Needs(), Needs(cpu=1, memory=2)),
    ("fit-restorer", ""): (Needs(cpu=1, memory=1), Needs(gpu=1, cpu=4, memory=16)),
    ("sample", ""): (Needs(cpu=1, memory=1), Needs(gpu=0.5, cpu=2, memory=8)),
    ("restore", ""): (Needs(cpu=1, memory=1), Needs(gpu=0.5, cpu=2, memory=8)),
    ("evaluate", ""): (Needs(cpu=1, memory=1), Needs(gpu=0.25, cpu=2, memory=8)),
    ("draws", ""): (Needs(cpu=1, memory=1), Needs(gpu=0.5, cpu=2, memory=8)),
    ("external", ""): (Needs(cpu=1, memory=0.5), Needs(cpu=1, memory=2)),
    ("weights", ""): (Needs(cpu=1, memory=0.5), Needs(cpu=1, memory=4)),
}
PAPER_CPU = 8.0  # GiB that a step of paper scale asks for on a CPU


class Resources:
    """The needs of every step: the table above, with what a user says on top.

    Args:
        device: 'cpu', or a CUDA device: without one no step asks for a GPU.
        scale: name of the scale; 'paper' asks for more memory.
        changes: (kind, system or '') -> fields that differ, as `parse` makes them.
    """

    def __init__(self, device: str = "cpu", scale: str = "smoke",
                 changes: dict[tuple[str, str], dict[str, float]] | None = None) -> None:
        self.gpu, self.scale, self.changes = device.startswith("cuda"), scale, changes or {}

    def of(self, step: Step) -> Needs:
        """What a step asks for. A released checkpoint is only copied."""
        system = str(step.params.get("system", ""))
        if step.released:
            return Needs(cpu=1, memory=0.5)
        kind = step.kind if (step.kind, "") in TABLE else "evaluate"
        needs = TABLE.get((kind, system), TABLE[kind, ""])[self.gpu]
        if self.scale == "paper" and not self.gpu:
            needs = needs.but(memory=PAPER_CPU)
        for place in ((kind, ""), (kind, system)):
            if place in self.changes:
                needs = needs.but(**self.changes[place])
        return needs if needs.gpu <= 1 or shares(kind, system) else needs.but(gpu=1)

    def refuse(self, steps: Iterable[Step], nodes: Sequence[Capacity]) -> None:
        """Refuse a plan with a step that no node can hold.

        Raises:
            MachineError: naming the step, what it asks for and what the largest node has.
        """
        for step in steps:
            needs = self.of(step)
            if any(node.holds(needs) for node in nodes):
                continue
            most = {part: max(getattr(node, part) for node in nodes) for part in ("gpu", "cpu", "memory")}
            lacking = next((part for part, has in most.items() if getattr(needs, part) > has), "gpu")
            unit = {"gpu": "GPUs", "cpu": "CPU cores", "memory": "GiB of memory"}[lacking]
            has = f"{most[lacking]:g}"
            raise MachineError(
                f"{step.label} asks for {getattr(needs, lacking):g} {unit}, and no node has more than {has}",
                "a node that holds every step",
                f"--resources {step.kind}={lacking}:{has}" if most[lacking] else "leave out --device cuda",
            )


def shares(kind: str, system: str) -> bool:
    """Whether steps of this kind can use several GPUs: trainings of SeNM-VAE."""
    return kind == "fit" and bool(system) and bool(get(system).capabilities.shares)


def parse(items: Iterable[str]) -> dict[tuple[str, str], dict[str, float]]:
    """Changes of the table from ``KIND=gpu:1,cpu:4,memory:16`` or ``KIND/SYSTEM=...``.

    >>> parse(["fit=gpu:1,cpu:4", "restore/dncnn=gpu:0.25"])
    {('fit', ''): {'gpu': 1.0, 'cpu': 4.0}, ('restore', 'dncnn'): {'gpu': 0.25}}

    Raises:
        UsageError: an unknown kind or resource, no number, or several GPUs for a step that cannot use them.
    """
    found: dict[tuple[str, str], dict[str, float]] = {}
    for item in " ".join(items).split():
        place, equals, text = item.partition("=")
        kind, _, system = place.partition("/")
        if not equals or not text:
            raise UsageError(f"--resources {item!r}", "KIND=NAME:NUMBER,..., for example fit=gpu:1,cpu:4")
        if kind not in KINDS:
            raise unknown("kind of step", kind, KINDS)
        fields = found.setdefault((kind, system), {})
        for part in text.split(","):
            name, _, number = part.partition(":")
            if name not in ("gpu", "cpu", "memory"):
                raise unknown("resource", name, ("gpu", "cpu", "memory"))
            if not re.fullmatch(r"\d+(\.\d+)?", number):
                raise UsageError(f"--resources {item!r} gives {name} the amount {number!r}", "a number such as 0.5")
            many = name == "gpu" and float(number) > 1
            if many and (kind != "fit" or (system and not shares(kind, system)) or not float(number).is_integer()):
                raise UsageError(f"--resources {item!r} asks for {number} GPUs",
                                 "at most 1, or a whole number for the trainings of senm-vae and senm-paired",
                                 "--resources fit=gpu:4")
            fields[name] = float(number)
    return found

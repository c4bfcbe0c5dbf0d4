"""How long a plan takes and how much disk it needs, from speeds measured on some machine; it says which.

Speeds are in results/accepted/<machine>/throughput.json, written by `python -m benchmarks.run throughput`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.core.record import Frozen
from benchmarks.core.units import size
from benchmarks.running.runner import missing
from senm.support.errors import DataError, unknown
from senm.support.progress import duration

if TYPE_CHECKING:
    from benchmarks.core.step import Step
    from benchmarks.planning.plan import Plan
    from benchmarks.store.store import Store

ACCEPTED = Path(__file__).resolve().parents[2] / "results" / "accepted"
FILE = "throughput.json"
# Millions of parameters at paper scale: a stored checkpoint has four bytes for each.
PARAMETERS = {
    "senm-vae": 17.1,
    "senm-paired": 17.0,
    "c2n": 2.2,
    "dncnn": 0.6,
    "drunet": 32.6,
    "nafnet": 116.0,
    "nafnet-finetune": 116.0,
    "esrgan": 16.7,
}
IMAGE_BYTES = {"sidd": 256 * 256 * 3, "aim19": 510 * 339 * 3, "ntire20": 510 * 339 * 3}


class Rate(Frozen):
    """A measured speed: units (iterations or images) a second of a system's step at a scale."""

    kind: str
    system: str
    scale: str
    unit: str
    per_second: float


class Throughput(Frozen):
    """The speeds of one machine. `machine` describes it, `date` is when it was measured."""

    machine: dict[str, str]
    date: str
    rates: tuple[Rate, ...]


@dataclass(frozen=True)
class Estimate:
    """Times and sizes of steps by the speeds of one machine."""

    machine: str
    scale: str
    rates: tuple[Rate, ...] = ()
    about: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, device: str, scale: str, machine: str = "", root: Path = ACCEPTED) -> Estimate:
        """The speeds of a named machine, or of the first one with a GPU (paper scale) or a CPU (other scales).

        Raises:
            UsageError: no such machine.
            DataError: a file that cannot be read.
        """
        known = {path.parent.name: path for path in sorted(root.glob(f"*/{FILE}"))}
        if machine and machine not in known:
            raise unknown("machine", machine, known or ["(none measured yet)"])
        name = machine or _first(known, gpu=scale == "paper" or device.startswith("cuda"))
        if not name:
            return cls("", scale)
        try:
            found = Throughput.model_validate_json(known[name].read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{known[name]} cannot be read: {error}") from error
        return cls(name, scale, found.rates, {**found.machine, "date": found.date})

    def seconds(self, step: Step) -> float | None:
        """Time of a step, None where its speed was never measured. A released checkpoint takes none."""
        if step.released:
            return 0.0
        if not any(step.cost.values()):
            return 0.0
        total = 0.0
        for unit, amount in step.cost.items():
            system = str(step.params.get("system", ""))
            kind = "sample" if step.kind == "draws" else step.kind
            rate = next(
                (r for r in self.rates if (r.kind, r.system, r.scale, r.unit) == (kind, system, self.scale, unit)),
                None,
            )
            if rate is None:
                return None
            total += amount / rate.per_second
        return total

    def words(self, step: Step) -> str:
        """The time of a step as text."""
        seconds = self.seconds(step)
        return "?" if seconds is None else duration(seconds)

    def bytes(self, step: Step, image_bytes: int) -> int:
        """Disk space of a step's artefact."""
        if step.kind in ("sample", "restore", "external"):
            return int(step.cost.get("images", 0) * image_bytes)
        if step.kind in ("fit", "fit-restorer", "weights"):
            small = 1 if self.scale == "paper" else 0.02
            return int(4e6 * small * PARAMETERS.get(str(step.params.get("system")), 1.0))
        return 200_000

    def totals(self, plan: Plan, store: Store) -> list[str]:
        """Sentences on the time and disk space of what a run would do now."""
        todo = missing(plan, store)
        times = [self.seconds(step) for step in todo]
        known = sum(time for time in times if time is not None)
        unknown_steps = sum(time is None for time in times)
        lines = [f"disk: {size(self._disk(todo))} for {len(todo)} steps to do"]
        if not self.machine:
            return [*lines, "time: unknown, no speed was measured yet (python -m benchmarks.run throughput)"]
        text = f"time: {known / 3600:.1f} hours ({duration(known)}), measured on {self.machine}"
        gpu = self.about.get("gpu") or self.about.get("processor", "")
        text += f" ({gpu}, {self.about.get('date', '')})" if gpu else ""
        return [*lines, text + (f"; {unknown_steps} steps of unknown speed come on top" if unknown_steps else "")]

    def as_json(self, plan: Plan, store: Store) -> dict[str, Any]:
        """The plan with keys, states and estimates, for programs."""
        todo, users = {step.key for step in missing(plan, store)}, plan.users()
        steps = [
            {
                "key": step.key,
                "kind": step.kind,
                "label": step.label,
                "to do": step.key in todo,
                "released": bool(step.released),
                "tables": users[step.key],
                "seconds": self.seconds(step),
                "bytes": self.bytes(step, _image_bytes(step)),
            }
            for step in plan.steps()
        ]
        return {"machine": self.machine, "scale": plan.scale.name, "seeds": list(plan.seeds), "steps": steps}

    def _disk(self, steps: Iterable[Step]) -> int:
        return sum(self.bytes(step, _image_bytes(step)) for step in steps)


def _image_bytes(step: Step) -> int:
    plain = IMAGE_BYTES.get(str(step.params.get("data")), 128 * 128 * 3)
    return plain * (16 if step.kind == "restore" and str(step.params.get("system")) == "esrgan" else 1)


def _first(known: dict[str, Path], gpu: bool) -> str:
    fitting = [name for name in known if name.endswith("-cpu") != gpu]
    return next(iter(fitting or known), "")

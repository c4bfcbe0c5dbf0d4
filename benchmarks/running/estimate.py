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
GPUS = {"A100": 156.0, "H100": 494.7}
"""TFLOP/s in dense TF32 by NVIDIA's data sheets (A100 and H100 SXM)."""
IMAGE_BYTES = {"sidd": 256 * 256 * 3, "aim19": 510 * 339 * 3, "ntire20": 510 * 339 * 3}


class Rate(Frozen):
    """A measured speed: units (iterations or images) a second of a system's step at a scale.

    `gflop` is 1e9 floating-point operations a unit as torch counts them, `memory_mib` the peak memory of the process;
    0 where they were not counted.
    """

    kind: str
    system: str
    scale: str
    unit: str
    per_second: float
    gflop: float = 0.0
    memory_mib: float = 0.0

    @property
    def about(self) -> tuple[str, str, str, str]:
        """What the rate is of."""
        return self.kind, self.system, self.scale, self.unit

    def share(self, peak: float) -> float:
        """The part of a convolution rate of `peak` TFLOP/s that it reaches, 0 where that is not known."""
        return self.gflop * self.per_second / (1000 * peak) if peak else 0.0

    def with_counts(self, old: Rate | None) -> Rate:
        """The rate with an older one's operations and memory, where it has none of its own."""
        if old is None:
            return self
        return self.model_copy(update={"gflop": self.gflop or old.gflop,
                                       "memory_mib": self.memory_mib or old.memory_mib})


class Throughput(Frozen):
    """The speeds of one machine. `machine` describes it, `date` is when it was measured, `peak` in TFLOP/s."""

    machine: dict[str, str]
    date: str
    rates: tuple[Rate, ...]
    peak: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """Times and sizes of steps by the speeds of one machine."""

    machine: str
    scale: str
    rates: tuple[Rate, ...] = ()
    about: dict[str, str] = field(default_factory=dict)
    peak: float = 0.0

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
        return cls(name, scale, found.rates, {**found.machine, "date": found.date}, found.peak)

    def seconds(self, step: Step) -> float | None:
        """Time of a step, None where its speed was never measured. A released checkpoint takes none."""
        if step.released:
            return 0.0
        if not any(step.cost.values()):
            return 0.0
        total = 0.0
        for unit, amount in step.cost.items():
            rate = self._rate(step, unit)
            if rate is None:
                return None
            total += amount / rate.per_second
        return total

    def memory_mib(self, step: Step) -> float:
        """Peak memory of a step where it was measured, 0 where it was not or nothing is made."""
        found = [] if step.released else [self._rate(step, unit) for unit, amount in step.cost.items() if amount]
        return max((rate.memory_mib for rate in found if rate is not None), default=0.0)

    def _rate(self, step: Step, unit: str) -> Rate | None:
        kind = "sample" if step.kind == "draws" else step.kind
        wanted = (kind, str(step.params.get("system", "")), self.scale, unit)
        return next((rate for rate in self.rates if rate.about == wanted), None)

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
        lines = [f"disk: {size(self._disk(todo))} for {len(todo)} steps to do{self._discarding(todo)}"]
        if not self.machine:
            return [*lines, "time: unknown, no speed was measured yet (python -m benchmarks.run throughput)"]
        text = f"time: {known / 3600:.1f} hours ({duration(known)}), measured on {self.machine}"
        gpu = self.about.get("gpu") or self.about.get("processor", "")
        text += f" ({gpu}, {self.about.get('date', '')})" if gpu else ""
        lines.append(text + (f"; {unknown_steps} steps of unknown speed come on top" if unknown_steps else ""))
        return [*lines, *self._on_gpu(known), *self._memory(todo)]

    def _on_gpu(self, known: float) -> list[str]:
        """The hours on a GPU, were it as busy as the processor they were measured on."""
        if self.scale != "paper" or not self.peak or not known or not self.machine.endswith("-cpu"):
            return []
        hours = {name: known / 3600 * self.peak / peak for name, peak in GPUS.items()}
        said = " or ".join(f"{value:,.0f} hours on one {name}" for name, value in hours.items())
        return [f"estimate for a GPU, not measured: at least {said}, if each step reached the share of the data "
                f"sheet's dense TF32 rate that it reaches here of {self.peak:.2g} TFLOP/s; small networks reach less"]

    def _memory(self, todo: list[Step]) -> list[str]:
        measured = [(self.memory_mib(step), step.label) for step in todo]
        most, label = max(measured, default=(0.0, ""))
        if not most:
            return []
        unmeasured = sum(mib == 0 for mib, _ in measured)
        rest = f"; {unmeasured} steps were not measured" if unmeasured else ""
        return [f"memory: {most / 1024:.1f} GiB at most ({label}){rest}"]

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
                "memory_mib": self.memory_mib(step),
            }
            for step in plan.steps()
        ]
        return {"machine": self.machine, "scale": plan.scale.name, "seeds": list(plan.seeds), "steps": steps}

    def _discarding(self, todo: list[Step]) -> str:
        """What `--discard` makes of the disk space: of the images that restorers learn from the largest set stays."""
        learnt = {each.key for step in todo for role, each in step.inputs.items() if role == "synthetic"}
        sets = [self.bytes(step, _image_bytes(step)) for step in todo if step.key in learnt]
        return f", {size(self._disk(todo) - sum(sets) + max(sets))} at once with --discard" if len(sets) > 1 else ""

    def _disk(self, steps: Iterable[Step]) -> int:
        return sum(self.bytes(step, _image_bytes(step)) for step in steps)


def _image_bytes(step: Step) -> int:
    plain = IMAGE_BYTES.get(str(step.params.get("data")), 128 * 128 * 3)
    return plain * (16 if step.kind == "restore" and str(step.params.get("system")) == "esrgan" else 1)


def _first(known: dict[str, Path], gpu: bool) -> str:
    fitting = [name for name in known if name.endswith("-cpu") != gpu]
    return next(iter(fitting or known), "")

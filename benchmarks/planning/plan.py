"""From tables to a graph of steps: rows share a step wherever its description, and so its key, is the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from benchmarks.core.record import Filled
from benchmarks.core.scale import Scale
from benchmarks.core.step import Step, unique
from benchmarks.data.datasets import Data
from benchmarks.metrics import draws_of
from benchmarks.planning.making import StepMaker
from benchmarks.tables import RowSpec, TableSpec

SERVER = ("bench", "dnd")


@dataclass(frozen=True)
class RowPlan:
    """One row and one replicate: the evaluate steps that fill it, by kind ('noise', 'restoration'), or why not."""

    row: RowSpec
    seed: int
    filled: Filled
    evaluations: Mapping[str, Step] = field(default_factory=dict)
    fit: Step | None = None
    reason: str = ""

    @property
    def network(self) -> Step | None:
        """The step that makes the row's restorer, where it has one."""
        step = self.evaluations.get("restoration")
        images = step.inputs.get("images") if step else None
        return images.inputs.get("model") if images else None

    @property
    def start(self) -> Step | None:
        """The published weights from which the training of the row's restorer goes on, where it does."""
        step = self.network.inputs.get("start") if self.network else None
        return step if step is not None and step.kind == "weights" else None


@dataclass(frozen=True)
class TablePlan:
    """A table with a plan for each of its rows and replicates."""

    spec: TableSpec
    data: Data
    rows: tuple[RowPlan, ...]

    def steps(self) -> list[Step]:
        """Every step of the table once, inputs first."""
        return unique(step for row in self.rows for step in row.evaluations.values())


@dataclass(frozen=True)
class Plan:
    """Tables and the steps that they need together."""

    tables: tuple[TablePlan, ...]
    scale: Scale
    seeds: tuple[int, ...]

    def steps(self) -> list[Step]:
        """Every step once, inputs first."""
        return unique(step for table in self.tables for row in table.rows for step in row.evaluations.values())

    def users(self) -> dict[str, list[str]]:
        """Step key -> the tables that use it, in order."""
        found: dict[str, list[str]] = {}
        for table in self.tables:
            for step in table.steps():
                found.setdefault(step.key, []).append(table.spec.id)
        return found


class Planner(StepMaker):
    """Plans tables and rows on one data set at one scale; see `StepMaker` for what it is given."""

    def table(self, spec: TableSpec, rows: Iterable[RowSpec], seeds: Iterable[int]) -> TablePlan:
        """The table with these rows planned for these replicates."""
        seeds = tuple(seeds)
        return TablePlan(spec, self.data, tuple(self.row(spec, row, seed) for row in rows for seed in seeds))

    def row(self, spec: TableSpec, row: RowSpec, seed: int) -> RowPlan:
        """One replicate of one row; a row that this project does not make is quoted from the paper."""
        if row.external:
            return self.external(spec, row, seed)
        found = self.weights.get((spec.id, row.id))
        unfilled: Filled = "quoted" if row.paper else "none"
        if not row.made and found is None:
            return RowPlan(row, seed, unfilled, reason=f"{row.label} has no training here")
        if found is None and self.lacks_pairs(row):
            return RowPlan(row, seed, unfilled, reason=f"{row.label} needs pairs, and {self.data.name} has none")
        evaluations: dict[str, Step] = {}
        metrics = [column.metric for column in spec.columns if column.split not in SERVER]
        train = self.fit(row.noise, seed) if row.noise and row.noise.system != "real" else None
        if found is not None and spec.task == "noise":
            train = self.published(found)
        if spec.task == "noise" and row.noise:
            generated = self.sample(train, "validation", seed, row.noise.sampling) if train else None
            evaluations["noise"] = self.evaluate("noise", row, generated, metrics, seed)
            many = max((draws_of(name) for name in metrics), default=0)
            if train and many > 1:
                evaluations["draws"] = self.draws(row, train, many, seed)
        if found is not None and spec.task != "noise":
            network = self.published(found)
            evaluations["restoration"] = self.restoration(row, network, metrics, 0)
            return RowPlan(row, seed, "released weights", evaluations)
        if row.restorer:
            network = self.fit_restorer(row.restorer, train, seed, row.noise.sampling if row.noise else {})
            evaluations["restoration"] = self.restoration(row, network, metrics, seed)
        trained = [
            step for root in evaluations.values() for step in root.walk() if step.kind in ("fit", "fit-restorer")
        ]
        ready = bool(trained) and all(step.released for step in trained)
        filled: Filled = "plugin" if row.plugin else "released checkpoint" if ready else "trained"
        filled = "released weights" if found is not None else filled
        return RowPlan(row, seed, filled, evaluations, train)

    def lacks_pairs(self, row: RowSpec) -> bool:
        """Whether a row trains on pairs, real ones, and the data set has none."""
        if self.data.counts["paired"] > 0:
            return False
        counts = [row.noise.mix.paired if row.noise else 0, row.restorer.pairs if row.restorer else 0]
        return any(count != 0 for count in counts)

    def external(self, spec: TableSpec, row: RowSpec, seed: int) -> RowPlan:
        """Score a folder of images that somebody else made."""
        kind = "noise" if spec.task == "noise" else "restoration"
        images = self.read_external(row, kind)
        metrics = [column.metric for column in spec.columns if column.split not in SERVER]
        return RowPlan(row, seed, "external", {kind: self.evaluate(kind, row, images, metrics, 0)})

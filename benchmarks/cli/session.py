"""A run from options to reports: check, prepare, plan, execute, assemble, write."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli.endless import refuse_endless, refuse_too_large
from benchmarks.core.options import Options, check_device
from benchmarks.core.scale import Scale, scale
from benchmarks.core.step import unique
from benchmarks.data import datasets
from benchmarks.planning.extra_rows import slug
from benchmarks.planning.plan import Plan, Planner, RowPlan, TablePlan
from benchmarks.tables import NAMES, RowSpec, TableSpec, table, with_draws, without_reference
from senm.support.errors import UsageError, unknown
from senm.support.files import write_bytes, write_text

if TYPE_CHECKING:
    from baselines.published.weights import Found
    from benchmarks.core.record import TableResult
    from benchmarks.core.step import Step
    from benchmarks.judging.assemble import Assembly
    from benchmarks.running.runner import Outcome
    from benchmarks.store.store import Store
    from senm.support.progress import Progress

REPLICATES = (0, 1, 2)


@dataclass(frozen=True)
class Prepared:
    """A plan with what is needed to run it; `skipped` says of tables why they are left out."""

    plan: Plan
    store: Store
    fd: str
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """The results of a run, the files written, and what was done."""

    results: list[TableResult]
    files: list[Path]
    outcome: Outcome
    skipped: dict[str, str]


def chosen(names: Iterable[str]) -> list[TableSpec]:
    """The tables of these names; 'all' is every one of them.

    Raises:
        UsageError: an unknown name.
    """
    names = list(names)
    return [table(name) for name in (NAMES if "all" in names else dict.fromkeys(names))]


def chosen_rows(specs: list[TableSpec], wanted: tuple[str, ...]) -> dict[str, list[RowSpec]]:
    """The rows of each table that were asked for; all without a wish.

    Raises:
        UsageError: a row that none of the tables has.
    """
    known = {row.id for spec in specs for row in spec.rows}
    for name in wanted:
        if name not in known:
            raise unknown("row", name, sorted(known))
    return {spec.id: [row for row in spec.rows if not wanted or row.id in wanted] for spec in specs}


def data_for(spec: TableSpec, options: Options) -> datasets.Spec | str:
    """The data set for a table among those given, the paper's own first; or the reason why there is none."""
    given = [datasets.parse(text) for text in options.data]
    usable = [each for each in given if datasets.fits(each, spec.task)]
    own = [each for each in usable if each.kind == spec.paper_data]
    if spec.task == "sr" and not own and any(each.kind == "sidd" for each in given):
        return f"{spec.id} needs --data {spec.paper_data}:PATH beside SIDD"
    if not usable:
        return (
            f"{spec.id} cannot run on {', '.join(each.kind for each in given)}; it needs --data {spec.paper_data}:PATH"
        )
    others = [each for each in usable if each.kind not in datasets.SUPER_RESOLUTION]
    return (own or others or usable)[0]


def prepare(names: Iterable[str], options: Options, progress: Progress, run: bool = True) -> Prepared:
    """Check the options, load the data and plan; with `run` false nothing is prepared or written.

    Raises:
        SenmError: anything that is wrong with the options, the data or the machine.
    """
    specs = chosen(names)
    left_out = [name for name in options.external if options.rows and slug(name) not in options.rows]
    if left_out:
        raise UsageError(f"--external {left_out[0]} beside --rows {','.join(options.rows)}",
                         f"--rows with {slug(left_out[0])}, or neither", "add it to --rows")
    if run:
        options.check()
    size = scale(options.scale)
    sources = {spec.id: data_for(spec, options) for spec in specs}
    from benchmarks.planning.extra_rows import with_extra_rows

    if run and options.on == "local":
        check_device(options.device)
    specs = [with_draws(spec, options.draws) for spec in with_extra_rows(specs, options)]
    rows = chosen_rows(specs, options.rows)
    skipped = {name: found for name, found in sources.items() if isinstance(found, str)}
    if len(skipped) == len(specs):
        raise UsageError(next(iter(skipped.values())))

    from benchmarks.metrics import chosen as frechet
    from benchmarks.store.released import by_identity
    from benchmarks.store.store import Store

    store = Store(options.store)
    fd = frechet.chosen()
    released = by_identity() if size.released and not options.retrain else {}
    weights, starts = _weights(options, progress)
    if options.weights is not None and not starts and not {table for table, _ in weights} & {s.id for s in specs}:
        raise UsageError(f"no file of --weights {options.weights} fills a row of {', '.join(s.id for s in specs)}",
                         "published files under their published names",
                         f"python -m benchmarks.run weights scan {options.weights} says what each file is")
    loaded: dict[tuple[str, bool], datasets.Data] = {}
    plans: list[TablePlan] = []
    for spec in specs:
        source = sources[spec.id]
        if isinstance(source, str) or not rows[spec.id]:
            continue
        place = (repr(source), spec.task == "sr")
        if place not in loaded:
            loaded[place] = (
                datasets.load(source, size.name, spec.task, store, progress, options.trust_pairs)
                if run
                else datasets.foresee(source, size.name, spec.task, store)
            )
        planner = Planner(loaded[place], size, fd, released, weights, starts)
        wanted = options.seeds or (REPLICATES if released else REPLICATES[:1])
        planned = planner.table(spec if loaded[place].judged else without_reference(spec), rows[spec.id], wanted)
        if not options.seeds:
            planned = ready_replicates(planned)
        plans.append(planned if options.train or options.rows or options.retrain else answers_first(planned, store))
    seeds = options.seeds or tuple(sorted({row.seed for each in plans for row in each.rows} or {0}))
    return Prepared(Plan(tuple(plans), size, seeds), store, fd, skipped)


def foreseen(names: Iterable[str], options: Options) -> tuple[Plan, Store]:
    """The plan of a run and its store, with nothing prepared or written."""
    from senm.support.progress import NullProgress

    ready = prepare(names, options, NullProgress(), run=False)
    return ready.plan, ready.store


def ready_replicates(planned: TablePlan) -> TablePlan:
    """The first replicate of every row, and of its others those that cost no training: what runs without `--seeds`."""
    ready = [row for row in planned.rows if row.seed == REPLICATES[0] or row.filled == "released checkpoint"]
    return replace(planned, rows=tuple(ready))


def answers_first(planned: TablePlan, store: Store) -> TablePlan:
    """The table without the rows that would be trained, where others have released networks and can be had now.

    A row that was trained on this machine before stays. Where no row has released networks, all are trained.
    """
    if not any(row.filled == "released checkpoint" for row in planned.rows):
        return planned
    found = []
    for row in planned.rows:
        steps = unique(step for root in row.evaluations.values() for step in root.walk())
        waiting = [s for s in steps if s.kind in ("fit", "fit-restorer") and not s.released and store.get(s) is None]
        if row.filled == "trained" and any(step.cost.get("iterations", 0) for step in waiting):
            why = f"not trained yet at this scale: --train, or --rows {row.row.id}, trains it"
            row = RowPlan(row.row, row.seed, "quoted" if row.row.paper else "none", reason=why)
        found.append(row)
    return replace(planned, rows=tuple(found))


def _weights(options: Options, progress: Progress) -> tuple[dict[tuple[str, str], Found], dict[str, Found]]:
    """Published weights of `--weights` by the rows that they fill and by the systems whose training they start.

    Says what is missing and where to get it.
    """
    if options.weights is None:
        return {}, {}
    from baselines.published.weights import scan

    found = scan(options.weights)
    for each in found:
        progress.say(each.sentence)
    usable = [each for each in found if each.usable]
    rows: dict[tuple[str, str], Found] = {}
    for each in usable:
        for place in each.release.rows:
            rows.setdefault(place, each)
    return rows, {system: each for each in usable for system in each.release.starts}


def run(names: Iterable[str], options: Options, progress: Progress) -> Finished:
    """Run tables and write their reports.

    Raises:
        SenmError: anything that stops the whole run.
    """
    from benchmarks.core import environment
    from benchmarks.report.plans import plan_lines
    from benchmarks.running.discard import discard
    from benchmarks.running.estimate import Estimate
    from benchmarks.running.runner import Runner, missing
    from benchmarks.running.steps import Bench

    clock = environment.Clock()
    names = list(names)
    options.check()
    refuse_endless(options, lambda: foreseen(names, options))
    ready = prepare(names, options, progress)
    wanted = options.deterministic
    if wanted is None:
        wanted = environment.by_default(options.scale, options.device)
    environment.deterministic(wanted, options.device)
    for name, reason in ready.skipped.items():
        progress.say(f"{name} is left out: {reason}")
    if missing(ready.plan, ready.store):
        estimate = Estimate.load(options.device, options.scale)
        for line in plan_lines(ready.plan, ready.store, trainings=True):
            progress.say(line)
        for line in estimate.totals(ready.plan, ready.store):
            progress.say(line)
        refuse_too_large(options, missing(ready.plan, ready.store), estimate)
    data = {each.data.fingerprint: each.data.prepared for each in ready.plan.tables if each.data.prepared is not None}
    bench = Bench(options.device, data, progress, ready.store.workdir)
    if options.side_by_side:
        from benchmarks.cluster.run import side_by_side

        estimate = Estimate.load(options.device, options.scale)
        outcome = side_by_side(ready.plan, ready.store, bench, options, estimate, wanted)
    else:
        made = partial(discard, plan=ready.plan, store=ready.store) if options.discard else None
        outcome = Runner(ready.store, bench, made=made).run(ready.plan)
    results, files = [], []
    for planned in ready.plan.tables:
        result, paths = report(
            planned, ready, outcome, options, environment.provenance(options.device, clock, command(sys.argv))
        )
        results.append(result)
        files += paths
    files += html(results, options)
    return Finished(results, files, outcome, ready.skipped)


def command(words: list[str]) -> str:
    """The command line as a record keeps it: of absolute paths only the last part, which is nobody's secret.

    >>> command(["/opt/x/run.py", "table1", "--data", "sidd:/home/me/SIDD"])
    'run.py table1 --data sidd:SIDD'
    """
    return " ".join(re.sub(r"(^|[:=])/(?:[^/,]*/)*", r"\1", word) for word in words)


def folder_of(name: str, data: str, size: Scale, options: Options) -> Path:
    """Where the results of a table go; some of its rows do not take the place of all of them."""
    return options.out / name / (f"{data}-{size.name}" + ("-rows" if options.rows else ""))


def report(
    planned: TablePlan, ready: Prepared, outcome: Outcome, options: Options, provenance: object
) -> tuple[TableResult, list[Path]]:
    """Assemble one table and write it in every textual form."""
    from benchmarks.judging.assemble import Assembly, assemble
    from benchmarks.report.text import write_all
    from benchmarks.servers.scores import known_scores

    folder = folder_of(planned.spec.id, planned.data.name, ready.plan.scale, options)
    scores = known_scores(planned.spec.id, planned.data.name, options.scale)
    given = Assembly(planned, ready.plan.scale, ready.plan.seeds, ready.store, outcome, scores, ready.fd)
    result = attach(assemble(given, provenance), given, folder)  # type: ignore[arg-type]
    return result, list(write_all(result, folder).values())



def attach(result: TableResult, given: Assembly, folder: Path) -> TableResult:
    """Copy records, training logs and picture strips beside the table; paths in the result are relative to it."""
    from benchmarks.core.record import EvaluationRecord, read
    from benchmarks.report.run_pictures import strips
    from benchmarks.running.measure import RECORD

    records: dict[str, str] = {}
    curves: dict[str, str] = {}
    for planned in given.plan.rows:
        tag = f"{planned.row.id}-{planned.seed}"
        for kind, step in planned.evaluations.items():
            path = given.store.get(step)
            if path is None:
                continue
            record: EvaluationRecord = read(path / RECORD, EvaluationRecord)
            named = record.model_copy(update={"system": planned.row.label, "scale": given.scale.name})
            target = folder / "records" / f"{tag}-{kind}.json"
            write_text(target, named.model_dump_json(indent=1) + "\n")
            records[f"{tag}-{kind}"] = f"records/{target.name}"
        for what, step in _trainings(planned):
            log = given.store.path(step.key) / "log.jsonl"
            if log.is_file():
                target = folder / "curves" / f"{tag}-{what}.jsonl"
                write_bytes(target, log.read_bytes())
                curves[f"{planned.row.label} {planned.row.paired} {what} (seed {planned.seed})"] = (
                    f"curves/{target.name}"
                )
    return result.model_copy(update={"records": records, "curves": curves, "images": strips(given, folder)})


def _trainings(planned: RowPlan) -> list[tuple[str, Step]]:
    found = [("noise", planned.fit)] if planned.fit else []
    return [*found, ("restorer", planned.network)] if planned.network else found


def page_of(results: list[TableResult], options: Options) -> str:
    """File name of the page over several tables, by the data that they were given: 'all-sidd-aim19-paper.html'."""
    data = dict.fromkeys(result.data.removesuffix("-x4") for result in results)
    return "-".join(("all", *data, options.scale, *(["rows"] if options.rows else []))) + ".html"


def html(results: list[TableResult], options: Options) -> list[Path]:
    """An HTML page for each table and, for several, one over all of them."""
    from benchmarks.core.options import ROOT
    from benchmarks.report.context import ReportContext, collect
    from benchmarks.report.html import write_html
    from benchmarks.report.parts.index import write_index

    size = scale(options.scale)
    paths, whole = [], ReportContext()
    for result in results:
        folder = folder_of(result.table, result.data, size, options)
        context = collect(folder, ROOT / "results" / "accepted")
        paths.append(write_html([result], folder / "report.html", context))
        whole = whole.merged(context)
    if len(results) > 1:
        paths.append(write_html(results, options.out / page_of(results, options), whole))
    write_index(options.out)
    return paths

"""What the commands of `benchmarks.run` do: run, plan, list, compare, report."""

from __future__ import annotations

import importlib
import json as json_
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks.core.options import ROOT, Options
from benchmarks.tables import NAMES, table
from senm.support.errors import DataError, UsageError
from senm.support.threads import settle

MODULES = {
    "prepare": "benchmarks.data.prepare",
    "doctor": "benchmarks.cli.doctor",
    "profile": "benchmarks.profiling.profiler",
    "throughput": "benchmarks.profiling.throughput",
    "gpu-day": "benchmarks.profiling.gpu_day",
}


def run_tables(names: Sequence[str], options: Options) -> int:
    """Run tables, print them, and return the exit code: 0, or that of the first system that failed."""
    if options.gpus and not options.container:
        raise UsageError("--gpus without --container", "GPUs for a container", "add --container, or say --device cuda")
    settle(options.threads)
    if options.container:
        from benchmarks.container.run import run_in_container

        return run_in_container(names, options)
    from benchmarks.cli.session import run
    from benchmarks.report.terminal import overview, show
    from benchmarks.running.runner import summary
    from senm.support.progress import console_progress

    with stdout_to_stderr():
        finished = run(names, options, console_progress())
    for folder in sorted({path.parent for path in finished.files}):
        print(f"written: {folder}", file=sys.stderr)
    print(summary(finished.outcome), file=sys.stderr)
    if options.json:
        text = [finite(result.model_dump(mode="json")) for result in finished.results]
        print(json_.dumps(text if len(names) > 1 or "all" in names else text[0], indent=1, allow_nan=False))
    else:
        pages = [path for path in finished.files if path.suffix == ".html"]
        for result, page in zip(finished.results, pages, strict=False):
            show(result, where=shown(page))
            print()
        if len(finished.results) > 1:
            overview(finished.results, shown(pages[-1]))
    failed = list(finished.outcome.failed.values())
    for error in failed:
        print(f"error: {error}", file=sys.stderr)
    return failed[0].exit_code if failed else 0


def shown(path: Path) -> str:
    """A path as short as can be: from the working folder where it lies below it."""
    full = path.resolve()
    return str(full.relative_to(Path.cwd())) if full.is_relative_to(Path.cwd()) else str(path)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what systems and their libraries print to stderr, the descriptor too: stdout holds results alone."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # a closed stream
        kept = -1
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if kept >= 0:
            os.dup2(kept, 1)
            os.close(kept)


def finite(value: Any) -> Any:
    """A JSON value with null in place of infinities and of what is no number, for which JSON has no word.

    >>> finite({"psnr": [float("inf"), 1.0]})
    {'psnr': [None, 1.0]}
    """
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_plan(
    names: Sequence[str], options: Options, machine: str = "", cluster: tuple[int, int, int, int] = (0, 0, 8, 64)
) -> int:
    """Print steps, hours and disk space of tables; nothing runs.

    Args:
        cluster: number of machines (0: no forecast for several), GPUs, cores and GiB of each.
    """
    options.refuse_container("plan")
    from benchmarks.cli.session import prepare
    from benchmarks.report.plans import plan_lines
    from benchmarks.running.estimate import Estimate
    from senm.support.progress import NullProgress

    ready = prepare(names, options, NullProgress(), run=False)
    estimate = Estimate.load(options.device, options.scale, machine)
    steps = ready.plan.steps()
    if options.json:
        print(json_.dumps(estimate.as_json(ready.plan, ready.store), indent=1))
        return 0
    for line in plan_lines(ready.plan, ready.store, estimate):
        print(line)
    for planned in ready.plan.tables:
        for note in planned.data.notes:
            print(f"{planned.spec.id}: {note}")
    for name, reason in ready.skipped.items():
        print(f"{name} is left out: {reason}")
    for line in estimate.totals(ready.plan, ready.store):
        print(line)
    if cluster[0]:
        from benchmarks.cluster.schedule import forecast_of

        print(forecast_of(ready.plan, ready.store, estimate, options, *cluster))
    return 0 if steps else 1


def print_list(json: bool = False) -> None:
    """Print tables with their rows and columns, data sets, scales and systems; nothing heavy is imported."""
    import baselines
    from benchmarks.core.options import SCALES
    from benchmarks.data.datasets import KINDS
    from benchmarks.metrics import METRICS

    specs = [table(name) for name in NAMES]
    if json:
        found: dict[str, Any] = {
            spec.id: {"rows": [row.id for row in spec.rows], "columns": [c.id for c in spec.columns]} for spec in specs
        }
        print(
            json_.dumps(
                {
                    "tables": found,
                    "systems": list(baselines.names()),
                    "data": KINDS,
                    "scales": SCALES,
                    "metrics": list(METRICS),
                },
                indent=1,
            )
        )
        return
    for spec in specs:
        print(f"{spec.id}: {spec.caption}")
        for row in spec.rows:
            made = "" if row.made else " (quoted)"
            print(f"  {row.id:18} {row.label}{f', {row.paired} pairs' if row.paired else ''}{made}")
        print(f"  columns: {', '.join(column.id for column in spec.columns)}")
    print(f"systems: {', '.join(baselines.names())}")
    print(f"data: {', '.join(KINDS)}")
    print(f"scales: {', '.join(SCALES)}")
    print(f"metrics: {', '.join(METRICS)}")


def print_presets(diff: bool) -> None:
    """Print every preset, or every point where the two dialects differ, with its source."""
    from senm.config import PRESETS, differences

    if not diff:
        for name, settings in PRESETS.items():
            print(f"[{name}]")
            for path, value in settings.flat().items():
                print(f"{path} = {value}")
        return
    for item in differences():
        print(f"{item['setting']}: paper {item['paper']}, authors {item['authors']}")
        if item["source"]:
            print(f"    {item['source']}")


def call(name: str, arguments: Sequence[str]) -> int:
    """Run the `main` of a module that has its own arguments.

    Raises:
        UsageError: this build of the project lacks the module.
    """
    try:
        module = importlib.import_module(MODULES[name])
    except ModuleNotFoundError as error:
        raise UsageError(f"the command {name} cannot be used: {error}") from error
    return int(module.main(list(arguments)) or 0)


def rewrite_reports(runs: Sequence[Path], out: Path) -> None:
    """Judge finished runs anew against the paper and write their reports again.

    Raises:
        DataError: no finished run there.
    """
    from benchmarks.core.record import TableResult, read
    from benchmarks.judging.claims import judge_result
    from benchmarks.judging.compare import compare_table
    from benchmarks.report.context import collect
    from benchmarks.report.html import write_html
    from benchmarks.report.parts.index import write_index
    from benchmarks.report.terminal import show
    from benchmarks.report.text import write_all

    folders = [path if path.is_dir() else path.parent for path in runs] or sorted(
        p.parent for p in out.glob("*/*/table.json")
    )
    if not folders:
        raise DataError(f"no finished run under {out}", "a folder with table.json", "python -m benchmarks.run table1")
    for folder in folders:
        result: TableResult = compare_table(read(folder / "table.json", TableResult))
        result = result.model_copy(update={"claims": judge_result(result)})
        write_all(result, folder)
        page = write_html([result], folder / "report.html", collect(folder, ROOT / "results" / "accepted"))
        show(result, where=shown(page))
    if not runs:
        write_index(out)

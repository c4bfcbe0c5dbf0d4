"""The commands beside the tables: what is there, what differs, reports, the store, servers, data and machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.cli.denoise import denoise
from benchmarks.cli.options import with_options
from benchmarks.core.options import RUNS, STORE, Options
from senm.support.errors import UsageError

Out = Annotated[Path, typer.Option(show_default="results/runs", help="Folder of results.")]
StoreRoot = Annotated[Path, typer.Option("--store", show_default="results/store", help="Folder of the store.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
Images = Annotated[
    Path | None, typer.Option(help="Folder of restored images, named after their input, instead of a row.")
]
EXAMPLES = {
    "list": "list --json",
    "presets": "presets --diff",
    "report": "report results/runs/table1/embedded-smoke",
    "compare": "compare results/runs/table1/embedded-short --rows senm-10 senm-all --page compared.html",
    "denoise": "denoise --with apbsn --noisy photos/noisy --out photos/restored --train",
    "plan": "plan all --scale paper --data sidd:DIR --data aim19:DIR",
    "store ls": "store ls",
    "store verify": "store verify",
    "store gc": "store gc --all",
    "store export": "store export 3f2a my-network",
    "store release": "store release table1",
    "weights scan": "weights scan downloads",
    "slurm": "slurm table1 --scale paper --data sidd:DIR --nodes 4 --gpus-per-node 8",
    "submit sidd": "submit sidd --rows senm-10 --scale paper --data sidd:DIR --to submission",
    "submit dnd": "submit dnd --images restored --to submission",
    "scores add": "scores add table2 senm-10 bench-psnr 38.9 --source ADDRESS --date 2024-06-17",
    "scores list": "scores list",
}
PASS_ON: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def add_to(app: typer.Typer) -> None:
    """Register the commands of this module."""
    for name, one in (("list", list_), ("presets", presets), ("report", report), ("compare", compare),
                      ("denoise", denoise), ("slurm", slurm)):
        app.command(name, epilog=example(name))(one)
    for name, text in (
        ("prepare", "Prepare a data set from its official download."),
        ("doctor", "Say what this machine has and lacks."),
        ("profile", "Measure speed, memory and share of the hardware's peak of the sampler."),
        ("gpu-day", "Do in pieces of ten minutes what only a GPU can show; the same command goes on."),
        ("throughput", "Measure how fast this machine trains and samples at paper scale, for the estimates of plan."),
    ):
        _pass_on(app, name, text)
    groups: tuple[tuple[str, str, dict[str, Callable[..., Any]]], ...] = (
        (
            "store",
            "Look after the store of results.",
            {"ls": store_ls, "verify": store_verify, "gc": store_gc, "export": store_export, "release": store_release},
        ),
        ("weights", "Look at published weights.", {"scan": weights_scan}),
        ("submit", "Write the files that the benchmark servers take.", {"sidd": submit_sidd, "dnd": submit_dnd}),
        ("scores", "Keep the scores that the servers returned.", {"add": scores_add, "list": scores_list}),
    )
    for name, text, commands in groups:
        group = typer.Typer(no_args_is_help=True, help=text)
        for word, command in commands.items():
            group.command(word, epilog=example(f"{name} {word}"))(command)
        app.add_typer(group, name=name)


def example(name: str) -> str:
    """The line below the help of a command."""
    return f"Example: python -m benchmarks.run {EXAMPLES.get(name, f'{name} --scale smoke')}"


def _pass_on(app: typer.Typer, name: str, text: str) -> None:
    """A command whose module reads its own arguments."""

    def command(context: typer.Context) -> None:
        from benchmarks.cli.tables import call

        raise typer.Exit(call(name, context.args))

    app.command(name, help=text, context_settings=PASS_ON, add_help_option=False)(command)


def list_(json: Json = False) -> None:
    """List tables, their rows and columns, data sets, scales and metrics."""
    from benchmarks.cli.tables import print_list

    print_list(json)


def presets(diff: Annotated[bool, typer.Option("--diff", help="Only what differs, with its source.")] = False) -> None:
    """Print the presets of the method, or where the paper and the authors' code differ."""
    from benchmarks.cli.tables import print_presets

    print_presets(diff)


def report(
    runs: Annotated[list[Path] | None, typer.Argument(help="Run folders; all under --out if none is named.")] = None,
    out: Out = RUNS,
) -> None:
    """Write the reports of finished runs again, from their records alone."""
    from benchmarks.cli.tables import rewrite_reports

    rewrite_reports(runs or [], out)


def compare(
    a: Annotated[Path, typer.Argument(help="A run folder, a table.json or a record.")],
    b: Annotated[Path | None, typer.Argument(help="Another one; leave it out with --rows.")] = None,
    rows: Annotated[tuple[str, str] | None, typer.Option(help="Two rows of one run.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write it as a page, too.")] = None,
) -> None:
    """Compare two runs of a table image by image, or two rows of one run over images and over replicates."""
    from benchmarks.cli.compare import compare_rows, compare_runs

    if (b is None) == (rows is None):
        raise UsageError("compare needs two runs, or one run and two rows", "RUN RUN, or RUN --rows A B")
    raise typer.Exit(compare_runs(a, b, page) if b is not None else compare_rows(a, *(rows or ("", "")), page))


@with_options
def slurm(
    tables: Annotated[list[str], typer.Argument(help="Tables, or all.")],
    nodes: Annotated[int, typer.Option(help="Nodes of the allocation.")] = 1,
    gpus_per_node: Annotated[int, typer.Option(help="GPUs of each node.")] = 0,
    cpus_per_node: Annotated[int, typer.Option(help="Cores of each node.")] = 8,
    memory: Annotated[int, typer.Option(help="GiB of each node; the site's default.")] = 0,
    time: Annotated[str, typer.Option(help="Time limit, as Slurm writes it.")] = "24:00:00",
    partition: Annotated[str, typer.Option(help="Partition of the site.")] = "",
    account: Annotated[str, typer.Option(help="Account of the site.")] = "",
    *,
    options: Options,
) -> int:
    """Print a Slurm job that runs tables on all nodes of an allocation, by Ray; send it with sbatch."""
    from benchmarks.cli.session import chosen
    from benchmarks.cluster.slurm import Allocation, job

    chosen(tables)
    options.check()
    asked = Allocation(nodes=nodes, gpus=gpus_per_node, cpus=cpus_per_node, memory=memory, time=time,
                       partition=partition, account=account)
    typer.echo(job(tables, options, asked), nl=False)
    return 0


def store_ls(store: StoreRoot = STORE) -> None:
    """List the stored results, the youngest last."""
    from benchmarks.cli.store import ls

    ls(store)


def store_verify(store: StoreRoot = STORE) -> None:
    """Hash every stored file; exit code 3 where one is damaged."""
    from benchmarks.cli.store import verify

    raise typer.Exit(verify(store))


def store_gc(
    store: StoreRoot = STORE,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove finished results too, not only left-overs.")
    ] = False,
) -> None:
    """Remove left-overs of stopped runs."""
    from benchmarks.cli.store import gc

    gc(store, everything)


def store_export(
    key: Annotated[str, typer.Argument(help="Key of a training, or its first digits.")],
    name: Annotated[str, typer.Argument(help="Folder name under results/checkpoints.")],
    store: StoreRoot = STORE,
) -> None:
    """Copy a trained network to results/checkpoints, where equal trainings find it."""
    from benchmarks.cli.store import export

    export(store, key, name)


@with_options
def store_release(
    tables: Annotated[list[str], typer.Argument(help="Tables, or all.")],
    full: Annotated[bool, typer.Option("--full", help="Keep float32 instead of float16.")] = False,
    *,
    options: Options,
) -> int:
    """Copy every network that tables need from the store to results/checkpoints."""
    from benchmarks.cli.store import release

    return release(tables, options, half=not full)


def weights_scan(
    folder: Annotated[Path, typer.Argument(help="Folder of downloaded files; folders below are searched, too.")],
    json: Json = False,
) -> None:
    """Say of each file of a folder which published network it is, by its hash and its layout, whatever its name."""
    from benchmarks.cli.weights import scan

    raise typer.Exit(scan(folder, json))


@with_options
def submit_sidd(
    images: Images = None,
    table: Annotated[str, typer.Option(help="Table of the row.")] = "table2",
    to: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("submission-sidd"),
    mat: Annotated[bool, typer.Option("--mat", help="Write the older SubmitSrgb.mat as well.")] = False,
    *,
    options: Options,
) -> int:
    """Write SubmitSrgb.csv for the SIDD benchmark from a row or a folder, and check it by reading it back."""
    from benchmarks.cli.submit import submit

    return submit("sidd", images, table, to, mat, options)


@with_options
def submit_dnd(
    images: Images = None,
    table: Annotated[str, typer.Option(help="Table of the row.")] = "table2",
    to: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("submission-dnd"),
    *,
    options: Options,
) -> int:
    """Write the 50 bundles for the DND benchmark from a row or a folder, and check them by reading them back."""
    from benchmarks.cli.submit import submit

    return submit("dnd", images, table, to, False, options)


def scores_add(
    table: Annotated[str, typer.Argument(help="table2 or table3.")],
    row: Annotated[str, typer.Argument(help="Row id.")],
    column: Annotated[str, typer.Argument(help="bench-psnr, bench-ssim, dnd-psnr or dnd-ssim.")],
    value: Annotated[float, typer.Argument(help="The returned score.")],
    source: Annotated[str, typer.Option(help="Where it can be looked up.")],
    date: Annotated[str, typer.Option(help="Date of the score, as 2024-06-17.")],
    scale: Annotated[str, typer.Option(help="Scale of the row.")] = "paper",
    data: Annotated[str, typer.Option(help="Data set of the row.")] = "sidd",
) -> None:
    """Store a score that a benchmark server returned; the table's cell then shows it."""
    from benchmarks.servers.scores import Score, add

    add(Score(table=table, row=row, column=column, value=value, date=date, source=source, scale=scale, data=data))
    typer.echo(f"stored: {table} {row} {column} {value:g}", err=True)


def scores_list() -> None:
    """Print all stored scores."""
    from benchmarks.servers.scores import read_scores

    for score in read_scores():
        typer.echo(f"{score.date}  {score.table}  {score.row}  {score.column}  {score.value:g}  {score.source}")

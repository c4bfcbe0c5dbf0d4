"""The options that all table commands share, as typer reads them, and the decorator that gives them to a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.core.options import RUNS, STORE, Options, external, rows, seeds

Scale = Annotated[str, typer.Option(help="smoke (minutes, proves the plumbing), short, or paper (GPU, real data).")]
DataSets = Annotated[
    list[str],
    typer.Option(
        "--data",
        help="embedded, folder:PATH[,A,B] (A and B end the names of noisy and clean images), sidd:PATH, polyu:PATH, "
        "cc:PATH; tables 4, 5: aim19:PATH, ntire20:PATH, unpaired:LOW,HIGH; dnd:PATH for submit dnd.",
    ),
]
Out = Annotated[Path, typer.Option(show_default="results/runs", help="Folder for results.")]
StoreRoot = Annotated[
    Path, typer.Option(show_default="results/store", help="Folder of the store, where finished steps are kept.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON on stdout.")]


def _options(
    scale: Scale = "short",
    data: DataSets = ["embedded"],  # noqa: B006
    row: Annotated[str, typer.Option("--rows", help="Row ids, separated by commas; see `list`.")] = "",
    seed: Annotated[str, typer.Option(
        "--seeds", help="Replicates: 0, 0-2 or 0,3,5. Without it: 0, and those with released networks.")] = "",
    train: Annotated[
        bool, typer.Option("--train", help="Train the rows that have no released checkpoints, too.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train again instead of using released checkpoints.")
    ] = False,
    device: Device = "cpu",
    out: Out = RUNS,
    store: StoreRoot = STORE,
    weights: Annotated[Path | None, typer.Option(help="Folder of published checkpoints that fill rows.")] = None,
    outside: Annotated[list[str], typer.Option("--external", help="NAME=DIR: score a folder of images as a row.")] = [],  # noqa: B006
    plugin: Annotated[list[str], typer.Option(help="module:Class: a noise model or restorer of your own.")] = [],  # noqa: B006
    deterministic: Annotated[
        bool | None,
        typer.Option(
            "--deterministic/--no-deterministic", help="Repeat to the bit; default for smoke and short on a CPU."
        ),
    ] = None,
    json: Json = False,
    container: Annotated[bool, typer.Option("--container", help="Run in the project's container image.")] = False,
    gpus: Annotated[str, typer.Option(help="GPUs for the container: all, or numbers separated by commas.")] = "",
    on: Annotated[str, typer.Option(help="local, ray (this machine), or ray:HOST:PORT (a running cluster).")] = "local",
    workers: Annotated[int, typer.Option(help="Steps that run side by side on this machine.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads of each step; all cores with one worker.")] = None,
    resources: Annotated[
        list[str], typer.Option(help="KIND=gpu:N,memory:GIB or KIND/SYSTEM=cpu:N: what a step asks for.")
    ] = [],  # noqa: B006
    yes: Annotated[bool, typer.Option("--yes", help="Start paper-scale trainings on a CPU or embedded data.")] = False,
    trust_pairs: Annotated[bool, typer.Option("--trust-pairs", help="Take pairs that do not look like pairs.")] = False,
    discard: Annotated[
        bool, typer.Option("--discard", help="Delete synthetic images once the restorer that learns from them is done.")
    ] = False,
    draws: Annotated[int, typer.Option(help="Draws of a column of average KLD (DANet: 50).")] = 0,
) -> Options:
    return Options(
        scale,
        tuple(data),
        rows(row),
        seeds(seed) if seed else (),
        train,
        retrain,
        device,
        out,
        store,
        weights,
        external(tuple(outside)),
        tuple(plugin),
        deterministic,
        json,
        container,
        gpus,
        on,
        workers,
        threads,
        tuple(resources),
        yes,
        draws,
        trust_pairs,
        discard,
    )


def with_options(function: Callable[..., int]) -> Callable[..., None]:
    """A command that takes the options of all table commands; `function` gets them as `options`."""
    own = [p for p in inspect.signature(function, eval_str=True).parameters.values() if p.name != "options"]
    shared = list(inspect.signature(_options, eval_str=True).parameters.values())
    names = {parameter.name for parameter in own}

    def command(**given: Any) -> None:
        mine = {name: given.pop(name) for name in names}
        raise typer.Exit(function(**mine, options=_options(**given)))

    command.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in [*own, *shared]}
    command.__doc__ = function.__doc__
    return command

"""The command line: `python -m benchmarks.run table1`. Thin: every command imports what it needs when it runs."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from benchmarks import run_more
from benchmarks.options import RUNS, STORE, Options, external, rows, seeds
from benchmarks.tables import NAMES
from senm.errors import SenmError, unknown

HELP = "Regenerate the tables of the SeNM-VAE paper and hold every cell and claim against it."
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=HELP)
Scale = Annotated[str, typer.Option(help="smoke (minutes, proves the plumbing), short, or paper (GPU, real data).")]
DataSets = Annotated[
    list[str],
    typer.Option("--data", help="embedded, folder:PATH[,noisy-suffix,clean-suffix], sidd:PATH, aim19:PATH, ntire20:PATH."),
]
Out = Annotated[Path, typer.Option(help="Folder for results.")]
StoreRoot = Annotated[Path, typer.Option(help="Folder of the store, where finished steps are kept.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON on stdout.")]


def _options(
    scale: Scale = "short",
    data: DataSets = ["embedded"],  # noqa: B006
    row: Annotated[str, typer.Option("--rows", help="Row ids, separated by commas; see `list`.")] = "",
    seed: Annotated[str, typer.Option("--seeds", help="Replicates: 0, 0-2 or 0,3,5.")] = "0",
    retrain: Annotated[bool, typer.Option("--retrain", help="Train again instead of using released checkpoints.")] = False,
    device: Device = "cpu",
    out: Out = RUNS,
    store: StoreRoot = STORE,
    weights: Annotated[Path | None, typer.Option(help="Folder of published checkpoints that fill rows.")] = None,
    outside: Annotated[list[str], typer.Option("--external", help="NAME=DIR: score a folder of images as a row.")] = [],  # noqa: B006
    plugin: Annotated[list[str], typer.Option(help="module:Class: a noise model or restorer of your own.")] = [],  # noqa: B006
    deterministic: Annotated[
        bool | None,
        typer.Option("--deterministic/--no-deterministic", help="Repeat to the bit; default for smoke and short on a CPU."),
    ] = None,
    json: Json = False,
    container: Annotated[bool, typer.Option("--container", help="Run in the project's container image.")] = False,
    gpus: Annotated[str, typer.Option(help="GPUs for the container: all, or numbers separated by commas.")] = "",
) -> Options:
    return Options(
        scale, tuple(data), rows(row), seeds(seed), retrain, device, out, store, weights, external(tuple(outside)),
        tuple(plugin), deterministic, json, container, gpus,
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


def _add_table(name: str) -> None:
    def function(options: Options) -> int:
        from benchmarks.commands import run_tables

        return run_tables([name], options)

    function.__doc__ = "Run every table and the figure." if name == "all" else f"Run {name} and print it with verdicts."
    app.command(name)(with_options(function))


for _name in (*NAMES, "all"):
    _add_table(_name)


@app.command("plan")
@with_options
def plan(
    tables: Annotated[list[str], typer.Argument(help="Tables, or all.")],
    machine: Annotated[str, typer.Option(help="Machine of results/accepted whose speed is used.")] = "",
    *,
    options: Options,
) -> int:
    """Print the steps, hours and disk space that tables would take, without running anything."""
    from benchmarks.commands import print_plan

    return print_plan(tables, options, machine)


run_more.add_to(app)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; errors become one sentence on stderr."""
    command = typer.main.get_command(app)
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _known_command(command, arguments)
        return int(command.main(args=arguments, prog_name="python -m benchmarks.run", standalone_mode=False) or 0)
    except SenmError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("\ninterrupted; run the same command again: finished steps are kept, trainings go on from their last "
              "checkpoint", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except TyperException as error:
        print(f"error: {getattr(error, 'format_message', error.__str__)()}", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))


def _known_command(command: Any, arguments: list[str]) -> None:
    name = next((word for word in arguments if not word.startswith("-")), "")
    if name and name not in command.commands:
        raise unknown("command", name, sorted(command.commands))


if __name__ == "__main__":
    sys.exit(main())

"""The command line: `python -m benchmarks.run table1`. Thin: every command imports what it needs when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from benchmarks.cli import more
from benchmarks.cli.options import with_options
from benchmarks.core.options import Options
from benchmarks.tables import NAMES
from senm.sampling.memory import keep_freed_memory
from senm.support.errors import SenmError, UsageError, unknown
from senm.support.files import machine_error
from senm.support.progress import printable, terminate_as_interrupt

HELP = "Regenerate the tables of the SeNM-VAE paper and hold every cell and claim against it."
INTERRUPTED = 130
INSTALLED = "senm-bench"  # the command that pip installs; only it can have tab completion
GO_ON = "\ninterrupted; run the same command again: finished steps are kept, trainings go on from their last checkpoint"
CODES = (
    "Example: python -m benchmarks.run table1 --scale smoke. Exit codes: 0 done, 1 a gate failed, 2 wrong use, "
    "3 broken data or checkpoint, 4 something the machine lacks, 5 a training that cannot go on, 130 interrupted. "
    "Results go to stdout, progress to stderr."
)
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=HELP, epilog=CODES)


def _add_table(name: str) -> None:
    def function(options: Options) -> int:
        from benchmarks.cli.tables import run_tables

        return run_tables([name], options)

    function.__doc__ = "Run every table and the figure." if name == "all" else f"Run {name} and print it with verdicts."
    app.command(name, epilog=more.example(name))(with_options(function))


for _name in (*NAMES, "all"):
    _add_table(_name)


@app.command("plan", epilog=more.example("plan"))
@with_options
def plan(
    tables: Annotated[list[str], typer.Argument(help="Tables, or all.")],
    machine: Annotated[str, typer.Option(help="Machine of results/accepted whose speed is used.")] = "",
    nodes: Annotated[int, typer.Option(help="Time on so many machines, too.")] = 0,
    gpus_per_node: Annotated[int, typer.Option(help="GPUs of each of them.")] = 0,
    cpus_per_node: Annotated[int, typer.Option(help="Cores of each of them.")] = 8,
    memory: Annotated[int, typer.Option(help="GiB of each of them.")] = 64,
    *,
    options: Options,
) -> int:
    """Print the steps, hours and disk space that tables would take, without running anything."""
    from benchmarks.cli.tables import print_plan

    asked = (nodes, gpus_per_node, cpus_per_node, memory)
    if min(asked) < 0 or (gpus_per_node and not nodes):
        raise UsageError(f"--nodes {nodes} --gpus-per-node {gpus_per_node}", "how many machines, and what each has",
                         "--nodes 4 --gpus-per-node 8")  # fmt: skip
    return print_plan(tables, options, machine, asked)


more.add_to(app)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; errors become one sentence on stderr."""
    command = typer.main.get_command(app)
    installed = Path(sys.argv[0]).name == INSTALLED
    program = INSTALLED if installed and arguments is None else "python -m benchmarks.run"
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _known_command(command, arguments)
        code = int(command.main(args=arguments, prog_name=program, standalone_mode=False) or 0)
    except SenmError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        refused = machine_error(error)
        if refused is None:
            raise
        print(f"error: {refused}", file=sys.stderr)
        return refused.exit_code
    except TyperException as error:
        print(f"error: {getattr(error, 'format_message', error.__str__)()}", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))
    if code == INTERRUPTED:
        print(GO_ON, file=sys.stderr)
    return code


def _known_command(command: Any, arguments: list[str]) -> None:
    name = next((word for word in arguments if not word.startswith("-")), "")
    if name and name not in command.commands:
        raise unknown("command", name, sorted(command.commands))


def program() -> int:
    """The installed command and `python -m benchmarks.run`."""
    terminate_as_interrupt()
    printable()
    keep_freed_memory()
    return main()


if __name__ == "__main__":
    sys.exit(program())

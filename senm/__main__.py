"""`python -m senm train | sample | denoise | models | export`: SeNM-VAE on one's own photographs."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from senm.cli.models import export, models
from senm.cli.options import Device, Model, Out, Seed, Tile
from senm.cli.train import train
from senm.sampling.memory import keep_freed_memory
from senm.support.errors import MachineError, SenmError, unknown
from senm.support.progress import printable, terminate_as_interrupt

INTERRUPTED = 130
COMMANDS = ("train", "sample", "denoise", "models", "export")
SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
"""What the operating system refuses for want of space or permission, which a sentence says as well as a traceback."""
app = typer.Typer(add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False,
                  help="Train a noise model on your own photographs, put its noise on others, or denoise with it.",
                  epilog="Example: python -m senm sample --model model --clean photos --out synthetic. "
                         "Exit codes: 0 done, 2 wrong use, 3 broken data or checkpoint, 4 something the machine lacks, "
                         "5 a training that cannot go on, 130 interrupted.")

for command in (train, models, export):
    app.command()(command)


@app.command()
def sample(
    model: Model,
    clean: Annotated[Path, typer.Option(help="Folder of clean images, of any size.")],
    out: Out,
    level: Annotated[float | None, typer.Option(help="One noise level for all, 0 to 1; else the model's own.")] = None,
    temperature: Annotated[float, typer.Option(help="Factor on the degradation latent.")] = 1.0,
    tile: Tile = None,
    seed: Seed = 0,
    device: Device = "cpu",
    precision: Annotated[str, typer.Option(
        help="float32, tf32, bf16, or auto: bf16 where it is fast and changes no image.")] = "float32",
) -> None:
    """Put the model's noise on clean photographs. A stopped run goes on without redoing finished images.

    Images that were made otherwise are never taken for finished: another run needs another --out.

    Example: python -m senm sample --model model --clean photos/clean --out photos/synthetic
    """
    from senm.sampling.pipeline import sample_folder
    from senm.sampling.precision import AUTO
    from senm.sampling.sampler import check_noise, check_tile
    from senm.sampling.trained import Trained
    from senm.support.progress import console_progress

    check_noise(level, temperature)
    check_tile(tile)
    trained, progress = Trained.load(model, device), console_progress()
    if precision == AUTO:
        choice = trained.precision(device)
        progress.say(choice.sentence)
        precision = choice.precision
    done = sample_folder(trained, clean, out, seed=seed, device=device, level=level, temperature=temperature,
                         tile=tile, precision=precision, progress=progress)
    print(f"{done} image{'' if done == 1 else 's'} in {out}")


@app.command()
def denoise(
    model: Model,
    noisy: Annotated[Path, typer.Option(help="Folder of noisy images, of any size.")],
    out: Out,
    tile: Tile = None,
    device: Device = "cpu",
) -> None:
    """Denoise photographs with a semi-supervised model's own inference: z from q(z given y), then the clean image.

    A stopped run goes on without redoing finished images.

    Example: python -m senm denoise --model model --noisy photos/noisy --out photos/denoised
    """
    from senm.sampling.pipeline import denoise_folder
    from senm.sampling.sampler import check_tile
    from senm.sampling.trained import Trained
    from senm.support.progress import console_progress

    check_tile(tile)
    done = denoise_folder(Trained.load(model, device), noisy, out, tile=tile, progress=console_progress())
    print(f"{done} image{'' if done == 1 else 's'} in {out}")


def main(arguments: list[str] | None = None) -> int:
    """The command line; errors of the user's end in one sentence and the error's exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if words and not words[0].startswith("-") and words[0] not in COMMANDS:
            raise unknown("command", words[0], COMMANDS)
        code = app(words, standalone_mode=False)  # which returns the code where the command line ends early
        return interrupted(words) if code == INTERRUPTED else int(code or 0)
    except SenmError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except (typer.Exit, SystemExit) as leave:
        return int(getattr(leave, "exit_code", getattr(leave, "code", 0)) or 0)
    except (typer.Abort, KeyboardInterrupt):
        return interrupted(words)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in SYSTEM:
            raise
        print(f"error: {refused(error)}", file=sys.stderr)
        return MachineError.exit_code
    except TyperException as error:
        print(f"error: {getattr(error, 'format_message', error.__str__)()}", file=sys.stderr)
        return int(getattr(error, "exit_code", 2))


def refused(error: OSError) -> MachineError:
    """The sentence for what the operating system refused."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return MachineError(f"{error.filename or 'a file'}: {error.strerror}", mend="free disk space, or write elsewhere"
                        if full else "choose a place that this user can read and write")


def interrupted(words: list[str]) -> int:
    """What Ctrl-C and SIGTERM end with."""
    where = {"train": " from the last saved step", "sample": " with the images that are left",
             "denoise": " with the images that are left"}.get(words[0] if words else "", "")
    print(f"stopped; the same command goes on{where}", file=sys.stderr)
    return INTERRUPTED


def program() -> int:
    """The installed command and `python -m senm`."""
    terminate_as_interrupt()
    printable()
    keep_freed_memory()
    return main()


if __name__ == "__main__":
    sys.exit(program())

"""`python -m senm train | sample | denoise`: SeNM-VAE on one's own photographs."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from senm.sampling.memory import keep_freed_memory
from senm.support.errors import MachineError, SenmError, UsageError, unknown
from senm.support.progress import terminate_as_interrupt

INTERRUPTED = 130
COMMANDS = ("train", "sample", "denoise")
SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
"""What the operating system refuses for want of space or permission, which a sentence says as well as a traceback."""
app = typer.Typer(add_completion=True, no_args_is_help=True, pretty_exceptions_enable=False,
                  help="Train a noise model on your own photographs, put its noise on others, or denoise with it.",
                  epilog="Example: python -m senm sample --model model --clean photos --out synthetic. "
                         "Exit codes: 0 done, 2 wrong use, 3 broken data or checkpoint, 4 something the machine lacks, "
                         "5 a training that cannot go on, 130 interrupted.")

Out = Annotated[Path, typer.Option(help="Folder to write into.")]
Model = Annotated[Path, typer.Option(help="Folder of a trained model.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]
Seed = Annotated[int, typer.Option(help="Seed of all random streams.")]
Tile = Annotated[int | None, typer.Option(help="Side of tiles for large photographs; 0 takes whole images.")]


def changes(items: list[str]) -> dict[str, Any]:
    """``["train.iterations=500", "level=measured"]`` as nested changes of settings."""
    import json

    from senm.config import nested

    found: dict[str, Any] = {}
    for item in items:
        path, equals, text = item.partition("=")
        if not equals:
            raise UsageError(f"--set {item!r} has no value", "--set group.key=value")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        found[path] = value
    return nested(found)


def pairs_of(text: str) -> Any:
    """Pairs from ``DIR,noisy-suffix,clean-suffix``, or from ``DIR`` with two subfolders such as noisy and clean."""
    from senm.api import pairs_in

    folder, *suffixes = text.split(",")
    if suffixes and len(suffixes) != 2:
        raise UsageError(f"--pairs {text!r} has {len(suffixes)} suffixes", "DIR,noisy-suffix,clean-suffix")
    return pairs_in(folder, *suffixes)


@app.command()
def train(
    out: Out,
    pairs: Annotated[str, typer.Option(help="DIR,noisy-suffix,clean-suffix; or DIR with noisy/ and clean/.")] = "",
    clean: Annotated[Path | None, typer.Option(help="Folder of unpaired clean images (source domain).")] = None,
    noisy: Annotated[Path | None, typer.Option(help="Folder of unpaired noisy images (target domain).")] = None,
    first: Annotated[int, typer.Option(min=0, help="Use this many pairs, drawn by the seed; 0 means all.")] = 0,
    preset: Annotated[str, typer.Option(help="smoke, short, authors or paper.")] = "short",
    fully_paired: Annotated[bool, typer.Option(help="Train the fully paired network instead (pairs only).")] = False,
    change: Annotated[list[str] | None, typer.Option("--set", help="Change a setting: train.iterations=500.")] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    devices: Annotated[int, typer.Option(help="Processes on this machine, one a GPU, sharing each batch.")] = 1,
    nodes: Annotated[int, typer.Option(help="Machines that run this same command, by SLURM or torchrun.")] = 1,
) -> None:
    """Train a noise model. The same command resumes where it was stopped.

    Example: python -m senm train --pairs photos,_noisy,_clean --clean more/clean --noisy more/noisy --out model
    """
    from senm.api import check_domains, images_in
    from senm.config import PAIRED_PRESETS
    from senm.config import preset as preset_of
    from senm.data.domains import Domains
    from senm.data.pool import empty_images, empty_pairs
    from senm.sampling.trained import Trained
    from senm.support import seeding
    from senm.support.device import torch_device
    from senm.support.files import writable
    from senm.support.progress import NullProgress, console_progress
    from senm.training.distributed import launch, mapped_once
    from senm.training.tensorboard import observer

    if fully_paired and (clean or noisy):
        raise UsageError("--fully-paired beside --clean or --noisy", "pairs only",
                         "leave --clean and --noisy out, or --fully-paired")
    if fully_paired and preset not in PAIRED_PRESETS:
        raise unknown("preset", preset, PAIRED_PRESETS)
    settings = PAIRED_PRESETS[preset] if fully_paired else preset_of(preset)
    settings = settings.but(**({"level": "measured"} | changes(change or [])))
    both = pairs_of(pairs) if pairs else empty_pairs()
    if first and first < len(both):
        both = both.subset(seeding.rng("pairs", seed).permutation(len(both))[:first].tolist())
    source, target = (images_in(folder) if folder else empty_images() for folder in (clean, noisy))
    check_domains(settings, Domains(both, source, target))
    torch_device(device)
    work = writable(out) / "training"
    fabric = launch(devices, nodes, device)
    domains = mapped_once(Domains(both, source, target), work, fabric)
    first_process = fabric is None or fabric.is_global_zero
    progress = console_progress() if first_process else NullProgress()
    progress.say(f"training on {len(both)} pairs, {len(domains.source)} clean and {len(domains.target)} noisy images")
    trained = Trained.fit(domains, settings, seed=seed, device=device, workdir=work, progress=progress,
                          observe=observer(out.resolve().name) if first_process else None, fabric=fabric)
    if not first_process:
        return
    trained.save(out)
    if trained.health.get("skipped"):
        progress.say(f"{trained.health['skipped']} of {settings.train.iterations} steps were skipped")
    print(out)


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
) -> None:
    """Put the model's noise on clean photographs. A stopped run goes on without redoing finished images.

    Images that were made otherwise are never taken for finished: another run needs another --out.

    Example: python -m senm sample --model model --clean photos/clean --out photos/synthetic
    """
    from senm.sampling.pipeline import sample_folder
    from senm.sampling.sampler import check_noise, check_tile
    from senm.sampling.trained import Trained
    from senm.support.progress import console_progress

    check_noise(level, temperature)
    check_tile(tile)
    done = sample_folder(Trained.load(model, device), clean, out, seed=seed, device=device, level=level,
                         temperature=temperature, tile=tile, progress=console_progress())
    print(f"{done} images in {out}")


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
    print(f"{done} images in {out}")


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
    keep_freed_memory()
    return main()


if __name__ == "__main__":
    sys.exit(program())

"""`python -m senm train`: from photographs to a noise model, and what it is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from senm.cli.options import Device, Out, Seed, changes, pairs_of, with_changes
from senm.support.errors import SenmError, UsageError, unknown

if TYPE_CHECKING:
    from senm.config import NoiseModelSettings, PairedModelSettings
    from senm.data.domains import Domains
    from senm.data.pool import Pairs
    from senm.sampling.trained import Trained
    from senm.support.progress import Progress

    Settings = NoiseModelSettings | PairedModelSettings

SHORTER = 7
"""A training that starts from a model takes this part of the steps of one that starts from nothing."""

def train(
    out: Out,
    pairs: Annotated[str, typer.Option(help="DIR,noisy-suffix,clean-suffix; or DIR with noisy/ and clean/.")] = "",
    clean: Annotated[Path | None, typer.Option(help="Folder of unpaired clean images (source domain).")] = None,
    noisy: Annotated[Path | None, typer.Option(help="Folder of unpaired noisy images (target domain).")] = None,
    first: Annotated[int, typer.Option(min=0, help="Use this many pairs, drawn by the seed; 0 means all.")] = 0,
    init: Annotated[str, typer.Option(help="Start from this model: a folder, or a name that `models` lists.")] = "",
    preset: Annotated[str, typer.Option(help="smoke, short, authors or paper; --init has its own.")] = "short",
    fully_paired: Annotated[bool, typer.Option(help="Train the fully paired network instead (pairs only).")] = False,
    change: Annotated[list[str] | None, typer.Option("--set", help="Change a setting: train.iterations=500.")] = None,
    keep_back: Annotated[bool, typer.Option(help="Keep some pairs back, 1 in 8 from 8 on, to measure the model on; "
                                            "with --first, of the pairs that are left.")] = True,
    trust_pairs: Annotated[bool, typer.Option("--trust-pairs", help="Train on pairs that do not look like pairs: "
                                              "swapped, shifted, of two scenes.")] = False,
    seed: Seed = 0,
    device: Device = "cpu",
    devices: Annotated[int, typer.Option(help="Processes on this machine, one a GPU, sharing each batch.")] = 1,
    nodes: Annotated[int, typer.Option(help="Machines that run this same command, by SLURM or torchrun.")] = 1,
) -> None:
    """Train a noise model. The same command resumes where it was stopped. It ends with what the model is worth.

    Example: python -m senm train --pairs photos,_noisy,_clean --clean more/clean --noisy more/noisy --out model
    """
    from senm.api import check_domains, images_in
    from senm.config import PAIRED_PRESETS, PairedModelSettings
    from senm.config import preset as preset_of
    from senm.data.checking.alignment import check_pairs
    from senm.data.domains import Domains
    from senm.data.pool import empty_images, empty_pairs
    from senm.quality import held_out
    from senm.sampling.trained import Trained
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
    start = Trained.load(init) if init else None
    base: Settings = PAIRED_PRESETS[preset] if fully_paired else preset_of(preset)
    if start is not None:
        start.facts["name"] = init
        base = adapting(start.settings)
        if isinstance(base, PairedModelSettings) != fully_paired:
            raise UsageError(f"--init {init} is a {'fully paired' if not fully_paired else 'semi-supervised'} model",
                             "a model of the kind to train", f"{'drop' if fully_paired else 'add'} --fully-paired")
    settings, moved = with_changes(base, {"level": "measured"} | changes(change or []), settings_in(out))
    both = pairs_of(pairs) if pairs else empty_pairs()
    doubt = check_pairs(both, trust_pairs)
    both, held = held_out.keep_back(both, first, seed) if keep_back or first else (both, empty_pairs())
    source, target = (images_in(folder) if folder else empty_images() for folder in (clean, noisy))
    check_domains(settings, Domains(both, source, target))
    torch_device(device)
    work = writable(out) / "training"
    fabric = launch(devices, nodes, device)
    domains = mapped_once(Domains(both, source, target), work, fabric)
    first_process = fabric is None or fabric.is_global_zero
    progress = console_progress() if first_process else NullProgress()
    if doubt:
        progress.say(f"taken as they are: {doubt}")
    if moved:
        progress.say(moved)
    progress.say(f"training on {len(both)} pairs, {len(domains.source)} clean and {len(domains.target)} noisy images")
    trained = Trained.fit(domains, settings, seed=seed, device=device, workdir=work, progress=progress,
                          observe=observer(out.resolve().name) if first_process else None, fabric=fabric,
                          start=start)
    if not first_process:
        return
    trained.save(out)
    if len(both):
        conclude(trained, domains, held if keep_back else empty_pairs(), out, seed, progress)
    print(out)


def adapting(settings: Settings) -> Settings:
    """The settings of a model as those of a short training that starts from it: full KL weight, half the rate."""
    from senm.config import of_length

    short = of_length(settings, max(1, settings.train.iterations // SHORTER))
    return short.but(loss={"anneal_steps": 0}, train={"lr": settings.train.lr / 2})


def settings_in(out: Path) -> Settings | None:
    """The settings of a finished training in a folder, if there is one."""
    from senm.config import NoiseModelSettings, PairedModelSettings

    try:
        values = json.loads((out / "settings.json").read_text())
        semi = "zn_dim" in values["network"]
        return NoiseModelSettings(**values) if semi else PairedModelSettings(**values)
    except (OSError, ValueError, KeyError, TypeError, SenmError):
        return None


def conclude(trained: Trained, domains: Domains, held: Pairs, out: Path, seed: int, progress: Progress) -> None:
    """Measure a model on the pairs kept back, else on those of the training; print it and write it into the folder."""
    from senm.quality.held_out import also_seen
    from senm.quality.measure import measure
    from senm.quality.page import write_page
    from senm.support.files import write_bytes

    quality = measure(trained, held if len(held) else domains.paired, held_out=len(held) > 0,
                      seen=also_seen(held, domains), seed=seed, progress=progress)
    write_bytes(out / "quality.json", json.dumps(quality.record(), indent=1).encode())
    trained.facts |= {"quality": quality.lines(), "held out": len(held)}
    trained.save_card(out)
    page = write_page(quality, out.resolve().name, out)
    for line in (*quality.lines(), f"the same with plots and pictures: {page}"):
        progress.say(line)

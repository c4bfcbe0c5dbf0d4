"""`python -m benchmarks.run denoise`: a restorer of the tables on a folder of one's own photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.core.units import counted

Name = Annotated[str, typer.Option("--with", help="A restorer; `list` names all systems.")]


def denoise(
    system: Name,
    noisy: Annotated[Path, typer.Option(help="Folder of noisy images, of any size.")],
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    train: Annotated[bool, typer.Option("--train", help="Train first: on these images, unless it needs more.")] = False,
    pairs: Annotated[str, typer.Option(help="DIR,noisy-suffix,clean-suffix, for a system that needs pairs.")] = "",
    clean: Annotated[Path | None, typer.Option(help="Folder of clean images, for one that needs them.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Published file, or folder of a network saved here.")] = None,
    scale: Annotated[str, typer.Option(help="Settings of the training: smoke, short or paper.")] = "short",
    change: Annotated[list[str] | None, typer.Option("--set", help="Change one: training.steps=500.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of all random streams.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """Denoise a folder with any restorer of the tables. A stopped run goes on by the same command."""
    from baselines.base import SCALES
    from baselines.own_images import denoise_folder
    from senm.api import images_in
    from senm.cli.options import changes, pairs_of
    from senm.support.errors import unknown
    from senm.support.progress import console_progress
    from senm.support.threads import settle

    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    settle(None)
    done = denoise_folder(system, noisy, out, weights=weights, train=train, scale=scale,
                          pairs=pairs_of(pairs) if pairs else None, clean=images_in(clean) if clean else None,
                          changes=changes(change or []), seed=seed, device=device, progress=console_progress())
    print(f"{counted(done, 'image')} in {out}")

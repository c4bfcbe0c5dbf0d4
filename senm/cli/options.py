"""Options that several commands share, and settings given on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from senm.support.errors import UsageError

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

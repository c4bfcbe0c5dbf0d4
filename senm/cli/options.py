"""Options that several commands share, and settings given on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from senm.support.errors import UsageError

Out = Annotated[Path, typer.Option(help="Folder to write into.")]
Model = Annotated[str, typer.Option(help="Folder of a trained model, or name of a released one.")]
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
    """Pairs from ``DIR,noisy-suffix,clean-suffix``, ``DIR`` with two subfolders such as noisy/clean, or two DIRs."""
    from senm.api import pairs_in
    from senm.data.formats.folder import place_and_suffixes

    folder, given = place_and_suffixes(text)
    return pairs_in(folder, partners=given[0]) if len(given) == 1 else pairs_in(folder, *given)


def with_changes(settings: Any, given: dict[str, Any], trained_before: Any = None) -> tuple[Any, str]:
    """Settings with the changes of a command line, and a sentence on what else they moved.

    Another number of iterations moves milestones and annealing with it, unless they are given too; a finished training
    of `trained_before`, settings that differ in the iterations only, keeps its own and goes on.
    """
    from senm.config import of_length

    train, loss = given.get("train", {}), given.get("loss", {})
    plain = settings.but(**given)
    own = settings.train.iterations
    if not isinstance(train, dict) or train.get("iterations", own) == own or "milestones" in train or (
            isinstance(loss, dict) and "anneal_steps" in loss):
        return plain, ""
    iterations = plain.train.iterations
    if trained_before is not None and iterations > trained_before.train.iterations:
        longer = trained_before.but(train={"iterations": iterations})
        if longer == plain.but(train={"milestones": longer.train.milestones},
                               loss={"anneal_steps": longer.loss.anneal_steps}):
            return longer, "the finished training goes on with its own milestones and annealing"
    scaled = of_length(settings, iterations).but(**given)
    return scaled, (f"train.iterations {iterations} instead of {own}: train.milestones "
                    f"{list(scaled.train.milestones)} and loss.anneal_steps {scaled.loss.anneal_steps} go with it")

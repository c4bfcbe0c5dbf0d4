"""`python -m senm models | export`: released models, and a folder for the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from senm.cli.options import Model


def models() -> None:
    """List the released noise models, which `--model` and `--init` take by name.

    Example: python -m senm models
    """
    from senm.sampling.released import VARIABLE, released_models, root

    found = released_models()
    for model in found:
        print(f"{model.name:14} {model.about}")
    if not found:
        print(f"no released models at {root()}: they come with a checkout of the project, not with an installed "
              f"package; set {VARIABLE} to results/checkpoints of a checkout")


def export(
    model: Model,
    hub: Annotated[Path, typer.Option(help="New folder, laid out for the Hugging Face hub.")],
) -> None:
    """Lay a model out as the Hugging Face hub wants it: README.md, model.safetensors, config.json. No upload.

    Example: python -m senm export --model embedded-10 --hub embedded-10-hub
    """
    from senm.sampling.hub import export as lay_out
    from senm.sampling.released import facts_of, folder_of
    from senm.sampling.trained import Trained

    trained = Trained.load(model)
    trained.facts = facts_of(folder_of(model)) | trained.facts
    print(lay_out(trained, hub))

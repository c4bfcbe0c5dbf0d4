"""The project's released noise models by name: folders of results/checkpoints, where a checkout has them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from senm.support.errors import CheckpointError, unknown

VARIABLE = "SENM_MODELS"
"""Environment variable that names another folder of models."""
MADE = ("table1-senm-", "-noise-0")
"""What the harness puts around the number of pairs in a folder's name."""


@dataclass(frozen=True)
class ReleasedModel:
    """A released noise model: its name, its folder, and what it was trained on, in words."""

    name: str
    folder: Path
    about: str


def root() -> Path:
    """The folder of released models; it need not exist."""
    return Path(os.environ.get(VARIABLE) or Path(__file__).resolve().parents[2] / "results" / "checkpoints")


def released_models() -> list[ReleasedModel]:
    """All released noise models, by the order of their names; none where the project was installed without them."""
    found = []
    for folder in sorted(root().glob(f"{MADE[0]}*{MADE[1]}")):
        pairs = folder.name.removeprefix(MADE[0]).removesuffix(MADE[1])
        try:
            data = str(json.loads((folder / "description.json").read_text())["description"]["params"]["data"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        about = (f"fully paired, all pairs of the {data} camera" if pairs == "all" else
                 f"semi-supervised, {pairs} pairs and all unpaired images of the {data} camera")
        found.append(ReleasedModel(f"{data}-{pairs}", folder, about))
    return found


def folder_of(name: str | Path) -> Path:
    """The folder of a model, given that folder or the name of a released model.

    Raises:
        CheckpointError: neither; the nearest name is suggested, or it is said that no model is released here.
    """
    if Path(name).is_dir() or os.sep in str(name) or len(Path(name).parts) > 1:
        return Path(name)
    models = {model.name: model.folder for model in released_models()}
    if str(name) in models:
        return models[str(name)]
    if models:
        raise unknown("model or folder", str(name), models, CheckpointError)
    raise CheckpointError(f"{name} is no folder, and no released models are at {root()}", "the folder of a model",
                          f"point {VARIABLE} at results/checkpoints of a checkout of the project")


def facts_of(folder: Path) -> dict[str, Any]:
    """What the description of a released model's training says for its model card; nothing of other folders."""
    try:
        params = json.loads((folder / "description.json").read_text())["description"]["params"]
        counts = {ours: params["domains"][theirs] for ours, theirs in (("pairs", "paired"), ("clean", "source"),
                                                                       ("noisy", "target"))}
        data = f"the {params['data']} photographs and camera of this project"
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    words = {name: "all" if count is None else count for name, count in counts.items()}
    return {"data": data, **words, "licence": "apache-2.0"}

"""Released checkpoints: small trained networks in results/checkpoints, matched by the description of their training.

A folder holds `model.safetensors`, `settings.json`, `description.json` (identity and description of the training) and
`log.jsonl`. A checkpoint is used only where system, settings, data, domains, seed and inputs are all equal.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senm.support.errors import DataError, UsageError

if TYPE_CHECKING:
    from benchmarks.core.step import Step

ROOT = Path(__file__).resolve().parents[2] / "results" / "checkpoints"
FILES = ("model.safetensors", "settings.json")


@dataclass(frozen=True)
class Released:
    """One released checkpoint: its folder, the identity of the step it stands for, and the hash of its files."""

    folder: Path
    identity: str
    sha256: str
    description: dict[str, Any]


def released(root: Path | None = None) -> list[Released]:
    """All released checkpoints under a folder.

    Raises:
        DataError: a description that cannot be read.
    """
    found = []
    for path in sorted((root or ROOT).glob("*/description.json")):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            identity = str(about["identity"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} cannot be read: {error}", "the description of a released checkpoint") from error
        found.append(Released(path.parent, identity, digest(path.parent), about))
    return found


def by_identity(root: Path | None = None) -> dict[str, str]:
    """Identity of a training -> hash of the checkpoint that can stand in for it."""
    return {item.identity: item.sha256 for item in released(root)}


def locate(identity: str, root: Path | None = None) -> Released | None:
    """The released checkpoint of this identity, or None."""
    return next((item for item in released(root) if item.identity == identity), None)


def digest(folder: Path) -> str:
    """sha256 (hex) over the checkpoint's weights and settings."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in ("description.json", "log.jsonl"):
            total.update(path.relative_to(folder).as_posix().encode())
            total.update(path.read_bytes())
    return total.hexdigest()


def export(artefact: Path, name: str, root: Path | None = None, half: bool = False) -> Path:
    """Copy a trained artefact into results/checkpoints under a name, with the record of its training.

    Args:
        artefact: the folder in the store.
        name: of the new folder; an older one of this name is replaced.
        root: where the folder goes, results/checkpoints by default.
        half: store the weights as float16.

    Raises:
        UsageError: the artefact is no training, or the name is not a plain folder name.
    """
    if not name or Path(name).name != name or name.startswith("."):
        raise UsageError(f"{name!r} is not a folder name", "letters, digits, dots and dashes")
    about = json.loads((artefact / "artefact.json").read_text(encoding="utf-8"))
    if not (artefact / "model").is_dir():
        raise UsageError(f"artefact {about['key'][:12]} is no training", "the key of a fit step", "run store ls")
    out = (root or ROOT) / name
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(artefact / "model", out)
    if half:
        _halve(out)
    if (artefact / "log.jsonl").is_file():
        shutil.copy(artefact / "log.jsonl", out / "log.jsonl")
    text = {
        "identity": about["description"]["identity"],
        "description": about["description"],
        "created": about["created"],
        "seconds": about["seconds"],
        "machine": _machine(artefact),
    }
    (out / "description.json").write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
    return out


def names(trainings: Iterable[tuple[str, Step]]) -> dict[str, Step]:
    """The first name of each training among (name, step), where several rows need it."""
    found: dict[str, Step] = {}
    seen: set[str] = set()
    for name, step in trainings:
        if step.identity not in seen:
            seen.add(step.identity)
            found[name] = step
    return found


def _halve(folder: Path) -> None:
    """Rewrite the float tensors of a checkpoint as float16, and leave out networks that sampling does not need."""
    import torch
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    kept = {key: value.half() if value.dtype == torch.float32 else value for key, value in state.items()}
    save_file(kept, folder / "model.safetensors")
    (folder / "level_net.safetensors").unlink(missing_ok=True)


def _machine(artefact: Path) -> dict[str, Any]:
    path = artefact / "provenance.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found

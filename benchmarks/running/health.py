"""What trainings noted (skipped steps, collapsed layers, setbacks), from the model's folder to below the table.

The one place is `health.json` in the folder of a model, released or just trained. Images made with a model carry a
copy, so that the record of a measurement can say what its numbers rest on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from senm.training.health import Health

HEALTH = "health.json"


def place(artefact: Path) -> Path:
    """The file in the artefact of a training, or of images made with a model."""
    return (artefact / "model" if (artefact / "model").is_dir() else artefact) / HEALTH


def keep_health(trained: Any, artefact: Path) -> None:
    """Write what a training counted into its model's folder; without counts, the steps skipped by its log."""
    found = dict(getattr(trained, "health", None) or {})
    if not found and (artefact / "log.jsonl").is_file():
        lines = (artefact / "log.jsonl").read_text(encoding="utf-8").splitlines()
        last = json.loads(lines[-1]) if lines else {}
        found = {"skipped": int(last["skipped"])} if "skipped" in last else {}
    if found:
        place(artefact).write_text(json.dumps(found, sort_keys=True), encoding="utf-8")


def keep_log(work: Path, folder: Path) -> None:
    """Copy the log of a training beside its model."""
    if (work / "log.jsonl").is_file() and work != folder:
        shutil.copy(work / "log.jsonl", folder / "log.jsonl")


def pass_health_on(inputs: Mapping[str, Path], folder: Path) -> None:
    """Copy a model's health to the images made with it."""
    if place(inputs["model"]).is_file():
        shutil.copy(place(inputs["model"]), folder / HEALTH)


def training_health(artefact: Path) -> dict[str, Any]:
    """What a training noted: skipped steps, terms that went non-finite, collapsed layers, setbacks, micro-batches.

    Args:
        artefact: of the training, or of images made with its model.
    """
    path = place(artefact)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def alarms(noted: Mapping[str, Any]) -> list[str]:
    """What a reader of a table should know of a training, a sentence each; unknown counts are passed over."""
    known = {each.name for each in fields(Health)}
    return Health(**{name: value for name, value in noted.items() if name in known}).alarms()


def health_notes(records: Iterable[tuple[str, str, int, Mapping[str, Any]]], several: bool) -> list[str]:
    """Lines below a table, from (row, kind of measurement, seed, health of its record); equal ones come once.

    Args:
        several: whether the table has several replicates, so that a line must say which it is about.
    """
    seeds: dict[str, list[int]] = {}
    for row, kind, seed, health in records:
        whose = "its noise model" if kind == "noise" else "its restorer"
        for sentence in alarms(health.get("training", {})):
            seeds.setdefault(f"{row}, {whose}: {sentence}", []).append(seed)
    return [f"{line} (seed {', '.join(map(str, sorted(set(found))))})" if several else line
            for line, found in seeds.items()]

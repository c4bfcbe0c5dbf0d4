"""What the rows of a table cost, from the store: time of training, size of the network, speed of the sampler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.core.record import Price
from benchmarks.planning.plan import RowPlan, TablePlan

if TYPE_CHECKING:
    from benchmarks.core.step import Step
    from benchmarks.store.store import Store

MADE, RELEASED = "provenance.json", "description.json"


def prices(plan: TablePlan, store: Store) -> tuple[Price, ...]:
    """The price of every row: of its first replicate whose hours are known, else of its first one that was made."""
    found: dict[str, Price] = {}
    for planned in plan.rows:
        known = found.get(planned.row.id)
        if known is not None and known.training_hours is not None:
            continue
        price = price_of(planned, store)
        if price is not None and (known is None or price.training_hours is not None):
            found[planned.row.id] = price
    return tuple(found.values())


def price_of(planned: RowPlan, store: Store) -> Price | None:
    """Hours, parameters and megapixels a second of one replicate; None where none of them is known."""
    noise, restorer = planned.fit, planned.network
    speed, where = _speed(planned, store)
    of_noise, of_restorer = _about(noise, store), _about(restorer, store)
    hours = [_hours(about) for about in (of_noise, of_restorer)]
    parameters = _parameters(noise if noise is not None else restorer, store)
    if not any((*hours, parameters, speed)):
        return None
    return Price(
        row=planned.row.id, training_hours=hours[0], restorer_hours=hours[1], parameters=parameters,
        megapixels_per_second=speed, trained_on=_processor(of_noise) or _processor(of_restorer) or where,
        sampled_on=where,
    )


def _about(step: Step | None, store: Store) -> dict[str, Any]:
    """Who made a step's artefact, and in which time; of a released network, who trained it."""
    folder = store.get(step) if step is not None else None
    if step is None or folder is None:
        return {}
    if step.released:
        about = _read(folder / "model" / RELEASED)
        return dict(about.get("machine") or {})
    return _read(folder / MADE)


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _whole(about: dict[str, Any]) -> float | None:
    """Seconds, where they are those of the whole step: a training that was resumed only knows its last part."""
    return float(about["seconds"]) if about.get("cost") and "seconds" in about else None


def _hours(about: dict[str, Any]) -> float | None:
    seconds = _whole(about)
    return None if seconds is None else seconds / 3600


def _processor(about: dict[str, Any]) -> str:
    machine = about.get("machine", {})
    name = str(machine.get("gpu") or machine.get("processor") or "")
    threads = f", {machine['threads']} threads" if "threads" in machine and not machine.get("gpu") else ""
    return name + threads if name else ""


def _parameters(step: Step | None, store: Store) -> int | None:
    """Numbers in the network's file, buffers included."""
    from math import prod

    from safetensors import safe_open

    folder = store.get(step) if step is not None else None
    if folder is None:
        return None
    count = 0
    for path in sorted((folder / "model").rglob("*.safetensors")):
        with safe_open(path, framework="np") as file:
            count += sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return count or None


def _speed(planned: RowPlan, store: Store) -> tuple[float | None, str]:
    """Megapixels of synthetic noise (of restored images where the row makes none) a second, and on what."""
    from benchmarks.running.steps import read_images

    kind = "noise" if "noise" in planned.evaluations else "restoration"
    measured = planned.evaluations.get(kind)
    step = measured.inputs.get("images") if measured is not None else None
    about, folder = _about(step, store), store.get(step) if step is not None else None
    seconds = _whole(about)
    if not seconds or folder is None:
        return None, ""
    images = read_images(folder)
    pixels = sum(height * width for height, width in (images.size(i) for i in range(len(images))))
    return pixels / 1e6 / seconds, _processor(about)

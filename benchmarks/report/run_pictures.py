"""Picture strips of a run: the same photographs as every row of a table left them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.running.steps import first, high, read_images

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.judging.assemble import Assembly


def strips(given: Assembly, folder: Path) -> dict[str, str]:
    """Write noise and restoration strips of the first validation images; returns key -> path relative to `folder`."""
    from benchmarks.report.strips import save_strip

    data = given.plan.data.prepared
    if data is None:
        return {}
    inputs = data.images("validation", "noisy")
    clean = data.images("validation", "clean") if data.has("validation", "clean") else None
    count = min(given.scale.strips, len(inputs))
    found: dict[str, str] = {}
    for index in range(count):
        for kind in ("noise", "restoration"):
            made = _panels(given, kind, index)
            if not made:
                continue
            panels = {"noisy": inputs[index], **made}
            if clean is not None:
                few = first(clean, count)
                whole = high(data, "validation", few) if kind == "restoration" else few
                panels = {"clean": whole[index], **panels} if kind == "noise" else {**panels, "clean": whole[index]}
            key, name = save_strip(folder / "images", kind, inputs.names[index], panels)  # type: ignore[arg-type]
            found[key] = f"images/{name}"
    return found


def _panels(given: Assembly, kind: str, index: int) -> dict[str, np.ndarray]:
    panels = {}
    for planned in given.plan.rows:
        step = planned.evaluations.get(kind)
        images = step.inputs.get("images") if step else None
        if images is None or planned.seed != given.seeds[0]:
            continue
        path = given.store.get(images)
        if path is not None:
            label = f"{planned.row.label} ({planned.row.paired})" if planned.row.paired else planned.row.label
            panels[label] = read_images(path)[index]
    return panels

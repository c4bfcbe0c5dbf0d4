"""The step that measures: generated images against real ones, or restored images against clean ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.core.means import finite_mean
from benchmarks.core.record import EvaluationRecord, Measurement, Provenance
from benchmarks.running.health import training_health
from benchmarks.running.steps import Bench, first, high, read_images
from senm.support.errors import DataError

if TYPE_CHECKING:
    from benchmarks.core.step import Step
    from benchmarks.metrics import Metric
    from senm.data.pool import Images, Pairs

RECORD = "record.json"


def evaluate(step: Step, inputs: Mapping[str, Path], folder: Path, bench: Bench) -> None:
    """Measure and write `record.json` (an `EvaluationRecord`); a metric without its weights is noted, not measured."""
    from benchmarks.core import environment
    from benchmarks.metrics import METRICS, Unavailable
    from benchmarks.running.exact import read_exact

    clock = environment.Clock()
    real, noisy = references(step, bench)
    images = read_images(inputs["images"]) if "images" in inputs else noisy
    if images.names != noisy.names:
        raise DataError(
            f"{len(images)} images were made for {len(noisy)} references", "the same names in the same order"
        )
    exact = read_exact(inputs["images"]) if any(METRICS[name].exact for name in step.params["metrics"]) else None
    measurements, missing = [], {}
    with bench.progress.task(step.label, len(step.params["metrics"])) as task:
        for name in step.params["metrics"]:
            try:
                metric = METRICS[name]
                if real is None and metric.kind != "no-reference":
                    raise Unavailable("the photographs have no clean partner")
                if metric.exact and exact is None:
                    raise Unavailable("the restored images are rounded to 8 bit", "images that are not")
                values, value = _measure(metric, exact if metric.exact else images, real)
                per_image = dict(zip(noisy.names, values, strict=True)) if values else {}
                measurements.append(Measurement(metric=name, value=value, split=step.params["split"],
                                                images=len(noisy), per_image=per_image))
            except Unavailable as error:
                missing[name] = str(error).replace(str(Path.home()), "~")
            task.advance(metric=name)
    write_record(step, folder, measurements, environment.provenance(bench.device, clock, command=""), missing,
                 {**_health(images), **_of_training(inputs)})


def write_record(
    step: Step,
    folder: Path,
    measurements: Sequence[Measurement],
    provenance: Provenance,
    missing: Mapping[str, str] | None = None,
    health: Mapping[str, Any] | None = None,
) -> None:
    """Write what a step measured as `record.json`; `missing` says of metrics why they could not be measured."""
    record = EvaluationRecord(
        kind=step.params["kind"],
        system=step.label,
        description={"params": step.params, "missing": dict(missing or {})},
        data=step.params["data"],
        scale=str(step.params.get("scale", "")),
        seed=step.seed,
        measurements=tuple(measurements),
        health=dict(health or {}),
        provenance=provenance,
    )
    (folder / RECORD).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def references(step: Step, bench: Bench) -> tuple[Pairs | None, Images]:
    """The clean and noisy images that a step measures against, None where nobody has clean ones; and the noisy ones."""
    from senm.data.pool import Pairs

    data, split, count = bench.prepared(step), step.params["split"], step.params["images"]
    noisy = first(data.images(split, "noisy"), count)
    if not data.has(split, "clean"):
        return None, noisy
    clean = first(data.images(split, "clean"), count)
    return Pairs(high(data, split, clean) if step.params["kind"] == "restoration" else clean, noisy), noisy


def _measure(metric: Metric, images: Sequence[Any] | None, real: Pairs | None) -> tuple[list[float], float]:
    """The values of the images, none for a metric of the whole set, and the one that stands for all."""
    given: dict[str, Any] = {"restored": images}
    if real is not None and metric.kind == "pairwise":
        given["reference"] = real.clean
    elif real is not None and metric.kind == "distribution":
        given = {"generated": images, "real": real.noisy, "clean": real.clean}
    values = metric.values(**given)
    return values, finite_mean(values)[0] if values else metric(**given)


def _of_training(inputs: Mapping[str, Path]) -> dict[str, Any]:
    found = training_health(inputs["images"]) if "images" in inputs else {}
    return {"training": found} if found else {}


def _health(images: Images) -> dict[str, Any]:
    """Signs of a broken output: the share of images that are constant, and the overall range of levels."""
    import numpy as np

    low, high, constant = 255, 0, 0
    for image in images:
        array = np.asarray(image)
        least, most = int(array.min()), int(array.max())
        low, high, constant = min(low, least), max(high, most), constant + (least == most)
    return {"lowest": low, "highest": high, "constant images": constant}

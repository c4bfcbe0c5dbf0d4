"""The step that measures a noise model over many draws of every image, as published average KLDs do; none is stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.core.record import Measurement
from benchmarks.running.measure import references, write_record
from benchmarks.running.steps import Bench, noise_source
from senm.support import seeding
from senm.support.errors import DataError

if TYPE_CHECKING:
    from benchmarks.core.step import Step


def seed_of(replicate: int, draw: int) -> int:
    """The seed of a draw: the replicate's own for the first, a stream of its own for each later one, below 2**31."""
    return replicate if draw == 0 else seeding.seed("draw", replicate, draw) % 2**31


def measure(step: Step, inputs: Mapping[str, Path], folder: Path, bench: Bench) -> None:
    """Draw, measure and write `record.json`; the first draw is the one that the other columns measure."""
    from benchmarks.core import environment
    from benchmarks.metrics import get

    clock = environment.Clock()
    (name,), draws = step.params["metrics"], int(step.params["draws"])
    metric, (real, _) = get(name), references(step, bench)
    if real is None:
        raise DataError("the photographs have no clean partner", "pairs, of which noise can be measured")
    clean, draw = noise_source(step, inputs, bench)
    sums = [0.0] * len(real)
    with bench.progress.task(step.label, draws * len(real)) as task:
        for number in range(draws):
            for index, noisy in enumerate(draw(clean, seed_of(step.seed, number))):
                one = metric(generated=noisy, real=real.noisy[index], clean=real.clean[index])
                sums[index] += one
                task.advance()
    values = [total / draws for total in sums]
    measurement = Measurement(
        metric=name,
        value=sum(values) / len(values),
        split=step.params["split"],
        images=len(values),
        per_image=dict(zip(real.names, values, strict=True)),
    )
    write_record(step, folder, [measurement], environment.provenance(bench.device, clock, command=""))

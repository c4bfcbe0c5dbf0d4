"""Steps for what was made elsewhere: folders of finished images, and published network weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.running.steps import Bench, first, write_images
from senm.support.progress import NullProgress

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.core.step import Step
    from senm.data.pool import Images


def collect(step: Step, inputs: Mapping[str, Path], folder: Path, bench: Bench) -> None:
    """Copy the images of a folder into the store, matched by name and checked for size.

    Raises:
        DataError: a file is missing, broken or of another size.
    """
    from baselines.published.external import ExternalEnlarger, ExternalNoise, ExternalRestorer, ExternalSettings

    data, split = bench.prepared(step), step.params["split"]
    settings = ExternalSettings(folder=step.local["folder"])
    noise = step.params["kind"] == "noise"
    images = first(data.images(split, "clean" if noise else "noisy"), step.params["images"])
    enlarges = "high" in data.manifest.pools[split].sides and not noise

    maker = ExternalNoise if noise else ExternalEnlarger if enlarges else ExternalRestorer
    finished = maker(settings)
    for line in finished.remarks(images):
        bench.progress.say(line)

    def draw(part: Images) -> Iterator[np.ndarray]:
        if isinstance(finished, ExternalNoise):
            return finished.sample(part, seed=0, device="cpu", progress=NullProgress())
        return finished.restore(part, device="cpu", progress=NullProgress())

    write_images(step, images, draw, folder, bench, 4 if enlarges else 1)


def published(step: Step, inputs: Mapping[str, Path], folder: Path, bench: Bench) -> None:
    """Read a published checkpoint and write it as `model/`, as if it had been trained here.

    Raises:
        CheckpointError: the file was altered or is of another layout.
    """
    from baselines.published.weights import Found, open_release, release

    found = Found(release(step.params["release"]), Path(step.local["file"]), step.params["sha256"])
    open_release(found, "cpu").save(folder / "model")

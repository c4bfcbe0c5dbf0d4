"""Steps that make things: train a noise model, put noise on images, train a restorer, restore images.

Each is a function of (step, artefacts of its inputs, folder to write into, bench). `benchmarks.running.measure` has the
step that measures, so that a change there does not ask for a new training.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.core.systems import get, settings_from
from benchmarks.running.health import keep_health, keep_log, pass_health_on
from senm.support.errors import DataError, TrainingError
from senm.support.progress import NullProgress, Progress, Task

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.core.step import Step
    from senm.data.pool import Images, Pairs
    from senm.data.prepared import PreparedData

CHUNK = 256  # images between two marks from which interrupted sampling goes on


@dataclass(frozen=True)
class Bench:
    """What steps work with: a device, the prepared data sets by fingerprint, a progress display, scratch folders.

    `devices` is how many GPUs a training may share its batches among, where the system can.
    """

    device: str
    data: Mapping[str, PreparedData]
    progress: Progress = field(default_factory=NullProgress)
    workdir: Callable[[str], Path] | None = None
    checkpoints: Path | None = None
    devices: int = 1

    def prepared(self, step: Step) -> PreparedData:
        """The data set that a step reads."""
        return self.data[step.params["fingerprint"]]

    def scratch(self, step: Step, folder: Path) -> Path:
        """A folder for checkpoints of a step's loop."""
        return self.workdir(step.key) if self.workdir else folder


def first(images: Images, count: int | None) -> Images:
    """The first `count` images of a pool; None means all."""
    return images if count is None or count >= len(images) else images.subset(range(count))


def fit(step: Step, inputs: Mapping[str, Path], folder: Path, bench: Bench) -> None:
    """Train a noise model and write `model/` and `log.jsonl`."""
    model = get(step.params["system"])
    work = bench.scratch(step, folder)
    if bench.devices > 1 and model.capabilities.shares:
        from benchmarks.running import several

        several.fit(step, bench.prepared(step).folder, folder, work, bench.device, bench.devices, bench.progress)
        return
    trained = model.fit(
        bench.prepared(step).domains(**step.params["domains"]),
        settings_from(model, step.params["settings"]),
        seed=step.seed,
        device=bench.device,
        workdir=work,
        progress=bench.progress,
    )
    trained.save(folder / "model")
    keep_log(work, folder)
    keep_health(trained, folder)


def sample(step: Step, inputs: Mapping[str, Path], folder: Path, bench: Bench) -> None:
    """Write one noisy image for each clean one of a pool."""
    clean, draw = noise_source(step, inputs, bench)
    write_images(step, clean, lambda part: draw(part, step.seed), folder, bench)
    pass_health_on(inputs, folder)


def noise_source(
    step: Step, inputs: Mapping[str, Path], bench: Bench
) -> tuple[Images, Callable[[Images, int], Iterator[np.ndarray]]]:
    """The clean images of a step's pool, with their own levels where it asks for these, and noise on a part of them."""
    from senm.data.levelled import levelled

    data, pool = bench.prepared(step), step.params["pool"]
    clean = clean_pool(data, pool, step.params["images"])
    if step.params.get("levels") == "own":
        clean = levelled(data.pairs(pool).subset(range(len(clean))))
    model = get(step.params["system"]).load(inputs["model"] / "model", bench.device)
    how = {"sampling": step.params["sampling"]} if "sampling" in step.params else {}

    def draw(part: Images, seed: int) -> Iterator[np.ndarray]:
        iterator: Iterator[np.ndarray] = model.sample(
            part, seed=seed, device=bench.device, progress=NullProgress(), **how
        )
        return iterator

    return clean, draw


def fit_restorer(step: Step, inputs: Mapping[str, Path], folder: Path, bench: Bench) -> None:
    """Train a restorer on real pairs, synthetic pairs or both, and write `model/` and `log.jsonl`."""
    restorer = get(step.params["system"])
    work = bench.scratch(step, folder)
    trained = restorer.fit(
        training_data(step, inputs, bench),
        settings_from(restorer, step.params["settings"]),
        seed=step.seed,
        device=bench.device,
        workdir=work,
        progress=bench.progress,
        start=inputs["start"] / "model" if "start" in inputs else None,
        **guidance(step, inputs, bench),
    )
    trained.save(folder / "model")
    keep_log(work, folder)
    keep_health(trained, folder)


def training_data(step: Step, inputs: Mapping[str, Path], bench: Bench) -> Any:
    """What a restorer is fitted on: sets of pairs; without pairs its domains, or the noisy images of these."""
    if "domains" not in step.params or "guide" in inputs:
        return training_pairs(step, inputs, bench)
    domains = bench.prepared(step).domains(**step.params["domains"])
    if get(step.params["system"]).capabilities.uses_unpaired:
        return domains
    return [images for images in (domains.target, domains.paired.noisy) if len(images)]


def guidance(step: Step, inputs: Mapping[str, Path], bench: Bench) -> dict[str, Any]:
    """For an enlarger that follows its noise model: the weight of each pixel, and real low-resolution images."""
    if "guide" not in inputs:
        return {}
    model = get(step.inputs["guide"].params["system"]).load(inputs["guide"] / "model", bench.device)
    low = read_images(inputs["synthetic"])
    weights = model.weights(low, device=bench.device, progress=bench.progress)
    return {"weights": [weights], "real": bench.prepared(step).domains(**step.params["domains"]).target}


def training_pairs(step: Step, inputs: Mapping[str, Path], bench: Bench) -> list[Pairs]:
    """The sets of pairs that a restorer is trained on: the real ones first, then the synthetic ones."""
    from senm.data.pool import Pairs

    data = bench.prepared(step)
    sources: list[Pairs] = []
    if step.params["pairs"] != 0:
        sources.append(real_pairs(data, step.params["pairs"], step.params["images"]))
    if "clean" in step.params:
        pool, count = step.params["clean"], step.params["images"]
        sources.append(Pairs(targets(data, pool, count), clean_pool(data, pool, count)))
    if "synthetic" in inputs:
        noisy = read_images(inputs["synthetic"])
        pool = step.inputs["synthetic"].params["pool"]
        clean = targets(data, pool, step.inputs["synthetic"].params["images"])
        sources.append(Pairs(clean, noisy))
    return sources


def restore(step: Step, inputs: Mapping[str, Path], folder: Path, bench: Bench) -> None:
    """Restore the noisy images of a split; where the step asks for it and the system can, not rounded to 8 bit."""
    noisy = first(bench.prepared(step).images(step.params["split"], "noisy"), step.params["images"])
    network = get(step.params["system"]).load(inputs["model"] / "model", bench.device)
    exact = step.params.get("exact", False) and hasattr(network, "restore_exactly")

    def draw(part: Images) -> Iterator[np.ndarray]:
        make = network.restore_exactly if exact else network.restore
        iterator: Iterator[np.ndarray] = make(part, device=bench.device, progress=NullProgress())
        return iterator

    write_images(step, noisy, draw, folder, bench, network.capabilities.factor, exact)
    pass_health_on(inputs, folder)


def release(step: Step, inputs: Mapping[str, Path], folder: Path, bench: Bench) -> None:
    """Take a released checkpoint in place of a training; its hash is checked."""
    from benchmarks.store.released import locate

    found = locate(step.identity, bench.checkpoints)
    if found is None or found.sha256 != step.released:
        raise DataError(
            f"the released checkpoint for {step.label!r} is missing or was changed",
            "the files as committed",
            "git checkout results/checkpoints, or train with --retrain",
        )
    shutil.copytree(found.folder, folder / "model")
    if (folder / "model" / "log.jsonl").is_file():
        shutil.copy(folder / "model" / "log.jsonl", folder / "log.jsonl")


def clean_pool(data: PreparedData, pool: str, count: int | None) -> Images:
    """The clean images that get noise: of the validation split, of all training pairs, or of the source domain."""
    if pool == "source":
        return first(data.domains(0, None, 0).source, count)
    return first(data.pairs(pool).clean, count)


def targets(data: PreparedData, pool: str, count: int | None) -> Images:
    """What a restorer should give back for `clean_pool` with noise: the same photographs, in high resolution for SR."""
    clean = clean_pool(data, pool, count)
    return high(data, data.manifest.domains["source"] if pool == "source" else pool, clean)


def real_pairs(data: PreparedData, pairs: int | None, limit: int | None) -> Pairs:
    """Real pairs of the paired domain, or of the whole training split where `pairs` is None."""
    from senm.data.pool import Pairs

    found = data.pairs("train") if pairs is None else data.domains(pairs, 0, 0).paired
    if pairs is None and limit is not None and limit < len(found):
        found = found.subset(range(limit))
    pool = "train" if pairs is None else data.manifest.domains["paired"]
    return Pairs(high(data, pool, found.clean), found.noisy)


def high(data: PreparedData, pool: str, clean: Images) -> Images:
    """The same images in high resolution where the data set has them, else `clean` itself."""
    if "high" not in data.manifest.pools[pool].sides:
        return clean
    whole = data.side(pool, "high")
    place = {name: index for index, name in enumerate(whole.names)}
    return whole.subset(place[name] for name in clean.names)


def write_images(
    step: Step,
    images: Images,
    draw: Callable[[Images], Iterator[np.ndarray]],
    folder: Path,
    bench: Bench,
    factor: int = 1,
    exact: bool = False,
) -> None:
    """Write what `draw` makes of `images`, chunk by chunk, so that an interrupted run goes on where it stopped.

    Outputs are `factor` times larger than the inputs; `exact` ones are floats in [0, 1] and kept as
    `benchmarks.running.exact` keeps them.
    """
    from benchmarks.running.exact import split
    from senm.data.writer import PreparedWriter

    if not len(images):
        raise DataError(f"no images for {step.label!r}", "at least one image")
    out = bench.scratch(step, folder) / "images"
    items = [{"name": name} for name in images.names]
    sizes = [images.size(i) for i in range(len(images))]
    sizes = [(height * factor, width * factor) for height, width in sizes]
    shape: Any = sizes[0] if len(set(sizes)) == 1 else sizes
    with PreparedWriter(out, "generated", {"key": step.key}, resume=True) as writer:
        pools = writer.pool("generated", items, {"noisy": shape, **({"rest": shape} if exact else {})})
        with bench.progress.task(step.label, len(images)) as task:
            for start in range(0, len(images), CHUNK):
                part = range(start, min(start + CHUNK, len(images)))
                if not writer.is_done(str(start)):
                    made = counted(draw(images.subset(part)), len(part), task)
                    if exact:
                        for place, image in zip(part, made, strict=True):
                            for pool, plane in zip((pools["noisy"], pools["rest"]), split(image), strict=True):
                                pool.write(place, [plane])
                    else:
                        pools["noisy"].write(start, made)
                    writer.mark(str(start))
                else:
                    task.advance(len(part))
        writer.finish()
    if out.parent != folder:
        os.rename(out, folder / "images")


def counted(images: Iterator[np.ndarray], count: int, task: Task) -> Iterator[np.ndarray]:
    """The images as they come, counted on the progress display.

    Raises:
        TrainingError: a system made more or fewer images than it was given.
    """
    made = 0
    for made, image in enumerate(images, start=1):
        if made <= count:
            yield image
            task.advance()
    if made != count:
        raise TrainingError(f"{made} images were made", f"{count}, one for each input")


def read_images(folder: Path) -> Images:
    """The images that a sample or restore step wrote."""
    from senm.data.prepared import PreparedData

    return PreparedData.open(folder / "images").images("generated", "noisy")

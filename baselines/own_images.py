"""Any restorer on a folder of one's own photographs, trained on these very images where it needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines import get, names
from baselines.fitting.restorer import weights_hash
from senm.data.digest import content
from senm.data.domains import Domains
from senm.data.images import left_out, list_images
from senm.data.pool import FileImages, Images, Pairs
from senm.sampling.pipeline import kept_apart, note_plan, sample_to_folder
from senm.support.device import torch_device
from senm.support.errors import UsageError
from senm.support.files import writable
from senm.support.progress import NullProgress, Progress

if TYPE_CHECKING:
    from baselines.base import Scale

TRAINING, MODEL = "training", "model"
CLEAN_LEVEL = 1.0
"""Fine detail in 8-bit levels below which a photograph looks clean, if it has less than a quarter of the others'."""


def denoise_folder(name: str, noisy: Path, out: Path, *, weights: Path | None = None, train: bool = False,
                   pairs: Pairs | None = None, clean: Images | None = None, scale: Scale = "short",
                   changes: Mapping[str, Any] | None = None, seed: int = 0, device: str = "cpu",
                   progress: Progress | None = None) -> int:
    """A restored PNG in `out` for each image file in `noisy`; returns how many are there afterwards.

    The same call goes on where one was stopped: the training from its last state in `out`/training, the images from
    the first that is missing. The network stays in `out`/model.

    Args:
        name: a restorer of the registry, such as 'apbsn'.
        weights: a published file, or a folder with a network that was saved here.
        train: train first, from `weights` where they are given; on the noisy images themselves, unless the system
            needs more.
        pairs: what a supervised system trains on.
        clean: what a system trains on that needs clean photographs beside the noisy ones.
        scale: whose settings the training has: 'smoke', 'short' or 'paper'.
        changes: of the settings, nested by group, for the training.

    Raises:
        UsageError: a system that needs pairs or clean images without them, neither weights nor training, or `out`
            holds images of another run.
        DataError: no images, or one that the system cannot take.
        CheckpointError: weights of another layout, or a training of other images in `out`.
        SettingsError: an unknown setting.
    """
    progress = progress or NullProgress()
    torch_device(device)
    system = denoiser(name)
    if not train and (weights is None or changes or pairs is not None or clean is not None):
        problem = f"{name} has no weights" if weights is None else "data or settings of a training without one"
        raise UsageError(problem, "--weights FILE" if weights is None else "--train beside them",
                         "--train trains it first" if weights is None else "")
    kept_apart(noisy, out)
    images = FileImages(list_images(noisy))
    restorer, sources = None, training_data(system, images, pairs, clean) if train else []
    if weights is None or train:
        settings = system.default_settings(scale).but(**(changes or {}))
    else:
        restorer = system.load(weights, device) if weights.is_dir() else system.from_published(weights)
        settings = restorer.settings
    plan = {"command": f"denoise with {name}", "weights": weights_hash(weights), "images": content(images),
            "settings": settings.model_dump(mode="json"), "trained on": content(*pools(sources)) if train else "",
            "seed": seed if train else 0}
    note_plan(plan, images.names, writable(out))
    for sentence in [*filter(None, [left_out(noisy)]), *suspicions(images)]:
        progress.say(sentence)
    if restorer is None:
        restorer = system.fit(sources, settings, seed=seed, device=device, workdir=writable(out / TRAINING),
                              progress=progress, start=weights)
    restorer.save(out / MODEL)
    sample_to_folder(lambda part: restorer.restore(part, device=device, progress=NullProgress()), images, out,
                     progress=progress, plan=plan)
    return len(images)


def denoiser(name: str) -> Any:
    """The class of a restorer that keeps the size of an image.

    Raises:
        UsageError: no such system, a noise model, or one that enlarges.
    """
    system = get(name)
    if system.capabilities.kind != "restorer" or system.capabilities.factor != 1 or not system.capabilities.trains:
        raise UsageError(f"{name} does not denoise", f"one of {', '.join(denoisers())}")
    return system


def denoisers() -> list[str]:
    """Names of the systems that `denoise_folder` takes."""
    found = []
    for name in names():
        what = get(name).capabilities
        if what.kind == "restorer" and what.factor == 1 and what.trains:
            found.append(name)
    return found


def needs(name: str) -> str:
    """What a denoiser trains on: 'noisy images', 'clean images' beside them, or 'pairs'."""
    what = get(name).capabilities
    return "pairs" if what.needs_pairs else "clean images" if what.uses_unpaired else "noisy images"


def training_data(system: Any, noisy: Images, pairs: Pairs | None, clean: Images | None) -> Any:
    """What `fit` of a restorer takes, from what a user has.

    Raises:
        UsageError: the system needs something else than what is given; names those that need noisy images alone.
    """
    given = {"pairs": pairs, "clean images": clean}
    needed = needs(system.name)
    for what, data in given.items():
        if what == needed and data is None:
            alone = [name for name in denoisers() if needs(name) == "noisy images"]
            option = "--pairs" if what == "pairs" else "--clean"
            raise UsageError(f"{system.name} trains on {what}", f"{option}, or a system that trains on the noisy "
                             f"images alone: {', '.join(alone)}", f"give {option}, or --weights without --train")
        if what != needed and data is not None:
            raise UsageError(f"{what} for {system.name}", f"{needed} only", f"leave the {what} out")
    if clean is not None:
        return Domains(source=clean, target=noisy)
    return [noisy if pairs is None else pairs]


def pools(sources: Any) -> list[Images | Pairs]:
    """The pools of what `training_data` gives."""
    return [sources.source, sources.target] if isinstance(sources, Domains) else list(sources)


def suspicions(images: Images) -> list[str]:
    """What is odd about a folder of noisy images, in sentences: a single one, or clean ones among them."""
    found = []
    if len(images) == 1:
        found.append("one image only: a network trained on it knows nothing else, more images make it better")
    levels = np.array([noise_estimate(images[i]) for i in range(len(images))])
    clean = [images.names[i] for i in np.flatnonzero((levels < CLEAN_LEVEL) & (levels < np.median(levels) / 4))]
    if clean:
        found.append(f"{len(clean)} of {len(images)} images look clean beside the others ({', '.join(clean[:3])}): "
                     "a network trained on them learns to keep their texture, take them out if they have no noise")
    return found


def noise_estimate(image: np.ndarray) -> float:
    """Standard deviation of the finest detail of uint8 (H, W, 3), in 8-bit levels, where the photograph is flat.

    The lower quartile over 8x8 blocks of the standard deviation of the grey image's diagonal differences: texture adds
    to it and smooth noise takes from it. It tells noisy from clean photographs, no more.
    """
    grey = image.astype(np.float32).mean(-1)
    detail = (grey[:-1, :-1] - grey[1:, :-1] - grey[:-1, 1:] + grey[1:, 1:]) / 2
    rows, columns = detail.shape[0] // 8, detail.shape[1] // 8
    blocks = detail[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8)
    return float(np.quantile(blocks.std((1, 3)), 0.25)) if blocks.size else 0.0

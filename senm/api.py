"""The Python interface: fit, load, sample and denoise in a notebook or a script."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from senm.config import SHORT, NoiseModelSettings, PairedModelSettings
from senm.data.checking.alignment import check_pairs
from senm.data.domains import Domains
from senm.data.formats.folder import find_pairs
from senm.data.images import list_images
from senm.data.mapped import mapped
from senm.data.pool import FileImages, Images, Pairs, empty_images
from senm.sampling.forms import Many, in_form, pool
from senm.sampling.trained import Trained
from senm.support.errors import UsageError
from senm.support.files import writable
from senm.support.progress import Progress


def load(folder: str | Path, device: str = "cpu") -> Trained:
    """A trained noise model from its folder, or a released one by its name, such as ``embedded-10``.

    Raises:
        CheckpointError: missing, broken or of another layout.
        MachineError: the device is not there.
    """
    return Trained.load(folder, device)


def images_in(folder: str | Path) -> Images:
    """The images of a folder, by the stems of their files, read when they are used.

    Raises:
        DataError: the folder is missing or empty.
    """
    return FileImages(list_images(folder))


def pairs_in(folder: str | Path, noisy: str = "", clean: str = "", *, partners: str | Path | None = None) -> Pairs:
    """The pairs of a folder: by suffix, such as ``_real`` and ``_mean``, or in subfolders such as noisy/ and clean/.

    Args:
        partners: the folder of the clean images, where `folder` is that of the noisy ones.

    Raises:
        DataError: the folder is missing or empty, an image has no partner, or one of another size.
    """
    suffixes = (noisy, clean) if noisy or clean else (None, None)
    found = find_pairs(Path(folder), suffixes[0], suffixes[1], partners)
    names = [pair.name for pair in found]
    return Pairs(FileImages([pair.clean for pair in found], names), FileImages([pair.noisy for pair in found], names))


def fit(
    pairs: tuple[Many, Many] | Pairs,
    clean: Many | None = None,
    noisy: Many | None = None,
    *,
    settings: NoiseModelSettings | PairedModelSettings = SHORT.but(level="measured"),
    seed: int = 0,
    device: str = "cpu",
    workdir: str | Path = "senm-training",
    trust_pairs: bool = False,
    progress: Progress | None = None,
) -> Trained:
    """Train a noise model on (clean, noisy) pairs and, if there are any, unpaired clean and unpaired noisy images.

    Args:
        pairs: two equally long sets of images.
        clean, noisy: unpaired images (source and target domain).
        workdir: where the training state is kept, with the pixels of image files, so that each is decoded once; the
            same call resumes from it. Its name is the run's in TensorBoard, where SENM_TENSORBOARD names a folder.
        trust_pairs: whether to train on pairs that do not look like pairs: swapped, shifted, of two scenes.

    Raises:
        DataError: no data, pairs of different length or size, or pairs that do not look like pairs.
        UsageError: data that these settings cannot use, or without which the model would have no levels.
        MachineError: `workdir` cannot be written.
        TrainingError: the training cannot go on.
    """
    from senm.training.tensorboard import observer

    if not isinstance(pairs, Pairs):
        pairs = Pairs(pool(pairs[0]), pool(pairs[1]))
    domains = Domains(pairs, empty_images() if clean is None else pool(clean),
                      empty_images() if noisy is None else pool(noisy))
    check_domains(settings, domains)
    work = writable(Path(workdir))
    domains = mapped(domains, work)
    if said := check_pairs(domains.paired, trust_pairs):
        warnings.warn(f"taken as they are: {said}", stacklevel=2)
    return Trained.fit(domains, settings, seed=seed, device=device, workdir=work, progress=progress,
                       observe=observer(work.resolve().name))


def check_domains(settings: NoiseModelSettings | PairedModelSettings, domains: Domains) -> None:
    """Refuse, before a training, what would be left unused, or a model that could not be sampled from.

    Raises:
        UsageError: unpaired images for the fully paired network, or no images from which the settings take levels.
    """
    pairs, source, target = domains.counts
    if not any(domains.counts):
        return  # the training itself says so
    if isinstance(settings, PairedModelSettings) and (source or target):
        raise UsageError("unpaired images for the fully paired network", "pairs only",
                         "leave clean and noisy out, or train the semi-supervised network")
    if settings.level != "sidd_line" and not pairs:
        raise UsageError(f"no pairs for a model of {settings.level} levels", "pairs, on which levels are measured",
                         "give pairs, or set level to sidd_line")
    if settings.level == "predicted" and not target:
        raise UsageError("no unpaired noisy images for a model of predicted levels", "images to predict levels of",
                         "give noisy, or set level to measured")


def sample(model: Trained, images: Many, seed: int | None = None, *, names: str | Sequence[str] | None = None,
           level: float | None = None, device: str | None = None, **options: Any) -> Any:
    """Noisy versions of clean images, in the form they came in.

    Args:
        images: one image or several. Arrays are uint8 (H, W, 3) or (N, H, W, 3), tensors float (3, H, W) or
            (N, 3, H, W) in [0, 1]; Pillow images are RGB; lists may mix sizes. Any size will do.
        seed: with an image's name it decides the noise. None draws a fresh one from torch's global generator: each
            call has noise of its own, and `torch.manual_seed` repeats it.
        names: one an image; None takes its place in the call, or its name in an `Images` pool.
        level: one level for all, a standard deviation in [0, 1] units; None draws from the model's level source.
        device: where to run; None is where the model is.
        options: of `senm.sampling.sampler.sample_images` (batch, tile, temperature, precision, compile); precision
            may also be 'auto', see `senm.sampling.precision`.

    Returns:
        One image for one image, else a list (for an array or tensor of several: the same kind again).

    Raises:
        DataError: an image of another type or shape, or with values that are not finite or of another range.
        UsageError: names that do not fit the images.
        SettingsError: a level or an option out of range.
        MachineError: the device is not there, or its memory does not hold one image or tile.

    >>> import numpy as np, senm
    >>> from senm.config import SMOKE
    >>> model = senm.api.Trained(senm.SeNMVAE(SMOKE.network), SMOKE, levels=[0.05])
    >>> senm.sample(model, np.zeros((20, 30, 3), np.uint8)).shape
    (20, 30, 3)
    """
    from senm.sampling.sampler import check_noise

    check_noise(level)
    given = pool(images, names)
    if seed is None:
        seed = int(torch.randint(2**31 - 1, ()))
    return in_form(images, list(model.sample(given, seed=seed, level=level, device=device, **options)))


def denoise(model: Trained, images: Many, *, tile: int | None = None) -> Any:
    """Clean versions of noisy images by the semi-supervised model's own inference, in the form they came in.

    Args:
        images: as for `sample`.
        tile: side in pixels of the tiles that bound memory; None cuts only images too large for it, 0 never cuts.
            Tiles change nothing but the rounding of single pixels, by one level.

    Raises:
        DataError: an image of another type, shape or range, or a model that cannot denoise.
        SettingsError: a negative tile.
        MachineError: the GPU's memory does not hold one image or tile.
    """
    return in_form(images, list(model.denoise(pool(images), tile=tile)))

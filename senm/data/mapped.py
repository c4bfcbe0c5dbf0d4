"""Image files decoded once into memory maps, so that training on photographs decodes nothing in its loop."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from senm.data.domains import Domains
from senm.data.pool import FileImages, Images, Pairs, RaggedImages, ragged_offsets
from senm.support.files import write_atomically


def mapped(domains: Domains, folder: Path, write: bool = True) -> Domains:
    """The same domains with every `FileImages` pool behind a memory map under `folder` (written over each time).

    Args:
        write: False takes the maps that another process has just written from the same domains.

    Raises:
        DataError: an image that cannot be read.
        MachineError: the folder cannot be written, or the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return Domains(
        mapped_pairs(domains.paired, folder, "paired", write),
        _map(domains.source, folder / "source.bin", write),
        _map(domains.target, folder / "target.bin", write),
    )


def mapped_pairs(pairs: Pairs, folder: Path, name: str, write: bool = True) -> Pairs:
    """The same for pairs alone, whose files begin with `name`."""
    clean, noisy = (_map(images, folder / f"{name}_{side}.bin", write)
                    for side, images in (("clean", pairs.clean), ("noisy", pairs.noisy)))
    return Pairs(clean, noisy)


def _map(images: Images, path: Path, write: bool) -> Images:
    if not isinstance(images, FileImages) or not len(images):
        return images
    sizes = np.array([images.size(i) for i in range(len(images))])
    offsets = ragged_offsets(sizes)
    if write:
        write_atomically(path, lambda temporary: _decode(images, temporary, int(offsets[-1])))
    return RaggedImages(np.memmap(path, dtype=np.uint8, mode="r"), sizes, images.names)


def _decode(images: Images, path: Path, length: int) -> None:
    """All pixels into one file, whose room is reserved first: writing a map on a full disk would kill the process."""
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, length)
        for image in images:
            file.write(image.tobytes())

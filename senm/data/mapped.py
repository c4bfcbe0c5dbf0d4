"""Image files decoded once into memory maps, so that training on photographs decodes nothing in its loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from senm.data.domains import Domains
from senm.data.pool import FileImages, Images, Pairs, RaggedImages, ragged_offsets


def mapped(domains: Domains, folder: Path, write: bool = True) -> Domains:
    """The same domains with every `FileImages` pool behind a memory map under `folder` (written over each time).

    Args:
        write: False takes the maps that another process has just written from the same domains.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return Domains(
        Pairs(*(_map(side, folder / f"paired_{name}.bin", write)
                for name, side in (("clean", domains.paired.clean), ("noisy", domains.paired.noisy)))),
        _map(domains.source, folder / "source.bin", write),
        _map(domains.target, folder / "target.bin", write),
    )


def _map(images: Images, path: Path, write: bool) -> Images:
    if not isinstance(images, FileImages) or not len(images):
        return images
    sizes = np.array([images.size(i) for i in range(len(images))])
    offsets = ragged_offsets(sizes)
    if write:
        flat = np.memmap(path, dtype=np.uint8, mode="w+", shape=(int(offsets[-1]),))
        for i in range(len(images)):
            flat[offsets[i] : offsets[i + 1]] = images[i].reshape(-1)
        flat.flush()
    return RaggedImages(np.memmap(path, dtype=np.uint8, mode="r"), sizes, images.names)

"""Do released networks give on a GPU what they give on a CPU? Restorers by pixel, noise models by their statistics.

Draws on a GPU differ from those on a CPU, so noise is compared by its deviation and its correlation between neighbours.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.core.options import check_device
from benchmarks.store.released import Released, released
from senm.support.progress import NullProgress

if TYPE_CHECKING:
    from senm.data.pool import Images

SHARE, LEVELS = 0.999, 1
"""Of all pixels of restored images, the share that may differ by no more than so many grey levels."""
DEVIATION, CORRELATION = 0.03, 0.02
"""Largest relative difference of the noise's standard deviation, and absolute one of its correlation."""


@dataclass(frozen=True)
class Equality:
    """One network on both devices: what was compared, the difference, what is allowed."""

    name: str
    system: str
    what: str
    found: float
    allowed: float
    equal: bool


def compare(item: Released, device: str, count: int = 8, side: int = 128) -> list[Equality]:
    """A released network on a CPU and on `device`, on made-up photographs of the embedded set."""
    import baselines

    system = str(item.description["description"]["params"]["system"])
    maker = baselines.get(system)
    images = photographs(count, side)
    if hasattr(maker, "sample"):
        here, there = (_noise(maker.load(item.folder, place), images, place) for place in ("cpu", device))
        deviation = abs(there[0] / here[0] - 1)
        correlation = abs(there[1] - here[1])
        return [
            Equality(item.folder.name, system, "deviation of noise", deviation, DEVIATION, deviation <= DEVIATION),
            Equality(item.folder.name, system, "correlation of noise", correlation, CORRELATION,
                     correlation <= CORRELATION),
        ]
    first, second = (
        np.stack(list(maker.load(item.folder, place).restore(images, device=place, progress=NullProgress())))
        for place in ("cpu", device)
    )
    near = float((np.abs(first.astype(int) - second.astype(int)) <= LEVELS).mean())
    return [Equality(item.folder.name, system, "pixels within a level", near, SHARE, near >= SHARE)]


def photographs(count: int, side: int) -> Images:
    """Crops of the embedded validation photographs, uint8 (side, side, 3)."""
    from senm.data.embedded import PHOTOGRAPHS, load
    from senm.data.pool import ArrayImages

    whole = [load(each) for each in PHOTOGRAPHS if each.domain == "validation"]
    crops = []
    for index in range(count):
        image = whole[index % len(whole)]
        row, column = (37 * index) % (image.shape[0] - side), (91 * index) % (image.shape[1] - side)
        crops.append(image[row : row + side, column : column + side])
    return ArrayImages(np.stack(crops), [f"crop-{i}" for i in range(count)])


def _noise(model: Any, images: Images, device: str) -> tuple[float, float]:
    """Standard deviation of the noise in levels, and its correlation with the pixel to the right."""
    made = model.sample(images, seed=0, device=device, progress=NullProgress())
    noise = np.stack([image.astype(float) - clean for image, clean in zip(made, images, strict=True)])
    noise -= noise.mean((1, 2), keepdims=True)
    left, right = noise[:, :, :-1], noise[:, :, 1:]
    return float(noise.std()), float((left * right).mean() / max(float(noise.var()), 1e-12))


def compared(device: str, names: Sequence[str] = ()) -> Iterator[Equality]:
    """Every released network of replicate 0, or those of these names."""
    for item in released():
        if item.folder.name in names or (not names and item.folder.name.endswith("-0")):
            yield from compare(item, device)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each comparison; exit code 1 where one is not equal."""
    parser = argparse.ArgumentParser("python -m benchmarks.profiling.equality", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--names", default="", help="released checkpoints, separated by commas; all of replicate 0")
    parser.add_argument("--out", type=Path, help="folder for equality.json")
    given = parser.parse_args(arguments)
    check_device(given.device)
    found = []
    for each in compared(given.device, tuple(filter(None, given.names.split(",")))):
        found.append(each)
        word = "equal" if each.equal else "DIFFERS"
        print(f"{word:8} {each.name:36} {each.what:22} {each.found:.6g} (allowed {each.allowed:g})", flush=True)
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "equality.json").write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")
    return 0 if found and all(each.equal for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())

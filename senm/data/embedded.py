"""The embedded camera: photographs that ship inside scikit-image, seen through the camera of `senm.data.camera`.

Photographs, not crops, are divided among paired, source, target and validation data. Each crop gets its own noise.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from senm.data.camera import MARGIN, Camera, Exposure, draw_exposure
from senm.data.images import read_rgb
from senm.data.manifest import Source, file_sha256
from senm.data.prepared import PreparedData
from senm.data.writer import PreparedWriter
from senm.support import seeding
from senm.support.errors import DataError, unknown
from senm.support.progress import NullProgress, Progress

INSTALL = "pip install --force-reinstall --no-deps scikit-image"
DARKEST = 0.35  # least light of a crop, as a share of the photograph's own


@dataclass(frozen=True)
class Photograph:
    """A file of scikit-image's data folder. Files of one `scene` always share a domain."""

    file: str
    scene: str
    domain: str
    sha256: str
    licence: str


PHOTOGRAPHS = (
    Photograph("motorcycle_left.png", "motorcycle", "paired",
               "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
               "Middlebury stereo benchmark 2014 (Scharstein et al.), as distributed with scikit-image"),
    Photograph("motorcycle_right.png", "motorcycle", "paired",
               "5fc913ae870e42a4b662314bc904d1786bcad8e2f0b9b67dba5a229406357797",
               "Middlebury stereo benchmark 2014 (Scharstein et al.), as distributed with scikit-image"),
    Photograph("chelsea.png", "chelsea", "source",
               "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb", "CC0-1.0, Stefan van der Walt"),
    Photograph("ihc.png", "ihc", "source",
               "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef",
               "no known copyright restrictions, Center for Microscopy and Molecular Imaging"),
    Photograph("rocket.jpg", "rocket", "target",
               "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c", "public domain, SpaceX"),
    Photograph("retina.jpg", "retina", "target",
               "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6", "CC0-1.0, Mikael Häggström"),
    Photograph("astronaut.png", "astronaut", "validation",
               "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5", "public domain, NASA"),
    Photograph("coffee.png", "coffee", "validation",
               "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7", "CC0-1.0, Rachel Michetti"),
)


@dataclass(frozen=True)
class Amount:
    """How much is cut at a scale: side of a crop in pixels and number of crops by domain."""

    crop: int
    paired: int
    source: int
    target: int
    validation: int


SCALES = {
    "smoke": Amount(64, 16, 16, 16, 8),
    "short": Amount(128, 320, 160, 160, 64),
    "paper": Amount(128, 320, 160, 160, 64),
}
PAPER_COUNTS = (10, 96, 960)


def data_folder() -> Path:
    """scikit-image's data folder, found without importing the package (DataError where it is not installed)."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DataError("scikit-image is not installed", "its photographs", "pip install scikit-image")
    return Path(spec.origin).parent / "data"


def load(photograph: Photograph, folder: Path | None = None) -> np.ndarray:
    """The pixels of one photograph, uint8 (H, W, 3), after checking its hash.

    Raises:
        DataError: the file is missing or is another one.
    """
    path = (folder or data_folder()) / photograph.file
    if not path.is_file():
        raise DataError(f"scikit-image ships no {photograph.file}", "a scikit-image wheel from PyPI", INSTALL)
    if (found := file_sha256(path)) != photograph.sha256:
        raise DataError(f"{path} has sha256 {found[:12]}...", f"{photograph.sha256[:12]}...", INSTALL)
    return read_rgb(path)


def prepare(out: Path | str, scale: str = "short", seed: int = 0, progress: Progress | None = None) -> PreparedData:
    """Prepare the embedded data set into the folder `out`; the same arguments give the same bytes.

    Splits: 'train' (all crops of the paired, source and target photographs) and 'validation'. A number of pairs up
    to the size of the paired domain takes crops of the paired photographs only; all pairs take every training crop.

    Args:
        scale: 'smoke' (64-pixel crops, a few dozen), 'short' or 'paper' (128-pixel crops, hundreds).
        seed: of the named streams that place crops and draw noise.

    Raises:
        UsageError: unknown scale, or `out` is something else.
        DataError: a photograph is missing or changed.
        MachineError: `out` cannot be written.
    """
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    amount, progress = SCALES[scale], progress or NullProgress()
    pixels = {photograph.file: load(photograph) for photograph in PHOTOGRAPHS}
    counts = {"paired": amount.paired, "source": amount.source, "target": amount.target}
    train = [_place(domain, i, amount.crop, seed, pixels) for domain, count in counts.items() for i in range(count)]
    validation = [_place("validation", i, amount.crop, seed, pixels) for i in range(amount.validation)]
    plan: dict[str, Any] = {"scale": scale, "seed": seed, "photographs": {p.file: p.sha256 for p in PHOTOGRAPHS}}
    with PreparedWriter(out, "embedded", plan) as writer, \
            progress.task("embedded camera", len(train) + len(validation)) as task:
        for pool, items in (("train", train), ("validation", validation)):
            sides = writer.pool(pool, items, dict.fromkeys(("clean", "noisy"), (amount.crop, amount.crop)))
            for i, item in enumerate(items):
                clean, noisy = render(item, pixels, amount.crop, seed)
                sides["clean"].write(i, clean[None])
                sides["noisy"].write(i, noisy[None])
                task.advance()
        orders = _orders(amount, seed)
        for domain, order in orders.items():
            writer.order(domain, "train", order.tolist())
        used = {n: min(n, amount.paired) for n in PAPER_COUNTS}
        return writer.finish(
            description=f"photographs of scikit-image through a small camera, {amount.crop}-pixel crops",
            split_rule="by-photo", paired_counts=used, notes=_notes(amount, used),
            sources=[Source(name=p.scene, file=f"skimage/data/{p.file}", sha256=p.sha256, licence=p.licence,
                            size=pixels[p.file].shape[:2], split=p.domain) for p in PHOTOGRAPHS])


def _place(domain: str, index: int, crop: int, seed: int, pixels: dict[str, np.ndarray]) -> dict[str, Any]:
    """How one crop is taken: photograph, window, block averaging, light and noise, all from its own stream."""
    rng = seeding.rng("embedded crop", seed, domain, index)
    files = [p for p in PHOTOGRAPHS if p.domain == domain]
    photograph = files[int(rng.integers(len(files)))]
    height, width = pixels[photograph.file].shape[:2]
    side = crop + 2 * MARGIN
    reduce = int(rng.integers(1, min(3, height // side, width // side) + 1))
    row, column = (int(rng.integers(0, n - side * reduce + 1)) for n in (height, width))
    noise = draw_exposure("embedded", seed, domain, index)
    return {"name": f"{domain}_{index:04d}", "photograph": photograph.file, "scene": photograph.scene,
            "domain": domain, "row": row, "column": column, "reduce": reduce,
            "light": float(np.exp(rng.uniform(np.log(DARKEST), 0.0))), "shot": noise.shot, "read": noise.read}


def render(item: dict[str, Any], pixels: dict[str, np.ndarray], crop: int,
           seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(clean, noisy) of one listed crop, uint8 (crop, crop, 3) each."""
    side = (crop + 2 * MARGIN) * item["reduce"]
    window = pixels[item["photograph"]][item["row"]:item["row"] + side, item["column"]:item["column"] + side]
    camera = Camera()
    raw = camera.raw(window, item["light"], item["reduce"])
    return camera.pair(raw, Exposure(item["shot"], item["read"]), seeding.rng("embedded noise", seed, item["name"]))


def _orders(amount: Amount, seed: int) -> dict[str, np.ndarray]:
    """Order of use by domain; the paired photographs' crops come first, so that few pairs never touch the others."""
    starts = np.cumsum([0, amount.paired, amount.source, amount.target])
    own = {name: starts[i] + seeding.rng("embedded order", seed, name).permutation(int(starts[i + 1] - starts[i]))
           for i, name in enumerate(("paired", "source", "target"))}
    rest = starts[1] + seeding.rng("embedded order", seed, "rest").permutation(amount.source + amount.target)
    return {**own, "paired": np.concatenate([own["paired"], rest])}


def _notes(amount: Amount, used: dict[int, int]) -> list[str]:
    everything = amount.paired + amount.source + amount.target
    capped = [f"{n} pairs of the paper are {have} here" for n, have in used.items() if n != have]
    return [f"photographs are divided by scene; {everything} pairs in all, of which the first {amount.paired} "
            "show the paired photographs", *capped]

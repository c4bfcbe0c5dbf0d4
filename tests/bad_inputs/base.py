"""How a bad input is declared, tried and printed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from baselines.published.external import ExternalNoise, ExternalSettings
from benchmarks.data.prepare import prepare
from senm.data.embedded import PHOTOGRAPHS, load
from senm.data.formats import dnd, folder, rwsr, sidd, unpaired
from senm.data.formats.sidd_blocks import BlockShape
from senm.data.images import write_png
from senm.data.pool import ArrayImages
from senm.support.errors import SenmError
from senm.support.progress import NullProgress
from tests import ROOT
from tests import fixtures_official as fx

DOC = ROOT / "docs" / "bad-inputs.md"
SIDD = sidd.SiddSizes(pairs=6, blocks=BlockShape(2, 4, 32))
CUT = sidd.Cutting(crops=3, size=32)
DND = dnd.DndShape(2, 3, 32)
RWSR = rwsr.RwsrSizes(12, 10)
Case = tuple[str, str, Callable[[Path], Callable[[], Any]]]
CASES: list[Case] = []
# What a library adds in its own words, which change from version to version.
LIBRARY = re.compile(r" \((?:\w+Error|broken data stream|File is not|image file is)[^)]*\)")


def case(data: str, title: str) -> Callable[[Callable[[Path], Any]], Callable[[Path], Any]]:
    """Register a case. The function spoils a whole tree `root` of this kind, or returns the call to make."""

    def register(spoil: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def build(tmp: Path) -> Callable[[], Any]:
            root = tmp / "root"
            CALLS[data][0](root)
            return spoil(root) or (lambda: CALLS[data][1](root, tmp / "out"))

        CASES.append((data, title, build))
        return spoil

    return register


def own_pairs(root: Path) -> None:
    """Eight crops of the embedded photographs with noise, as a user's folder of pairs."""
    root.mkdir()
    for number, photograph in enumerate(PHOTOGRAPHS):
        clean = load(photograph)[20:148, 60:188]
        noise = np.random.default_rng(number).normal(0, 12, clean.shape)
        write_png(root / f"p{number}_clean.png", clean)
        write_png(root / f"p{number}_noisy.png", (clean + noise).round().clip(0, 255).astype(np.uint8))


def without_pairs(root: Path) -> None:
    """Bad photographs in `low`, good ones of other scenes in `high`."""
    for i in range(4):
        write_png(root / "low" / f"l{i}.png", fx.noisy(fx.photo(64, 80, i), i))
        write_png(root / "high" / f"h{i}.png", fx.photo(96, 128, 40 + i))


SPLIT = ArrayImages(np.full((2, 16, 16, 3), 90, np.uint8), ["0001_01", "0001_02"])


def elsewhere(root: Path) -> None:
    """Two finished noisy images for `SPLIT`."""
    root.mkdir()
    for name in SPLIT.names:
        write_png(root / f"{name}.png", SPLIT[0] + 1)


def scored(root: Path) -> None:
    """Take a folder of generated noise as a row of a table does."""
    made = ExternalNoise(ExternalSettings(folder=str(root)))
    made.remarks(SPLIT)
    list(made.sample(SPLIT, seed=0, device="cpu", progress=NullProgress()))


CALLS: dict[str, tuple[Callable[[Path], Any], Callable[[Path, Path], Any]]] = {
    "SIDD": (lambda r: fx.sidd_mats(fx.sidd_medium(r)),
             lambda r, o: sidd.prepare(r, o, cutting=CUT, sizes=SIDD, workers=1)),
    "DND": (fx.dnd, lambda r, o: dnd.prepare(r, o, shape=DND)),
    "AIM19": (lambda r: fx.rwsr(r, "aim19"), lambda r, o: rwsr.prepare("aim19", r, o, sizes=RWSR, workers=1)),
    "own pairs": (own_pairs, lambda r, o: folder.prepare(r, o, "smoke", noisy_suffix="_noisy", clean_suffix="_clean")),
    "no pairs": (without_pairs, lambda r, o: unpaired.prepare(r / "low", o, partners=r / "high", workers=1)),
    "made elsewhere": (elsewhere, lambda r, o: scored(r)),
    "any": (lambda r: r.mkdir(), lambda r, o: prepare("sidd", r, o)),
}


def message(build: Callable[[Path], Callable[[], Any]], tmp: Path) -> str:
    """What the call says, with the scratch folder left out; an empty string where it says nothing."""
    call = build(tmp)
    before = sorted(p.relative_to(tmp) for p in tmp.rglob("*"))
    try:
        call()
    except SenmError as error:
        left = sorted({p.relative_to(tmp) for p in tmp.rglob("*")} - set(before))
        if left:
            raise AssertionError(f"left behind: {left}") from error
        text = re.sub(re.escape(str(tmp / "root")) + "/?", "DIR/", str(error)).replace("DIR/ ", "DIR ")
        return re.sub(r"DIR/(?:[\w.-]+/){2,}", "DIR/.../", LIBRARY.sub("", text))
    return ""


def document() -> str:
    """The page: one row a case, made by running all of them."""
    lines = ["# Bad inputs and what is said about them", "",
             "Every row is made by a test that spoils a small copy of the official download, of a user's pairs or of",
             "finished images, and runs what reads it. In each case the exit code is not 0 and nothing half-written is",
             "left behind. `DIR` stands for the folder that was given; the copies are small, and so are the counts.",
             "",
             "| data | input | message |", "|---|---|---|"]
    for data, title, build in sorted(CASES, key=lambda c: list(CALLS).index(c[0])):
        with tempfile.TemporaryDirectory() as tmp:
            lines.append(f"| {data} | {title} | {message(build, Path(tmp)).replace('|', '/')} |")
    return "\n".join(lines) + "\n"

"""Open sets of real camera pairs: PolyU (100 crops of 40 scenes) and CC (15 crops), 512 x 512, ``_real`` and ``_mean``.

The clean side is the mean of many shots of a static scene. Both are folders of pairs, so `senm.data.formats.folder`
cuts them; what is added here is where they lie, how many they are, and which crops show the same photograph.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from senm.data.formats import folder
from senm.data.images import EXTENSIONS
from senm.data.prepared import PreparedData
from senm.support.errors import DataError, unknown
from senm.support.progress import Progress


@dataclass(frozen=True)
class OpenSet:
    """Official count of pairs, pattern of a pair's name whose first group is its photograph, where it is found."""

    pairs: int
    name: re.Pattern[str]
    example: str
    licence: str


SETS = {
    "polyu": OpenSet(100, re.compile(r"^((?:Canon|Nikon|Sony)\w*_[\d-]+_\d+_\d+_.+?)_*\d+$"),
                     "Canon5D2_5_160_3200_chair_11_real.JPG", "PolyU real-world noisy images, for research"),
    "cc": OpenSet(15, re.compile(r"^((?:5dma\w*|d600|d800)_iso\d+)_\d+$"), "d800_iso3200_1_real.png",
                  "cross-channel data set of Nam et al. 2016, for research"),
}
NOISY, CLEAN = "_real", "_mean"
CUTTING = folder.Cutting(crop=256, crops=30, validation_crops=4)


def find_folder(kind: str, root: Path) -> Path:
    """The folder of the crops, at most three levels below `root`.

    Raises:
        UsageError: unknown kind.
        DataError: no such folder.
    """
    if kind not in SETS:
        raise unknown("data set", kind, SETS)
    known = SETS[kind]
    for level in range(4):
        for path in sorted(root.glob("*/" * level + f"*{NOISY}.*")):
            if path.suffix.lower() in EXTENSIONS and known.name.match(path.stem.removesuffix(NOISY)):
                return path.parent
    raise DataError(f"{root} holds no pair of {kind}", f"files such as {known.example}",
                    "give the folder that holds them; their names must be the published ones")


def photograph(kind: str, name: str) -> str:
    """The photograph that a pair was cut from: its name without the number of the crop.

    Raises:
        DataError: a name that is not of this set.
    """
    match = SETS[kind].name.match(name)
    if match is None:
        raise DataError(f"{name} is not the name of a pair of {kind}", f"a name such as {SETS[kind].example}",
                        "remove the file, or prepare the folder as kind 'folder'")
    return match[1]


def prepare(kind: str, root: Path | str, out: Path | str, *, split_rule: str = "authors", seed: int = 0,
            cutting: folder.Cutting | None = None, scale: str = "paper", allow_partial: bool = False,
            workers: int | None = None, progress: Progress | None = None) -> PreparedData:
    """Prepare 'polyu' or 'cc' from its published crops below `root` into the folder `out`.

    Photographs, not crops, are divided into training and validation, and with the rule 'by-photo' also into domains.

    Args:
        cutting: how much is cut; None takes 30 crops an image at scale 'paper', else what folders take at the scale.
        scale: 'smoke', 'short' or 'paper'; at 'smoke' an incomplete set will do.

    Raises:
        UsageError: unknown kind, scale or split rule, or `out` is something else.
        DataError: missing or surplus pairs, foreign names, and all faults of `senm.data.formats.folder`.
        MachineError: disk full or not writable.
    """
    allow_partial = allow_partial or scale == "smoke"
    if cutting is None and scale == "paper":
        cutting = CUTTING
    where = find_folder(kind, Path(root))
    pairs = folder.find_pairs(where, NOISY, CLEAN)
    if len(pairs) != SETS[kind].pairs and not allow_partial:
        raise DataError(f"{where} holds {len(pairs)} of {SETS[kind].pairs} pairs", f"the whole of {kind}",
                        "download the rest, or pass --allow-partial to use what is there")
    scenes = {pair.name: photograph(kind, pair.name) for pair in pairs}
    return folder.prepare(where, out, scale, noisy_suffix=NOISY, clean_suffix=CLEAN, split_rule=split_rule, seed=seed,
                          cutting=cutting, workers=workers, name=kind, licence=SETS[kind].licence, scenes=scenes,
                          progress=progress)

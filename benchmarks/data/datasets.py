"""`--data`: what it names, how it is prepared once into the store, and what a plan needs to know of it."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.core.step import Step
from senm.support.contents import sha256_of
from senm.support.errors import DataError, UsageError, unknown

if TYPE_CHECKING:
    from benchmarks.store.store import Store
    from senm.data.prepared import PreparedData
    from senm.support.progress import Progress

KINDS = ("embedded", "folder", "unpaired", "sidd", "aim19", "ntire20", "polyu", "cc", "dnd")
MODULES = {
    "embedded": "senm.data.embedded",
    "folder": "senm.data.formats.folder",
    "unpaired": "senm.data.formats.unpaired",
    "sidd": "senm.data.formats.sidd",
    "aim19": "senm.data.formats.rwsr",
    "ntire20": "senm.data.formats.rwsr",
    "polyu": "senm.data.formats.open_pairs",
    "cc": "senm.data.formats.open_pairs",
    "dnd": "senm.data.formats.dnd",
}
CHALLENGES = ("aim19", "ntire20")
SUPER_RESOLUTION = (*CHALLENGES, "unpaired")
ROLES = ("paired", "source", "target", "train", "validation", "benchmark")
# What a whole data set holds, for plans made before it is prepared: 300 crops of 320 pairs; the challenges' counts.
OFFICIAL_COUNTS: dict[str, dict[str, int]] = {
    "sidd": dict(zip(ROLES, (96_000, 48_000, 48_000, 96_000, 1280, 1280), strict=True)),
    "aim19": dict(zip(ROLES, (10, 800, 2650, 10, 90, 0), strict=True)),
    "ntire20": dict(zip(ROLES, (10, 800, 2650, 10, 90, 0), strict=True)),
}


@dataclass(frozen=True)
class Spec:
    """A parsed `--data` option: its kind, its folder, and of a folder of pairs the suffixes or the other folder."""

    kind: str
    path: Path | None = None
    suffixes: tuple[str, ...] = ()
    partners: Path | None = None

    @property
    def text(self) -> str:
        """The option as it is kept in records: without the folder, which is nobody else's business."""
        return self.kind if not self.suffixes else f"{self.kind} ({', '.join(self.suffixes)})"


@dataclass(frozen=True)
class Data:
    """A data set as plans see it. `prepared` is None where only a plan is asked for and nothing was prepared yet.

    `side` is the shortest side of a noisy training image in pixels, 0 where it is not known; `foreseen` is the origin
    (see `senm.data.manifest`) that the set will have, where that is known before it is prepared.
    """

    name: str
    fingerprint: str
    counts: Mapping[str, int]
    paired_counts: Mapping[int, int] = field(default_factory=dict)
    prepared: PreparedData | None = None
    notes: tuple[str, ...] = ()
    side: int = 0
    foreseen: str = ""

    @property
    def origin(self) -> str:
        """What the content is made from, as released checkpoints are matched by it; '' where it is not known yet."""
        return self.prepared.manifest.origin if self.prepared is not None else self.foreseen

    @property
    def judged(self) -> bool:
        """Whether the validation images have clean partners; without, only no-reference scores can be measured."""
        return self.prepared.has("validation", "clean") if self.prepared is not None else "unpaired" not in self.name

    @property
    def enlarges(self) -> bool:
        """Whether the clean images are larger than the noisy ones (super-resolution)."""
        return self.name in SUPER_RESOLUTION or self.name.endswith("-x4")


def parse(text: str) -> Spec:
    """The data set that an option names: ``embedded``, ``KIND:PATH[,noisy-suffix,clean-suffix]`` or ``KIND:DIR,DIR``.

    Raises:
        UsageError: unknown kind, a path that is missing, or suffixes where none belong.
    """
    kind, _, rest = text.partition(":")
    if kind not in KINDS:
        raise unknown("data set", kind, KINDS)
    from senm.data.formats.folder import place_and_suffixes

    path, suffixes = place_and_suffixes(rest)
    if kind == "embedded":
        if rest:
            raise UsageError(f"--data {text!r} gives a path to the embedded photographs", "--data embedded")
        return Spec(kind)
    if not path:
        raise UsageError(f"--data {text!r} names no folder", f"--data {kind}:PATH")
    if kind == "unpaired" and len(suffixes) != 1:
        raise UsageError(f"--data {text!r} does not name two folders that exist", "unpaired:LOW-DIR,HIGH-DIR",
                         "low-quality photographs first, good ones second")
    if suffixes and kind not in ("folder", "unpaired"):
        raise UsageError(f"--data {text!r} has {len(suffixes)} suffixes", f"{kind}:PATH, or folder:PATH with suffixes")
    return Spec(kind, Path(path), (), Path(suffixes[0])) if len(suffixes) == 1 else Spec(kind, Path(path), suffixes)


def fits(spec: Spec, task: str) -> bool:
    """Whether tables of a task can run on a data set."""
    if spec.kind in SUPER_RESOLUTION:
        return task == "sr"
    return spec.kind != "dnd"


def prepare_step(spec: Spec, scale: str) -> Step:
    """The step that prepares a data set; its key follows names and bytes of the files in the folder.

    Where the preparation cuts by scale, the scale is in the key; the challenges' sets are cut down at smoke scale only.
    """
    params: dict[str, Any] = {"data": spec.kind, "suffixes": list(spec.suffixes), "files": listing(spec.path)}
    if spec.partners is not None:
        params["partners"] = listing(spec.partners)
    if "scale" in inspect.signature(_function(spec.kind)).parameters:
        whole = spec.kind in CHALLENGES and scale != "smoke"
        params["scale"] = "paper" if whole else scale
    return Step("prepare", f"prepare {spec.kind}", params, sources=(MODULES[spec.kind],))


def reduce_step(fingerprint: str, scale: str) -> Step:
    """The step that makes a x4 set from a prepared one: of a few images at smoke scale."""
    params = {"from": fingerprint, "limit": 16 if scale == "smoke" else None}
    return Step("reduce", "reduce by 4", params, sources=("benchmarks.data.reduced",))


def scale_for(spec: Spec, scale: str, task: str) -> str:
    """The scale at which a set is prepared: the embedded crops of smoke scale are too small to be reduced by 4."""
    return "short" if reduces(spec, task) and spec.kind == "embedded" else scale


def reduces(spec: Spec, task: str) -> bool:
    """Whether a super-resolution task needs a x4 set made from this data."""
    return task == "sr" and spec.kind not in SUPER_RESOLUTION


def load(
    spec: Spec, scale: str, task: str, store: Store, progress: Progress, trust_pairs: bool = False
) -> Data:
    """The prepared data set, prepared now if the store lacks it. A folder that is already prepared is used as it is.

    With `trust_pairs`, pairs of a folder that do not look like pairs are named and taken.

    Raises:
        DataError: missing, empty or broken data.
    """
    from senm.data.prepared import PreparedData

    prepared = _already(spec)
    if prepared is None:
        size = scale_for(spec, scale, task)
        step = prepare_step(spec, size)

        def make(folder: Path) -> None:
            progress.say(step.label)
            _call(spec, size, folder / "data", progress, trust_pairs)

        prepared = PreparedData.open(store.make(step, make) / "data")
    if reduces(spec, task):
        from benchmarks.data.reduced import reduce

        whole, smaller = prepared, reduce_step(prepared.fingerprint, scale)
        made = store.make(smaller, lambda folder: reduce(whole, folder / "data", smaller.params["limit"]))
        prepared = PreparedData.open(made / "data")
    return described(prepared)


def foresee(spec: Spec, scale: str, task: str, store: Store) -> Data:
    """What a plan can know of a data set without preparing it: official or guessed counts where it is not there."""
    from senm.data.prepared import PreparedData

    name = f"{spec.kind}-x4" if reduces(spec, task) else spec.kind
    if spec.path is not None and not spec.path.exists() and spec.kind in OFFICIAL_COUNTS:
        notes = (f"{spec.kind} is not there: its official image counts are used",)
        return Data(name, f"unprepared {spec.kind}", OFFICIAL_COUNTS[spec.kind], notes=notes)
    prepared = _already(spec)
    if prepared is None:
        path = store.get(prepare_step(spec, scale_for(spec, scale, task)))
        prepared = PreparedData.open(path / "data") if path else None
    if prepared is not None and reduces(spec, task):
        path = store.get(reduce_step(prepared.fingerprint, scale))
        prepared = PreparedData.open(path / "data") if path else None
    if prepared is not None:
        return described(prepared)
    counts, words = OFFICIAL_COUNTS.get(spec.kind), "its official image counts are used"
    if spec.kind == "embedded" and not reduces(spec, task):
        return _embedded(scale)
    if spec.kind == "embedded":
        counts, words = _embedded_counts(scale), "released checkpoints are matched once it is"
    elif counts is None:
        counts, words = dict.fromkeys(ROLES, 1000), "1000 images of each kind are assumed"
    notes = (f"{name} is not prepared yet: its keys will change, and {words}",)
    return Data(name, f"unprepared {name}", counts, notes=notes)


def _embedded(scale: str) -> Data:
    """The embedded set before it is prepared: everything but its bytes is known."""
    from senm.data.embedded import PAPER_COUNTS, PHOTOGRAPHS, SCALES
    from senm.data.manifest import Manifest

    amount = SCALES[scale]
    plan = {"scale": scale, "seed": 0, "photographs": {p.file: p.sha256 for p in PHOTOGRAPHS}}
    used = {n: min(n, amount.paired) for n in PAPER_COUNTS}
    notes = ("embedded is not prepared yet: its keys will change",)
    return Data("embedded", "unprepared embedded", _embedded_counts(scale), used, None, notes, amount.crop,
                Manifest(name="embedded", plan=plan).origin)


def _embedded_counts(scale: str) -> dict[str, int]:
    from senm.data.embedded import SCALES

    amount = SCALES[scale]
    every = amount.paired + amount.source + amount.target
    return dict(zip(ROLES, (every, amount.source, amount.target, every, amount.validation, 0), strict=True))


def _already(spec: Spec) -> PreparedData | None:
    from senm.data.manifest import is_prepared
    from senm.data.prepared import PreparedData

    if spec.path is None or not is_prepared(spec.path):
        return None
    prepared = PreparedData.open(spec.path)
    prepared.verify()
    return prepared


def _function(kind: str) -> Callable[..., Any]:
    import importlib

    found: Callable[..., Any] = importlib.import_module(MODULES[kind]).prepare
    return found


def _call(spec: Spec, scale: str, out: Path, progress: Progress, trust_pairs: bool) -> None:
    if spec.path is not None and not spec.path.is_dir():
        raise DataError(f"the data folder {spec.path} does not exist", "a folder of images")
    function = _function(spec.kind)
    given: dict[str, Any] = {"out": out, "progress": progress, "scale": scale, "kind": spec.kind, "root": spec.path,
                             "trust_pairs": trust_pairs, "partners": spec.partners}
    if spec.suffixes:
        given["noisy_suffix"], given["clean_suffix"] = spec.suffixes
    known = inspect.signature(function).parameters
    function(**{name: value for name, value in given.items() if name in known and value is not None})


def described(prepared: PreparedData) -> Data:
    """What plans need to know of a prepared data set."""
    domains = prepared.domains(None, None, None)
    counts = dict(zip(("paired", "source", "target"), domains.counts, strict=True))
    pools = prepared.manifest.pools
    counts |= {split: pools[split].items if split in pools else 0 for split in ("train", "validation", "benchmark")}
    notes = tuple(
        f"{paper} pairs of the paper stand for {used} pairs here"
        for paper, used in prepared.paired_counts.items()
        if paper != used
    )
    sides = [min(pool.size(i)) for pool in (domains.paired.noisy, domains.target) for i in range(len(pool))]
    return Data(
        prepared.name, prepared.fingerprint, counts, prepared.paired_counts, prepared, notes, min(sides, default=0)
    )


def listing(folder: Path | None) -> str:
    """sha256 over names and bytes of all files of a folder; '' without a folder.

    Raises:
        DataError: the folder is missing.
    """
    if folder is None:
        return ""
    if not folder.is_dir():
        raise DataError(f"the folder {folder} does not exist", "a folder of images")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    table = [*zip([p.relative_to(folder).as_posix() for p in files], sha256_of(files), strict=True)]
    return hashlib.sha256(json.dumps(table).encode()).hexdigest()

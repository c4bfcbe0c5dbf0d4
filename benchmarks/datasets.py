"""`--data`: what it names, how it is prepared once into the store, and what a plan needs to know of it."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.step import Step
from senm.errors import DataError, UsageError, unknown

if TYPE_CHECKING:
    from benchmarks.store import Store
    from senm.data.prepared import PreparedData
    from senm.progress import Progress

KINDS = ("embedded", "folder", "sidd", "aim19", "ntire20", "dnd")
MODULES = {
    "embedded": "senm.data.embedded",
    "folder": "senm.data.folder",
    "sidd": "senm.data.sidd",
    "aim19": "senm.data.rwsr",
    "ntire20": "senm.data.rwsr",
    "dnd": "senm.data.dnd",
}
SUPER_RESOLUTION = ("aim19", "ntire20")
ROLES = ("paired", "source", "target", "train", "validation", "benchmark")
# What a whole data set holds, for plans made before it is prepared: 300 crops of 320 pairs; the challenges' image counts.
OFFICIAL_COUNTS: dict[str, dict[str, int]] = {
    "sidd": dict(zip(ROLES, (96_000, 48_000, 48_000, 96_000, 1280, 1280), strict=True)),
    "aim19": dict(zip(ROLES, (10, 800, 2650, 10, 90, 0), strict=True)),
    "ntire20": dict(zip(ROLES, (10, 800, 2650, 10, 90, 0), strict=True)),
}


@dataclass(frozen=True)
class Spec:
    """A parsed `--data` option: its kind, its folder, and the suffixes of a folder of pairs."""

    kind: str
    path: Path | None = None
    suffixes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The option as it is kept in records: without the folder, which is nobody else's business."""
        return self.kind if not self.suffixes else f"{self.kind} ({', '.join(self.suffixes)})"


@dataclass(frozen=True)
class Data:
    """A data set as plans see it. `prepared` is None where only a plan is asked for and nothing was prepared yet."""

    name: str
    fingerprint: str
    counts: Mapping[str, int]
    paired_counts: Mapping[int, int] = field(default_factory=dict)
    prepared: PreparedData | None = None
    notes: tuple[str, ...] = ()

    @property
    def enlarges(self) -> bool:
        """Whether the clean images are larger than the noisy ones (super-resolution)."""
        return self.name in SUPER_RESOLUTION or self.name.endswith("-x4")


def parse(text: str) -> Spec:
    """The data set that an option names: ``embedded`` or ``KIND:PATH[,noisy-suffix,clean-suffix]``.

    Raises:
        UsageError: unknown kind, a path that is missing, or suffixes where none belong.
    """
    kind, _, rest = text.partition(":")
    if kind not in KINDS:
        raise unknown("data set", kind, KINDS)
    path, *suffixes = rest.split(",") if rest else [""]
    if kind == "embedded":
        if rest:
            raise UsageError(f"--data {text!r} gives a path to the embedded photographs", "--data embedded")
        return Spec(kind)
    if not path:
        raise UsageError(f"--data {text!r} names no folder", f"--data {kind}:PATH")
    if suffixes and (kind != "folder" or len(suffixes) != 2):
        raise UsageError(f"--data {text!r} has {len(suffixes)} suffixes", "folder:PATH,noisy-suffix,clean-suffix")
    return Spec(kind, Path(path), tuple(suffixes))


def fits(spec: Spec, task: str) -> bool:
    """Whether tables of a task can run on a data set."""
    if spec.kind in SUPER_RESOLUTION:
        return task == "sr"
    return spec.kind != "dnd"


def prepare_step(spec: Spec, scale: str, task: str) -> Step:
    """The step that prepares a data set; its key follows names, sizes and times of the files in the folder."""
    params: dict[str, Any] = {"data": spec.kind, "suffixes": list(spec.suffixes), "files": listing(spec.path)}
    if spec.kind != "dnd":
        params["scale"] = scale
    step = Step("prepare", f"prepare {spec.kind}", params, sources=("benchmarks.datasets", MODULES[spec.kind]))
    if task == "sr" and spec.kind not in SUPER_RESOLUTION:
        sources = ("benchmarks.datasets", "benchmarks.reduced")
        return Step("reduce", f"reduce {spec.kind} by 4", {"scale": scale}, inputs={"data": step}, sources=sources)
    return step


def load(spec: Spec, scale: str, task: str, store: Store, progress: Progress) -> Data:
    """The prepared data set, prepared now if the store lacks it. A folder that is already prepared is used as it is.

    Raises:
        DataError: missing, empty or broken data.
    """
    from senm.data.manifest import is_prepared
    from senm.data.prepared import PreparedData

    if spec.path is not None and is_prepared(spec.path) and (task != "sr" or spec.kind in SUPER_RESOLUTION):
        return _described(PreparedData.open(spec.path), spec)
    step = prepare_step(spec, scale, task)
    return _described(PreparedData.open(_prepare(step, spec, scale, store, progress) / "data"), spec)


def foresee(spec: Spec, scale: str, task: str, store: Store) -> Data:
    """What a plan can know of a data set without preparing it.

    Raises:
        DataError: its counts are not known before it is prepared.
    """
    from senm.data.manifest import is_prepared
    from senm.data.prepared import PreparedData

    if spec.path is not None and is_prepared(spec.path) and (task != "sr" or spec.kind in SUPER_RESOLUTION):
        return _described(PreparedData.open(spec.path), spec)
    if spec.kind in OFFICIAL_COUNTS and (spec.path is None or not spec.path.exists()):
        counts = OFFICIAL_COUNTS[spec.kind]
        notes = (f"{spec.kind} is not there: its official image counts are used",)
        return Data(_name(spec, task), f"unprepared {spec.kind}", counts, notes=notes)
    step = prepare_step(spec, scale, task)
    path = store.get(step)
    if path is not None:
        return _described(PreparedData.open(path / "data"), spec)
    notes = (f"{spec.kind} is not prepared yet: keys will change, and its image counts are guessed",)
    counts = OFFICIAL_COUNTS.get(spec.kind, dict.fromkeys(ROLES, 1000))
    return Data(_name(spec, task), f"unprepared {step.key}", counts, notes=notes)


def _name(spec: Spec, task: str) -> str:
    return f"{spec.kind}-x4" if task == "sr" and spec.kind not in SUPER_RESOLUTION else spec.kind


def _prepare(step: Step, spec: Spec, scale: str, store: Store, progress: Progress) -> Path:
    def work(folder: Path) -> None:
        progress.say(step.label)
        if step.kind == "reduce":
            from benchmarks.reduced import reduce
            from senm.data.prepared import PreparedData

            source = _prepare(step.inputs["data"], spec, scale, store, progress)
            reduce(PreparedData.open(source / "data"), folder / "data")
        else:
            _call(spec, scale, folder / "data", progress)

    return store.make(step, work)


def _call(spec: Spec, scale: str, out: Path, progress: Progress) -> None:
    import importlib

    if spec.path is not None and not spec.path.is_dir():
        raise DataError(f"the data folder {spec.path} does not exist", "a folder of images")
    function = importlib.import_module(MODULES[spec.kind]).prepare
    given: dict[str, Any] = {"out": out, "progress": progress, "scale": scale, "kind": spec.kind, "root": spec.path}
    if spec.suffixes:
        given["noisy_suffix"], given["clean_suffix"] = spec.suffixes
    known = inspect.signature(function).parameters
    function(**{name: value for name, value in given.items() if name in known and value is not None})


def _described(prepared: PreparedData, spec: Spec) -> Data:
    domains = prepared.domains(None, None, None)
    counts = dict(zip(("paired", "source", "target"), domains.counts, strict=True))
    pools = prepared.manifest.pools
    counts |= {split: pools[split].items if split in pools else 0 for split in ("train", "validation", "benchmark")}
    notes = tuple(
        f"{paper} pairs of the paper stand for {used} pairs here"
        for paper, used in prepared.paired_counts.items()
        if paper != used
    )
    return Data(prepared.name, prepared.fingerprint, counts, prepared.paired_counts, prepared, notes)


def listing(folder: Path | None) -> str:
    """sha256 over names, sizes and change times of all files of a folder; '' without a folder.

    Raises:
        DataError: the folder is missing.
    """
    if folder is None:
        return ""
    if not folder.is_dir():
        raise DataError(f"the folder {folder} does not exist", "a folder of images")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    table = [(p.relative_to(folder).as_posix(), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return hashlib.sha256(json.dumps(table).encode()).hexdigest()

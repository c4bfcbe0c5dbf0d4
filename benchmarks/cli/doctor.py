"""`python -m benchmarks.run doctor`: what this machine has and lacks, with the one command that mends each lack."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmarks.core.options import ROOT
from benchmarks.data.published import FILES, PAGES
from senm.support.errors import DataError

State = Literal["ok", "missing", "warning"]
AREAS = ("versions", "machine", "gpu", "disk", "weights", "data", "container")
NEEDED_DISK_GB = {"sidd": 65, "dnd": 24, "aim19": 80, "ntire20": 80}
"""Room for archives and prepared data together, from the published sizes and crop counts."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for. `command` mends it where it is not ok; `detail` is a sentence for people."""

    area: str
    name: str
    state: State
    detail: str
    command: str = ""


def doctor(root: Path | None = None, weights: Path | None = None, prepared: Path | None = None,
           results: Path | None = None) -> list[Finding]:
    """Look at everything and change nothing.

    Args:
        root: folder of official downloads to look into as well.
        weights: folder of published weights, beside the usual places.
        prepared: folder of prepared data sets, results/prepared by default.
        results: folder whose disk must have room, results by default.
    """
    from benchmarks.data.prepare import PREPARED

    return [*_versions(), *_machine(), *_gpu(), *_disk(results or ROOT / "results"), *_weights(weights),
            *_data(prepared or PREPARED, root), *_container()]


def _versions() -> list[Finding]:
    from packaging.requirements import Requirement

    found = [Finding("versions", "python", "ok", ".".join(str(v) for v in sys.version_info[:3]))]
    try:
        requirements = [Requirement(text) for text in metadata.requires("senm-bench") or ()]
    except metadata.PackageNotFoundError:
        return [*found, Finding("versions", "senm-bench", "missing", "the project is not installed",
                                "pip install -e .")]
    for requirement in requirements:
        if requirement.marker is not None:
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            found.append(Finding("versions", requirement.name, "missing", "not installed",
                                 f"pip install '{requirement}'"))
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        found.append(Finding("versions", requirement.name, "ok" if fits else "warning",
                             version if fits else f"{version}, needed {requirement.specifier}",
                             "" if fits else f"pip install -U '{requirement}'"))
    return found


def _machine() -> list[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0.0
    enough = gib >= 4
    return [Finding("machine", "cores", "ok", f"{cores}"),
            Finding("machine", "memory", "ok" if enough else "warning", f"{gib:.0f} GiB",
                    "" if enough else "python -m benchmarks.run table1 --scale smoke")]


def _gpu() -> list[Finding]:
    import torch

    if not torch.cuda.is_available():
        built = "this build of torch has no CUDA" if torch.version.cuda is None else "no usable GPU"
        return [Finding("gpu", "cuda", "missing", f"{built}: paper scale needs one, smoke and short do not",
                        "python -m benchmarks.run table1 --device cpu")]
    from benchmarks.core.environment import CUDA_NOT_DETERMINISTIC

    differs = Finding("gpu", "determinism", "ok", "may differ between runs: " + "; ".join(CUDA_NOT_DETERMINISTIC))
    return [differs] + [
        Finding("gpu", f"cuda:{i}", "ok",
                f"{torch.cuda.get_device_name(i)}, {torch.cuda.get_device_properties(i).total_memory / 2**30:.0f} GiB")
        for i in range(torch.cuda.device_count())]


def _disk(folder: Path) -> list[Finding]:
    present = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(present).free / 1e9
    if not os.access(present, os.W_OK):
        return [Finding("disk", str(folder), "warning", "cannot be written by this user",
                        "python -m benchmarks.run table1 --out DIR --store DIR")]
    if free < 5:
        return [Finding("disk", str(folder), "warning", f"{free:.1f} GB free, 5 GB are little enough",
                        "python -m benchmarks.run store gc --all")]
    return [Finding("disk", str(folder), "ok", f"{free:.0f} GB free")]


def _weights(folder: Path | None) -> list[Finding]:
    from benchmarks.metrics.weights import PUBLISHED
    from senm.support.errors import SenmError

    found = []
    for name, wanted in PUBLISHED.items():
        command = wanted.lacking().mend
        path = wanted.where(folder)
        if path is None:
            found.append(Finding("weights", name, "missing", f"{wanted.purpose} column cannot be filled", command))
            continue
        try:
            wanted.find(folder)
        except SenmError:
            found.append(Finding("weights", name, "warning", f"{path} is not the published file",
                                 f"rm '{path}' && {command}"))
        else:
            found.append(Finding("weights", name, "ok", f"{path}, hash checked"))
    return found


def _data(prepared: Path, root: Path | None) -> list[Finding]:
    from senm.data.manifest import is_prepared
    from senm.data.prepared import PreparedData

    found = [Finding("data", "embedded", "ok", "photographs that come with scikit-image")]
    for kind in PAGES:
        folder = prepared / kind
        again = f"python -m benchmarks.run prepare {kind} --root {root or 'DIR'}"
        if is_prepared(folder):
            try:
                data = PreparedData.open(folder)
            except DataError as error:
                found.append(Finding("data", kind, "warning", error.found, again))
            else:
                counts = ", ".join(f"{pool.items} {name}" for name, pool in data.manifest.pools.items())
                found.append(Finding("data", kind, "ok", f"{folder}: {counts}; split {data.split_rule}"))
        elif kind in FILES:
            room = f", about {NEEDED_DISK_GB[kind]} GB"
            found.append(Finding("data", kind, "missing", f"published at {PAGES[kind]}{room}", f"{again} --download"))
        else:
            found.append(Finding("data", kind, "missing", f"to be downloaded by hand: {PAGES[kind]}", again))
    return found + (_downloads(root) if root else [])


def _downloads(root: Path) -> list[Finding]:
    """What lies in a folder of downloads and whether it is whole; sets of which nothing is there are left out."""
    from senm.data.formats.dnd import read_dnd
    from senm.data.formats.rwsr import LAYOUTS, PARTS
    from senm.data.formats.sidd_layouts import find, read_benchmark, read_validation
    from senm.data.formats.sidd_photos import find_photos, instance_folders

    if not root.is_dir():
        return [Finding("data", str(root), "warning", "is not a folder", "python -m benchmarks.run doctor --root DIR")]
    found = []
    zipped = find(root, "SIDD_Medium_Srgb.zip")
    looks: list[tuple[str, str, Callable[[], object]]] = [
        ("sidd", "training photographs", lambda: (find_photos(root) if instance_folders(root) else zipped)),
        ("sidd", "validation blocks", lambda: read_validation(root)),
        ("sidd", "benchmark blocks", lambda: read_benchmark(root))]
    if find(root, "info.mat"):
        looks.append(("dnd", "crops", lambda: read_dnd(root)))
    for kind, layout in LAYOUTS.items():
        names = {part: getattr(layout, part) for part in PARTS}
        there = {part: any(find(root, n) or find(root, f"{n}.zip") for n in options) for part, options in names.items()}
        if any(there.values()):
            looks += [(kind, names[part][0], partial(there.get, part)) for part in PARTS]
    results = [(kind, name, _look(look)) for kind, name, look in looks]
    some = {kind for kind, _, state in results if state[0] != "missing"}
    for kind, name, (state, detail) in results:
        if kind in some:
            again = "" if state == "ok" else f"python -m benchmarks.run prepare {kind} --root {root} --download"
            found.append(Finding("data", f"{kind} {name}", state, detail or f"not in {root}", again))
    return found


def _look(look: Callable[[], object]) -> tuple[State, str]:
    try:
        return ("ok", "complete") if look() else ("missing", "")
    except DataError as error:
        return "warning", str(error)


def _container() -> list[Finding]:
    if Path("/var/run/docker.sock").exists() or os.environ.get("DOCKER_HOST"):
        return [Finding("container", "engine", "ok", "a docker engine is at its usual place")]
    return [Finding("container", "engine", "missing", "only needed for --container", "install docker, then start it")]


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog="Example: python -m benchmarks.run doctor --root downloads")
def command(
    root: Annotated[Path | None, typer.Option(help="A folder of official downloads to look into as well.")] = None,
    weights: Annotated[Path | None, typer.Option(help="A folder of published weights.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON on stdout.")] = False,
) -> None:
    """Say what is there (versions, machine, GPU, disk, weights, data), what is missing, and the command for each."""
    findings = doctor(root, weights)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
        return
    show(findings)


def show(findings: Sequence[Finding]) -> None:
    """Print findings as one table an area, each lack with its command on a line of its own."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, no_color=bool(os.environ.get("NO_COLOR")) or None)
    styles = {"ok": "green", "missing": "yellow", "warning": "red"}
    for area in AREAS:
        chosen = [f for f in findings if f.area == area]
        if chosen:
            console.print(Text(area, style="bold"))
        for f in chosen:
            console.print(Text.assemble("  ", (f"{f.state:8}", styles[f.state]), f"{f.name}: {f.detail}"),
                          soft_wrap=True)
            if f.command:
                console.print(Text(f"          {f.command}"), soft_wrap=True)
    lacks = sum(f.state != "ok" for f in findings)
    console.print(Text(f"{len(findings) - lacks} of {len(findings)} in order"))


def main(arguments: Sequence[str]) -> int:
    """Run the command on these arguments."""
    program = typer.main.get_command(app)
    return int(program.main(args=list(arguments), prog_name="python -m benchmarks.run doctor",
                            standalone_mode=False) or 0)

"""`python -m benchmarks.run prepare KIND`: official downloads in, one prepared folder out, checked on the way."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.core.options import ROOT
from senm.support.errors import DataError, UsageError, unknown

if TYPE_CHECKING:
    from senm.support.progress import Progress

KINDS = {
    "sidd": "senm.data.formats.sidd",
    "dnd": "senm.data.formats.dnd",
    "aim19": "senm.data.formats.rwsr",
    "ntire20": "senm.data.formats.rwsr",
    "polyu": "senm.data.formats.open_pairs",
    "cc": "senm.data.formats.open_pairs",
    "folder": "senm.data.formats.folder",
}
PREPARED = ROOT / "results" / "prepared"
DOWNLOADS = ROOT / "results" / "downloads"


def prepare(kind: str, root: Path | None, out: Path | None = None, *, split_rule: str = "authors", seed: int = 0,
            crops: int | None = None, workers: int | None = None, download: bool = False, allow_partial: bool = False,
            suffixes: Sequence[str] = (), trust_pairs: bool = False, progress: Progress | None = None) -> Path:
    """Prepare a data set and return its folder; a run that was stopped goes on.

    Args:
        kind: one of `KINDS`.
        root: folder of the official files; with `download` it may be None or not exist yet.
        out: folder to make, results/prepared/<kind> by default.
        split_rule: 'authors' or 'by-photo' (SIDD and folders of pairs).
        seed: of the streams that place crops and divide them.
        crops: crops a photograph; None takes 300 for SIDD and 30 for folders of pairs.
        workers: processes; None means one a core.
        download: fetch what is published first, into `root`.
        allow_partial: accept an incomplete data set.
        suffixes: endings of the noisy and the clean files (folder).
        trust_pairs: take pairs that do not look like pairs (folder).

    Raises:
        UsageError: unknown kind, no root, an option that the kind does not have, or `out` is something else.
        DataError: missing, incomplete or broken files.
        MachineError: no disk space, no permission or no connection.
    """
    from benchmarks.data.download import download as fetch
    from senm.support.progress import NullProgress

    progress = progress or NullProgress()
    if kind not in KINDS:
        raise unknown("data set", kind, KINDS)
    if suffixes and (kind != "folder" or len(suffixes) != 2):
        raise UsageError(f"--suffixes {','.join(suffixes)}", "two endings, noisy then clean, of the kind folder")
    if download:
        root = root or DOWNLOADS / kind
        fetch(kind, root, progress)
    if root is None:
        raise UsageError(f"prepare {kind} without --root", "the folder that holds the official files",
                         "add --root DIR, or --download where an address is known")
    if not root.is_dir():
        raise UsageError(f"the folder {root} does not exist", "the folder that holds the official files",
                         "check --root, or add --download")
    check_known(kind, root, progress)
    module = importlib.import_module(KINDS[kind])
    given: dict[str, Any] = {"progress": progress}
    if kind == "sidd":
        given |= {"cutting": module.Cutting(split_rule, seed, crops or 300), "workers": workers,
                  "allow_partial": allow_partial}
    elif kind in ("aim19", "ntire20"):
        given |= {"kind": kind, "seed": seed, "workers": workers, "allow_partial": allow_partial}
    elif kind != "dnd":
        cutting = importlib.import_module(KINDS["folder"]).Cutting(256, crops or 30, 4)
        given |= {"cutting": cutting, "seed": seed, "split_rule": split_rule, "workers": workers}
        given |= {"kind": kind, "allow_partial": allow_partial} if kind != "folder" else {"trust_pairs": trust_pairs}
        given |= dict(zip(("noisy_suffix", "clean_suffix"), suffixes, strict=bool(suffixes)))
    return Path(module.prepare(root=root, out=out or PREPARED / kind, **given).folder)


def check_known(kind: str, root: Path, progress: Progress) -> None:
    """Compare archives of published length below `root` with their published checksum.

    Raises:
        DataError: right name and length, but other bytes.
    """
    import hashlib

    from benchmarks.data.published import FILES
    from senm.data.formats.sidd_layouts import find

    for published in FILES.get(kind, ()):
        path = find(root, published.name)
        if not (path and published.hash and published.bytes == path.stat().st_size):
            continue
        algorithm, expected = published.hash.split(":")
        with progress.task(f"checking {published.name}", 1) as task, path.open("rb") as file:
            digest = hashlib.file_digest(file, algorithm).hexdigest()
            task.advance()
        if digest != expected:
            raise DataError(f"{path} has {algorithm} {digest}", f"{expected}", "download it again")


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog="Example: python -m benchmarks.run prepare sidd --root downloads --split-rule by-photo")
def command(
    kind: Annotated[str, typer.Argument(help="sidd, dnd, aim19, ntire20, polyu, cc or folder.")],
    root: Annotated[Path | None,
                    typer.Option(help="Folder of the official files, in any published form.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to make; results/prepared/KIND by default.")] = None,
    split_rule: Annotated[str,
                          typer.Option(help="authors (by crop) or by-photo (by scene).")] = "authors",
    seed: Annotated[int, typer.Option(help="Seed of crops and split.")] = 0,
    crops: Annotated[int | None, typer.Option(min=1, help="Crops an image; 300 for SIDD, 30 for pairs.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")] = None,
    download: Annotated[bool, typer.Option("--download",
                                           help="Fetch published files into --root first; resumes.")] = False,
    allow_partial: Annotated[bool, typer.Option("--allow-partial",
                                                help="Use an incomplete data set as it is.")] = False,
    suffixes: Annotated[str,
                        typer.Option(help="Endings of noisy and clean files, for example _real,_mean (folder).")] = "",
    trust_pairs: Annotated[bool, typer.Option("--trust-pairs",
                                              help="Take pairs that do not look like pairs (folder).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was prepared as JSON.")] = False,
) -> None:
    """Prepare a data set from its official files: check them, cut crops, draw the domains, write a manifest.

    The path of the prepared folder is printed on stdout. Nothing is downloaded unless --download is given.
    """
    from senm.data.prepared import PreparedData
    from senm.support.progress import console_progress

    endings = tuple(part for part in suffixes.split(",") if part)
    folder = prepare(kind, root, out, split_rule=split_rule, seed=seed, crops=crops, workers=workers, download=download,
                     allow_partial=allow_partial, suffixes=endings, trust_pairs=trust_pairs,
                     progress=console_progress())
    data = PreparedData.open(folder)
    if as_json:
        pools = {name: pool.items for name, pool in data.manifest.pools.items()}
        print(json.dumps({"folder": str(folder), "name": data.name, "split_rule": data.split_rule, "items": pools,
                          "fingerprint": data.fingerprint, "notes": data.manifest.notes}, indent=1))
    else:
        typer.echo(data.describe(), err=True)
        typer.echo(f"use it: python -m benchmarks.run table1 --data {_data_option(kind, folder)}", err=True)
        print(folder)


def _data_option(kind: str, folder: Path) -> str:
    return f"{'folder' if kind in ('polyu', 'cc') else kind}:{folder}"


def main(arguments: Sequence[str]) -> int:
    """Run the command on these arguments; errors are raised for the caller to print."""
    program = typer.main.get_command(app)
    return int(program.main(args=list(arguments), prog_name="python -m benchmarks.run prepare",
                            standalone_mode=False) or 0)

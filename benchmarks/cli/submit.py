"""From a row of a table, or a folder of images, to the files that a benchmark server takes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.core.options import Options, writable
from senm.support.errors import DataError, UsageError

if TYPE_CHECKING:
    from senm.data.pool import Images


def submit(site: str, folder: Path | None, table: str, out: Path, mat: bool, options: Options) -> int:
    """Write and check a submission.

    Args:
        site: 'sidd' or 'dnd'.
        folder: restored images named after their input; None makes them with a row's restorer.
        table: the table whose row (``--rows``, exactly one) restores them.
        out: folder for the files.
        mat: the older .mat of SIDD as well.

    Raises:
        UsageError: no row, several rows, a row that restores nothing, or options of containers.
        DataError: missing, foreign or misshapen images.
    """
    from benchmarks.servers import files

    options.refuse_container(f"submit {site}")
    writable("--to", out)
    images = files.from_folder(folder) if folder is not None else restored(site, table, options)
    paths = files.sidd(images, out, mat) if site == "sidd" else files.dnd(images, out)
    for path in paths:
        print(path)
    print(f"{len(paths)} files, checked by reading them back", file=sys.stderr)
    return 0


def restored(site: str, name: str, options: Options) -> Images:
    """The benchmark images of a site, restored by a row of a table trained on `--data`.

    For DND, ``--data`` names the set that the restorer is trained on first and ``dnd:PATH`` second.
    """
    from dataclasses import replace

    from benchmarks.cli.endless import refuse_endless
    from benchmarks.cli.session import foreseen, prepare
    from benchmarks.core.scale import scale
    from benchmarks.data import datasets
    from benchmarks.planning.plan import Planner
    from benchmarks.running.runner import Runner
    from benchmarks.running.steps import Bench, read_images
    from senm.support.progress import console_progress

    if len(options.rows) != 1:
        raise UsageError(f"{len(options.rows)} rows are named", "--rows with one row, or --images with a folder")
    refuse_endless(options, lambda: foreseen([name], options))
    progress = console_progress()
    specs = [datasets.parse(text) for text in options.data]
    training = tuple(text for text, spec in zip(options.data, specs, strict=True) if spec.kind != "dnd")
    ready = prepare([name], replace(options, data=training or ("embedded",)), progress)
    planned = ready.plan.tables[0].rows[0]
    network = planned.network
    if network is None:
        raise UsageError(f"row {options.rows[0]} of {name} restores nothing", "a row with a restorer")
    data = ready.plan.tables[0].data
    target = data
    if site == "dnd":
        own = next((spec for spec in specs if spec.kind == "dnd"), None)
        if own is None:
            raise UsageError("DND is not named", "--data dnd:PATH beside the training data")
        target = datasets.load(own, options.scale, "denoise", ready.store, progress)
    if target.prepared is None or not target.counts.get("benchmark"):
        raise DataError(f"{target.name} holds no benchmark images", "a prepared set with the split 'benchmark'")
    if data.prepared is None:
        raise DataError(f"{data.name} is not prepared")
    step = Planner(target, scale(options.scale)).restore(network, "benchmark")
    bench = Bench(
        options.device,
        {data.fingerprint: data.prepared, target.fingerprint: target.prepared},
        progress,
        ready.store.workdir,
    )
    return read_images(Runner(ready.store, bench, keep_going=False).need(step))

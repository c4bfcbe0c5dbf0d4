"""A command translated to what runs in a container: every option passed on, every path mounted and renamed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.core.options import ROOT, SCALES, Options
from senm.support.errors import UsageError, unknown

APP = "/app"
RUNS, STORE = f"{APP}/results/runs", f"{APP}/results/store"
SHIPPED = ("checkpoints", "accepted", "scores.json")
"""What tables read of results/ besides the reference, mounted and not copied into the image."""
ENVIRONMENT = ("OMP_NUM_THREADS", "NO_COLOR", "COLUMNS", "CUBLAS_WORKSPACE_CONFIG", "SENM_FRECHET")


@dataclass
class Inside:
    """What a container is started with: arguments, mounts as (host path, container path, writable), environment."""

    arguments: list[str] = field(default_factory=list)
    mounts: list[tuple[Path, str, bool]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def mount(self, host: Path, inside: str, writable: bool = False) -> str:
        """Add a mount and return its path in the container."""
        if not writable and not host.exists():
            raise UsageError(f"{host} does not exist", "an existing file or folder")
        self.mounts.append((host.resolve(), inside, writable))
        return inside

    def outside(self, line: str) -> str:
        """A line of output with the container's paths turned back into those of this machine."""
        hosts = {inside: str(host) for host, inside, _ in self.mounts}
        names = "|".join(re.escape(name) for name in sorted(hosts, key=len, reverse=True))
        return re.sub(rf"(?<![\w/.-])({names})(?![\w-])", lambda match: hosts[match[1]], line) if names else line


def gpu_ids(gpus: str) -> list[str] | None:
    """GPU numbers of ``--gpus``: None for all of them, an empty list for none.

    >>> gpu_ids("0,2"), gpu_ids("all"), gpu_ids("")
    (['0', '2'], None, [])
    """
    if gpus == "all":
        return None
    if gpus and not re.fullmatch(r"\d+(,\d+)*", gpus):
        raise UsageError(f"--gpus {gpus!r}", "all, or numbers separated by commas such as 0,1")
    return gpus.split(",") if gpus else []


def inside(names: Sequence[str], options: Options, environ: Mapping[str, str] = os.environ) -> Inside:
    """Translate a command to what runs in the container: every option passed on, every path mounted and renamed.

    Raises:
        UsageError: a path that does not exist, a plugin from elsewhere, or a GPU device without ``--gpus``.
    """
    if options.scale not in SCALES:
        raise unknown("scale", options.scale, SCALES)
    device = options.device
    if gpu_ids(options.gpus) != [] and device == "cpu":
        device = "cuda"
    elif device != "cpu" and not options.gpus:
        raise UsageError(f"--container --device {device} without --gpus", "GPUs to hand on", "add --gpus all")
    found = Inside()
    found.arguments = [*names, "--scale", options.scale, "--device", device]
    if options.seeds:
        found.arguments += ["--seeds", ",".join(map(str, options.seeds))]
    for number, text in enumerate(options.data):
        found.arguments += ["--data", _data(text, number, found)]
    if options.rows:
        found.arguments += ["--rows", ",".join(options.rows)]
    if options.weights is not None:
        found.arguments += ["--weights", found.mount(options.weights, "/mnt/weights")]
    for number, (name, folder) in enumerate(options.external.items()):
        found.arguments += ["--external", f"{name}={found.mount(folder, f'/mnt/external{number}')}"]
    for plugin in options.plugins:
        found.arguments += ["--plugin", _plugin(plugin, found)]
    if options.deterministic is not None:
        found.arguments.append("--deterministic" if options.deterministic else "--no-deterministic")
    if options.on != "local":
        raise UsageError(f"--on {options.on} with --container", "--workers: a container is one machine",
                         "leave one of them out")  # fmt: skip
    found.arguments += ["--workers", str(options.workers)]
    if options.threads is not None:
        found.arguments += ["--threads", str(options.threads)]
    for text in options.resources:
        found.arguments += ["--resources", text]
    found.arguments += ["--train"] * options.train + ["--retrain"] * options.retrain + ["--json"] * options.json
    found.arguments += ["--yes"] * options.yes
    found.arguments += ["--trust-pairs"] * options.trust_pairs + ["--discard"] * options.discard
    found.arguments += ["--draws", str(options.draws)] if options.draws else []
    found.mount(options.out, RUNS, writable=True)
    found.mount(options.store, STORE, writable=True)
    _ambient(found, environ)
    return found


def _data(text: str, number: int, found: Inside) -> str:
    from benchmarks.data import datasets

    spec = datasets.parse(text)
    if spec.path is None:
        return text
    return f"{spec.kind}:{','.join((found.mount(spec.path, f'/mnt/data{number}'), *spec.suffixes))}"


def _plugin(plugin: str, found: Inside) -> str:
    """A module of the working folder is mounted beside the project; one of the project is there already."""
    top = plugin.partition(":")[0].partition(".")[0]
    if (ROOT / top).is_dir():
        return plugin
    for place in (Path.cwd() / top, Path.cwd() / f"{top}.py"):
        if place.exists():
            found.mount(place, f"/mnt/plugins/{place.name}")
            found.environment["PYTHONPATH"] = "/mnt/plugins"
            return plugin
    raise UsageError(f"--plugin {plugin} is not in the image", f"{top}.py or {top}/ in the working folder")


def _ambient(found: Inside, environ: Mapping[str, str]) -> None:
    """Released checkpoints, accepted records, published networks, and settings from environment variables."""
    from benchmarks.core.environment import git_state
    from benchmarks.metrics.weights import VARIABLE, folders

    for name in SHIPPED:
        if (ROOT / "results" / name).exists():
            found.mount(ROOT / "results" / name, f"{APP}/results/{name}")
    named, cache = environ.get(VARIABLE), folders()[-1]
    if named and Path(named).is_dir():
        found.environment[VARIABLE] = found.mount(Path(named), "/mnt/networks")
    if cache.is_dir():
        found.mount(cache, "/mnt/torch/hub/checkpoints")
        found.environment["TORCH_HOME"] = "/mnt/torch"
    found.environment |= {name: environ[name] for name in ENVIRONMENT if environ.get(name)}
    if commit := git_state():
        found.environment["SENM_COMMIT"] = commit

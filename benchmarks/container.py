"""`run table1 --container`: the same command inside the project's image, with data read-only and results writable."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from benchmarks.options import ROOT, SCALES, Options
from senm.errors import MachineError, UsageError, unknown

APP = "/app"
RUNS, STORE = f"{APP}/results/runs", f"{APP}/results/store"
SHIPPED = ("checkpoints", "accepted", "scores.json")
"""What tables read of results/ besides the reference, mounted and not copied into the image."""
ENVIRONMENT = ("OMP_NUM_THREADS", "NO_COLOR", "COLUMNS", "CUBLAS_WORKSPACE_CONFIG")
STOP_SECONDS = 30
OUT_OF_MEMORY = 137


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
    found.arguments += ["--retrain"] * options.retrain + ["--json"] * options.json
    found.mount(options.out, RUNS, writable=True)
    found.mount(options.store, STORE, writable=True)
    _ambient(found, environ)
    return found


def _data(text: str, number: int, found: Inside) -> str:
    from benchmarks import datasets

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
    from benchmarks.environment import git_state
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


def run_in_container(names: Sequence[str], options: Options, client: Any = None, tag: str = "") -> int:
    """Run tables inside the image and return the exit code; the output arrives line by line on the same streams.

    Args:
        names: tables, or 'all'.
        options: as for a run without a container; `gpus` says which GPUs it gets.
        client: a docker client; found by default.
        tag: an image to use; by default the one of these sources, built where it is missing.

    Raises:
        MachineError: no engine, no permission, a failed build, no GPU support, or too little memory.
        UsageError: options that cannot be translated.
    """
    from benchmarks import container_image
    from senm.progress import console_progress

    given, gpus = inside(names, options), gpu_ids(options.gpus)
    client = client or container_image.engine()
    tag = tag or container_image.image(client, console_progress())
    options.check()
    for folder in (options.out, options.store):
        folder.mkdir(parents=True, exist_ok=True)
    from docker.errors import APIError

    try:
        container = client.containers.create(tag, given.arguments, **settings(client, given, gpus))
    except APIError as error:
        raise refused(error) from error
    try:
        return attend(container, given)
    except APIError as error:
        raise refused(error) from error
    except KeyboardInterrupt:
        print("stopping the container", file=sys.stderr)
        container.stop(timeout=STOP_SECONDS)
        raise
    finally:
        container.remove(force=True, v=True)


def settings(client: Any, given: Inside, gpus: list[str] | None) -> dict[str, Any]:
    """How the container is confined: no network, no capabilities, and the caller's user, who then owns the results."""
    from docker.types import DeviceRequest, Mount

    rootless = any("rootless" in each for each in client.info().get("SecurityOptions") or ())
    found: dict[str, Any] = {
        "mounts": [Mount(inside, str(host), "bind", read_only=not rw) for host, inside, rw in given.mounts],
        "environment": given.environment,
        "user": "0:0" if rootless or not hasattr(os, "getuid") else f"{os.getuid()}:{os.getgid()}",
        "network_mode": "none", "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"],
    }
    if gpus is None:
        found["device_requests"] = [DeviceRequest(count=-1, capabilities=[["gpu"]])]
    elif gpus:
        found["device_requests"] = [DeviceRequest(device_ids=gpus, capabilities=[["gpu"]])]
    return found


def attend(container: Any, given: Inside) -> int:
    """Start a container, hand its output on until it ends, and return its exit code."""
    output = container.attach(stdout=True, stderr=True, stream=True, demux=True)
    container.start()
    copy(output, given, sys.stdout, sys.stderr)
    code = int(container.wait(timeout=None)["StatusCode"])
    container.reload()
    if code == OUT_OF_MEMORY and container.attrs["State"].get("OOMKilled"):
        raise MachineError("the container was stopped for want of memory", "more memory, or a smaller --scale")
    return code


def copy(output: Iterable[tuple[bytes | None, bytes | None]], given: Inside, stdout: TextIO, stderr: TextIO) -> None:
    """Write chunks of (stdout, stderr) to the streams, whole lines at a time, with paths of this machine."""
    rest = [b"", b""]
    for chunks in output:
        for index, (chunk, stream) in enumerate(zip(chunks, (stdout, stderr), strict=True)):
            *lines, rest[index] = (rest[index] + (chunk or b"")).split(b"\n")
            for line in lines:
                print(given.outside(line.decode(errors="replace")), file=stream, flush=True)
    for line, stream in zip(rest, (stdout, stderr), strict=True):
        if line:
            print(given.outside(line.decode(errors="replace")), file=stream, end="", flush=True)


def refused(error: Any) -> MachineError:
    """An engine's refusal as an error that says what to do."""
    text = str(error.explanation or error)
    if "device driver" in text or "nvidia" in text.lower():
        return MachineError(
            f"the engine cannot hand on GPUs: {text}", "the NVIDIA container toolkit", "install it, or leave --gpus out"
        )
    return MachineError(f"the engine refused the container: {text}", "", "see the engine's log")

"""`run table1 --container`: the same command inside the project's image, with data read-only and results writable."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from benchmarks.container.arguments import Inside, gpu_ids, inside
from benchmarks.core.options import Options
from senm.support.errors import MachineError

STOP_SECONDS = 30
OUT_OF_MEMORY = 137


def run_in_container(names: Sequence[str], options: Options, client: Any = None, tag: str = "") -> int:
    """Run tables inside the image and return the exit code; the output arrives line by line on the same streams.

    Args:
        names: tables, or 'all'.
        options: as for a run without a container; `gpus` says which GPUs it gets.
        client: a docker client; found by default.
        tag: an image to use; by default the one of these sources, built where it is missing.

    Raises:
        MachineError: no engine, no permission, a failed build, no GPU support, or too little memory.
        UsageError: options that cannot be translated, or that a run would refuse.
    """
    from benchmarks.container import image as images
    from senm.support.progress import console_progress

    given, gpus = inside(names, options), gpu_ids(options.gpus)
    options.check()
    client = client or images.engine()
    tag = tag or images.image(client, console_progress())
    for folder in (options.out, options.store):
        folder.mkdir(parents=True, exist_ok=True)
    from docker.errors import APIError
    from requests import RequestException

    try:
        container = client.containers.create(tag, given.arguments, **settings(client, given, gpus))
    except (APIError, RequestException) as error:
        raise refused(error) from error
    try:
        return attend(container, given)
    except (APIError, RequestException) as error:
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
    text = str(getattr(error, "explanation", "") or error)
    if "device driver" in text or "nvidia" in text.lower():
        return MachineError(
            f"the engine cannot hand on GPUs: {text}", "the NVIDIA container toolkit", "install it, or leave --gpus out"
        )
    return MachineError(f"the engine did not run the container: {text}", "", "see the engine's log")

"""The container engine and the project's image: found by the digest of what goes into it, built where it is missing."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.core.options import ROOT
from senm.support.errors import MachineError

if TYPE_CHECKING:
    from senm.support.progress import Progress

NAME = "senm-bench"
CERTIFICATES = "certificates.pem"
BASE_IMAGE = "SENM_BASE_IMAGE"
BUILD_NETWORK = "SENM_BUILD_NETWORK"
PASSED = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
KEPT_LINES = 15
ANSWER_SECONDS = 600
"""How long one request may take: on a busy machine an engine needs minutes to start a container."""
WITHOUT = "or leave --container out"


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and everything inside it: HTTP libraries hide the system's error in arguments and contexts.

    >>> [type(e).__name__ for e in causes(ValueError("outer", PermissionError(13, "no")))]
    ['ValueError', 'PermissionError']
    """
    seen: set[int] = set()
    waiting: deque[BaseException] = deque([error])
    while waiting:
        each = waiting.popleft()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (*each.args, each.__cause__, each.__context__)
        waiting.extend(found for found in inner if isinstance(found, BaseException))


def engine() -> Any:
    """A client of the engine that answers at DOCKER_HOST or at the usual socket.

    Raises:
        MachineError: no engine answers, or its socket may not be used.
    """
    try:
        import docker
        from docker.errors import DockerException
    except ModuleNotFoundError as error:
        raise MachineError(f"containers cannot be used: {error}", "", "pip install docker") from error
    try:
        client = docker.from_env()
        client.ping()
        client.api.timeout = ANSWER_SECONDS
    except (DockerException, OSError) as error:
        place = os.environ.get("DOCKER_HOST") or "the usual socket"
        if any(isinstance(each, PermissionError) for each in causes(error)):
            raise MachineError(
                f"no permission to use the container engine at {place}",
                "a member of the group docker, or an engine of your own (rootless)",
                "sudo usermod -aG docker $USER and log in again",
            ) from error
        raise MachineError(
            f"no Docker engine answers at {place}", "a running engine", f"start it (systemctl start docker), {WITHOUT}"
        ) from error
    return client


def context_files(root: Path) -> list[str]:
    """Files that go to the engine, relative to `root`, sorted: those that .dockerignore lets through.

    Raises:
        MachineError: no Dockerfile there.
    """
    from docker.utils.build import exclude_paths

    if not (root / "Dockerfile").is_file() or not (root / ".dockerignore").is_file():
        raise MachineError(f"no Dockerfile in {root}", "a checkout of the project", "clone it and run from there")
    lines = (line.strip() for line in (root / ".dockerignore").read_text().splitlines())
    found = exclude_paths(str(root), [line for line in lines if line and not line.startswith("#")])
    return sorted(name for name in found if (root / name).is_file())


def build_arguments(environ: Mapping[str, str]) -> dict[str, str]:
    """Build arguments that the environment asks for: the base image and where pip finds packages."""
    found = {name: environ[name] for name in PASSED if environ.get(name)}
    if environ.get(BASE_IMAGE):
        found["BASE_IMAGE"] = environ[BASE_IMAGE]
    return found


def digest(root: Path, files: Iterable[str], arguments: Mapping[str, str]) -> str:
    """sha256 (hex) over names and bytes of the files and the build arguments; certificates do not count."""
    whole = hashlib.sha256()
    for name in files:
        if name != CERTIFICATES:
            content = hashlib.sha256((root / name).read_bytes()).hexdigest()
            whole.update(f"{name}\0{content}\0".encode())
    for name in sorted(arguments):
        whole.update(f"{name}={arguments[name]}\0".encode())
    return whole.hexdigest()


def certificates(root: Path, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """The file of authorities that pip trusts on this machine, for the context, unless the checkout has its own."""
    path = Path(environ.get("PIP_CERT") or os.devnull)
    if (root / CERTIFICATES).exists() or not path.is_file():
        return []
    return [(CERTIFICATES, path.read_text())]


def image(client: Any, progress: Progress, root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> str:
    """The tag of the project's image for these sources; builds it where the engine does not have it.

    Raises:
        MachineError: the build failed; with the last lines of its output.
    """
    from docker.errors import ImageNotFound

    files, arguments = context_files(root), build_arguments(environ)
    tag = f"{NAME}:{digest(root, files, arguments)[:16]}"
    try:
        client.images.get(tag)
    except ImageNotFound:
        build(client, tag, progress, root, files, environ)
    return tag


def build(
    client: Any, tag: str, progress: Progress, root: Path, files: list[str], environ: Mapping[str, str]
) -> None:
    """Build the image; every step of the Dockerfile is said, and the lines in between are counted.

    Raises:
        MachineError: the engine refused or a step failed.
    """
    from docker.errors import APIError
    from docker.utils.build import create_archive

    progress.say(f"building the image {tag}; packages take minutes the first time and are reused after that")
    last: deque[str] = deque(maxlen=KEPT_LINES)
    proxies = {name: environ[name] for name in PROXIES if environ.get(name)}
    with tempfile.TemporaryFile() as context, progress.task("image") as task:
        create_archive(str(root), files, context, extra_files=certificates(root, environ))
        context.seek(0)
        try:
            events = client.api.build(
                fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True, decode=True,
                buildargs=build_arguments(environ) | proxies, network_mode=environ.get(BUILD_NETWORK) or None,
            )
            for event in events:
                for line in str(event.get("stream") or event.get("error") or "").splitlines():
                    if line.strip():
                        last.append(line)
                        task.advance()
                    if line.startswith("Step "):
                        progress.say(line)
                if "error" in event:
                    lines = "\n  ".join(last)
                    raise MachineError(
                        f"the image could not be built; its last lines were:\n  {lines}\n",
                        "",
                        "see the lines above; docs/container.md names the settings of the build",
                    )
        except (APIError, OSError) as error:
            raise MachineError(f"the engine stopped the build: {error}", "", "see the engine's log") from error

"""Every node is asked at the start: has it this version of the project, and does it see the store and the data?"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.core.environment import ROOT, versions
from senm.support.errors import MachineError

PACKAGES = ("senm", "baselines", "benchmarks")
ROOM = 1 << 28  # bytes that must be free where a node writes


@lru_cache(maxsize=1)
def project_digest() -> str:
    """sha256 (hex, 12 digits) over all source files of the project as this process would import them."""
    total = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            total.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:12]


def look(node: str, store: str, token: str, see: Sequence[str]) -> dict[str, Any]:
    """What a node answers, asked there: its version, whether it reads the token, and the one that it writes."""
    import socket

    place, error = Path(store) / "locks", ""
    seen = (place / f"seen-{token}").is_file()
    if seen:
        try:
            (place / f"seen-{token}.{node[:16]}").write_text(node)
        except OSError as problem:
            error = problem.strerror or str(problem)
    free = shutil.disk_usage(place).free if seen else 0
    return {
        "host": socket.gethostname(),
        "digest": project_digest(),
        "torch": versions().get("torch", ""),
        "seen": seen,
        "error": error,
        "free": free,
        "unseen": [path for path in see if not Path(path).exists()],
    }


def probe_function() -> Callable[..., dict[str, Any]]:
    """`look` as a function that travels by value, so that a node without the project can say so."""

    def probe(node: str, store: str, token: str, see: Sequence[str]) -> dict[str, Any]:
        try:
            from importlib import import_module

            found: dict[str, Any] = import_module("benchmarks.cluster.nodes").look(node, store, token, see)
            return found
        except ImportError as error:
            import socket

            return {"host": socket.gethostname(), "lacking": str(error)}

    return probe


Ask = Callable[..., list[Any]]


def check_nodes(store: str, see: Sequence[str], nodes: Sequence[dict[str, Any]], ask: Ask) -> None:
    """Refuse a cluster with a node that cannot take part.

    Args:
        store: folder that all nodes share.
        see: files and folders that steps read.
        nodes: dictionaries with 'NodeID' and 'NodeManagerHostname'.
        ask: (nodes, store, token, see) -> the answer of `look` from each node, an exception, or None
            for a node that left the cluster.

    Raises:
        MachineError: naming the node, what is wrong there and what mends it.
    """
    place, token = Path(store) / "locks", secrets.token_hex(6)
    place.mkdir(parents=True, exist_ok=True)
    ours = place / f"seen-{token}"
    ours.write_text(token)
    try:
        for node, answer in zip(nodes, ask(nodes, store, token, list(see)), strict=True):
            if answer is not None:
                _check(node, answer, Path(store), ours)
    finally:
        for path in place.glob(f"{ours.name}*"):
            path.unlink(missing_ok=True)


def _check(node: dict[str, Any], answer: Any, store: Path, ours: Path) -> None:
    name = f"the node {node['NodeManagerHostname']}"
    if isinstance(answer, Exception):
        reason = str(answer).strip().splitlines()[0] if str(answer).strip() else type(answer).__name__
        raise MachineError(f"{name} does not answer: {reason}", "a node that runs tasks", "take it out of the cluster")
    if "lacking" in answer:
        raise MachineError(f"{name} cannot import the project ({answer['lacking']})", "the same installation",
                           "install it there, or put it on the shared folder and set PYTHONPATH before `ray start`")
    if answer["digest"] != project_digest():
        raise MachineError(f"{name} has another version of the project ({answer['digest']})", project_digest(),
                           "bring its checkout to the same commit and start Ray there again")
    if answer["torch"] != versions().get("torch", ""):
        raise MachineError(f"{name} has torch {answer['torch']}", f"torch {versions().get('torch')}",
                           "install the same version there")
    shared = "choose a --store on a folder that all nodes share"
    if not answer["seen"]:
        raise MachineError(f"{name} does not see the store {store}", "a folder that all nodes share", shared)
    if answer["error"]:
        raise MachineError(f"{name} cannot write to the store {store}: {answer['error']}", "a writable folder", shared)
    if not Path(f"{ours}.{node['NodeID'][:16]}").is_file():
        raise MachineError(f"what {name} writes to {store} does not arrive here", "one and the same folder", shared)
    if answer["free"] < ROOM:
        raise MachineError(f"{name} has {answer['free'] >> 20} MiB left where it writes to {store}",
                           f"at least {ROOM >> 20} MiB", "free some space there")
    if answer["unseen"]:
        raise MachineError(f"{name} does not see {answer['unseen'][0]}", "the data on a folder that all nodes share",
                           "copy it there under the same path")

"""Ray as a pool: each step is one task of a cluster, or of this machine."""

from __future__ import annotations

import importlib
import logging
import os
import re
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.cluster.nodes import check_nodes, probe_function
from benchmarks.cluster.resources import Capacity, Needs
from benchmarks.cluster.worker import Answer, Gone, Job, perform
from senm.support.errors import MachineError, UsageError
from senm.support.progress import terminate_as_interrupt
from senm.support.threads import allowed_cores

if TYPE_CHECKING:
    from benchmarks.core.step import Step

INSTALL = "pip install -e '.[cluster]'"
OBJECTS = 80_000_000  # bytes of Ray's own store, which only carries descriptions


def load() -> Any:
    """Ray, imported now.

    Raises:
        MachineError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MachineError("--on ray needs Ray, which is not installed", "Ray", INSTALL) from error


def check_address(address: str) -> None:
    """Refuse an address where nothing listens, in seconds instead of minutes.

    Raises:
        UsageError: not HOST:PORT.
        MachineError: no connection.
    """
    match = re.fullmatch(r"([\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})", address)
    if not match or int(match[2]) > 65535:
        raise UsageError(f"--on ray:{address}", "ray:HOST:PORT as `ray start --head` printed it, or ray")
    try:
        socket.create_connection((match[1].strip("[]"), int(match[2])), timeout=5).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise MachineError(f"no Ray cluster answers at {address} ({reason})", "a running cluster",
                           "start one there: ray start --head") from error


class RayPool:
    """Steps as Ray tasks. Ray places them; what is lost with a worker or node comes back as `Gone`.

    Args:
        job: what all steps share.
        address: HOST:PORT of a running cluster, '' to start Ray on this machine.
        see: files and folders that every node must see beside the store.

    Raises:
        MachineError: Ray is missing, no cluster answers, or a node cannot take part; it is named.
    """

    patience = 10

    def __init__(self, job: Job, address: str = "", see: Sequence[str] = ()) -> None:
        self.ray, self.job = load(), job
        if address:
            check_address(address)
        here: dict[str, Any] = {"address": address} if address else {
            "address": "local", "num_cpus": allowed_cores(), "object_store_memory": OBJECTS, "include_dashboard": False,
        }
        try:
            context = self.ray.init(**here, log_to_driver=False, logging_level=logging.ERROR, namespace="senm")
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            reason = str(error).strip().splitlines()[0]
            raise MachineError(f"Ray cannot be used{f' at {address}' if address else ''}: {reason}") from error
        terminate_as_interrupt()  # Ray sets a handler of its own
        self.dashboard = str(context.dashboard_url or "")
        self._refs: dict[Any, str] = {}
        self._task = self.ray.remote(max_retries=0)(perform)
        try:
            check_nodes(job.store, see, self._alive(), self._ask)
        except BaseException:
            self.ray.shutdown()
            raise

    def _alive(self) -> list[dict[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]

    def _ask(self, nodes: Sequence[dict[str, Any]], *arguments: Any) -> list[Any]:
        """The answers of `probe_function` from each node; an exception stands for none, None for a node that left."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        task = self.ray.remote(num_cpus=0, max_retries=0)(probe_function())
        refs = []
        for node in nodes:
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            refs.append(task.options(scheduling_strategy=strategy).remote(node["NodeID"], *arguments))
        found: list[Any] = []
        for node, ref in zip(nodes, refs, strict=True):
            try:
                found.append(self.ray.get(ref, timeout=120))
            except (self.ray.exceptions.RayError, TimeoutError) as error:
                found.append(None if self._left(node["NodeID"]) else error)
        return found

    def _left(self, node: str) -> bool:
        """Whether a node that does not answer is lost: the cluster takes some seconds to notice."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if node not in {each["NodeID"] for each in self._alive()}:
                return True
            time.sleep(0.5)
        return False

    def nodes(self) -> Sequence[Capacity]:
        """The nodes that live now."""
        found = []
        for node in self._alive():
            has = node["Resources"]
            found.append(Capacity(name=node["NodeManagerHostname"], gpu=has.get("GPU", 0.0), cpu=has.get("CPU", 0.0),
                                  memory=has.get("memory", 0.0) / 2**30))
        return found

    def free(self) -> bool:
        """The driver counts what fits; Ray queues the rest."""
        return True

    def submit(self, step: Step, needs: Needs) -> None:
        """Start a step as a task."""
        task = self._task.options(name=step.label, num_cpus=needs.cpu, num_gpus=needs.gpu or None,
                                  memory=int(needs.memory * 2**30))
        self._refs[task.remote(self.job, step, max(1, int(needs.gpu)))] = step.key

    def wait(self, timeout: float) -> list[tuple[str, Answer | Gone]]:
        """What ended within `timeout` seconds."""
        refs = list(self._refs)
        ready, rest = self.ray.wait(refs, num_returns=1, timeout=timeout)
        if rest and ready:
            more, _ = self.ray.wait(rest, num_returns=len(rest), timeout=0)
            ready += more
        return [(self._refs.pop(ref), self._result(ref)) for ref in ready]

    def _result(self, ref: Any) -> Answer | Gone:
        exceptions = self.ray.exceptions
        try:
            answer: Answer = self.ray.get(ref)
            return answer
        except exceptions.OutOfMemoryError:
            return Gone("Ray ended it for lack of memory")
        except exceptions.NodeDiedError:
            return Gone("its node was lost")
        except exceptions.RayTaskError as error:
            return Answer("", "", defect=str(error))
        except exceptions.RayError as error:
            return Gone(f"its worker was lost ({type(error).__name__})")

    def stop(self) -> None:
        """Cancel what runs and leave the cluster."""
        for ref in self._refs:
            self.ray.cancel(ref, force=True)
        self._refs.clear()
        self.ray.shutdown()

"""Three Ray nodes of one core each on this machine, of which one, or a worker on it, can be killed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import psutil

OBJECTS = 80_000_000


class Nodes:
    """A cluster: a head without cores and `count` nodes of one core. Needs Ray."""

    def __init__(self, count: int = 3) -> None:
        from benchmarks.cluster.on_ray import load

        load()
        from ray.cluster_utils import Cluster

        small = {"object_store_memory": OBJECTS, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
        self.nodes = [self._add() for _ in range(count)]

    def _add(self) -> Any:
        return self.cluster.add_node(num_cpus=1, object_store_memory=OBJECTS)

    def options(self) -> list[str]:
        """What a command needs to run here."""
        return ["--on", f"ray:{self.cluster.address}"]

    def busy(self, label: str = "") -> psutil.Process | None:
        """A worker whose step's label begins with these words, or None."""
        ours = {self._raylet(node) for node in self.nodes}
        for path in Path("/proc").glob("[0-9]*/cmdline"):  # psutil takes longer than some steps
            try:
                title = path.read_bytes().decode(errors="replace")
                if not title.startswith(f"ray::{label}") or title.startswith(("ray::IDLE", "ray::probe")):
                    continue
                process = psutil.Process(int(path.parent.name))
                if process.ppid() in ours:
                    return process
            except (OSError, psutil.Error):
                continue
        return None

    def _raylet(self, node: Any) -> int:
        return int(node.all_processes["raylet"][0].process.pid)

    def wait_for(self, label: str, seconds: float = 300) -> psutil.Process:
        """The worker of such a step as soon as there is one.

        Raises:
            TimeoutError: there was none.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.busy(label)
            if found is not None:
                return found
            time.sleep(0.002)
        raise TimeoutError(f"no step {label!r} in {seconds:g} s")

    def kill(self, victim: str, worker: psutil.Process | None = None) -> bool:
        """Kill a busy 'worker', or the 'node' that it is on, for which a new one comes; False where all are idle."""
        worker = worker or self.busy()
        if worker is None:
            return False
        try:
            raylet = worker.ppid()
            if victim == "worker":
                worker.kill()
                return True
        except psutil.Error:
            return False
        node = next((each for each in self.nodes if self._raylet(each) == raylet), None)
        if node is None:
            return False
        self.nodes.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)
        self.nodes.append(self._add())
        return True

    def close(self) -> None:
        """Stop every node."""
        self.cluster.shutdown()

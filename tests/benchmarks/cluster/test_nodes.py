"""What is wrong with a node or an address is one sentence that names it."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster import nodes, on_ray
from benchmarks.cluster.nodes import check_nodes, look, probe_function
from benchmarks.core.options import Options
from senm.support.errors import MachineError, UsageError

NODE = {"NodeID": "abcdef0123456789ff", "NodeManagerHostname": "gpu-7"}


def checked(store: Path, see: Sequence[str] = (), **changed: Any) -> None:
    def ask(asked: Sequence[Any], *arguments: Any) -> list[Any]:
        if "error" in changed and isinstance(changed["error"], Exception):
            return [changed["error"]]
        return [{**probe_function()(NODE["NodeID"], *arguments), **changed}]

    check_nodes(str(store), see, [NODE], ask)


def test_a_sound_node_passes_and_leaves_no_token(tmp_path: Path) -> None:
    checked(tmp_path, [str(tmp_path)])
    assert list((tmp_path / "locks").iterdir()) == []


@pytest.mark.parametrize(("changed", "sentence"), [
    ({"digest": "0123"}, r"gpu-7 has another version of the project \(0123\).*same commit"),
    ({"torch": "1.0"}, r"gpu-7 has torch 1\.0"),
    ({"lacking": "No module named 'benchmarks'"}, r"gpu-7 cannot import the project.*install it there"),
    ({"seen": False}, r"gpu-7 does not see the store .*choose a --store on a folder that all nodes share"),
    ({"error": "Read-only file system"}, r"gpu-7 cannot write to the store .*Read-only"),
    ({"free": 5 << 20}, r"gpu-7 has 5 MiB left where it writes"),
    ({"unseen": ["/data/SIDD"]}, r"gpu-7 does not see /data/SIDD"),
    ({"error": TimeoutError()}, r"gpu-7 does not answer: TimeoutError"),
])
def test_a_node_that_cannot_take_part_is_named(tmp_path: Path, changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MachineError, match=sentence):
        checked(tmp_path, **changed)
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_store_of_the_same_path_on_another_disk_is_noticed(tmp_path: Path) -> None:
    def ask(asked: Sequence[Any], store: str, token: str, see: Sequence[str]) -> list[Any]:
        other = tmp_path / "other"
        (other / "locks").mkdir(parents=True)
        unseen = look(NODE["NodeID"], str(other), token, see)
        assert not unseen["seen"]
        return [{**unseen, "seen": True, "free": 1 << 40}]

    with pytest.raises(MachineError, match="what the node gpu-7 writes to .* does not arrive here"):
        check_nodes(str(tmp_path / "store"), (), [NODE], ask)


def test_the_probe_says_that_the_project_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", nothing)
    assert "No module" in probe_function()("n", "s", "t", [])["lacking"]


def test_addresses_that_lead_nowhere_are_refused_at_once() -> None:
    for wrong in ("head", "head:port", "ray://head:10001", "h:99999"):
        with pytest.raises(UsageError, match="HOST:PORT"):
            on_ray.check_address(wrong)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(MachineError, match=f"no Ray cluster answers at 127.0.0.1:{port}"):
        on_ray.check_address(f"127.0.0.1:{port}")


def test_without_ray_there_is_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(on_ray.importlib, "import_module", nothing)
    with pytest.raises(MachineError, match=r"not installed.*pip install -e '\.\[cluster\]'"):
        on_ray.load()


@pytest.mark.parametrize(("given", "sentence"), [
    ({"on": "rey"}, "did you mean 'ray'"), ({"workers": 0}, "at least 1"),
    ({"on": "ray", "workers": 2}, "Ray counts cores itself"), ({"resources": ("fit=cpu:1",)}, "--workers or --on ray"),
])
def test_places_that_do_not_exist_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Options(**given).check_place()


def test_another_version_has_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nodes.project_digest()
    monkeypatch.setattr(nodes, "ROOT", tmp_path)
    (tmp_path / "senm").mkdir()
    (tmp_path / "senm" / "x.py").write_text("a = 1\n")
    nodes.project_digest.cache_clear()
    assert nodes.project_digest() != whole
    nodes.project_digest.cache_clear()

"""Names, plugins and what happens when a baseline cannot be imported."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

import baselines
from baselines.base import Capabilities, NoiseModel, Restorer, guesses
from senm.support.errors import UsageError


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An importable module outside the repository, with a noise model of its own."""
    made = ModuleType("my_noise")
    made.Mine = type("Mine", (), {"name": "mine", "sample": lambda self: None})  # type: ignore[attr-defined]
    made.Nameless = type("Nameless", (), {"sample": None})  # type: ignore[attr-defined]
    made.Taken = type("Taken", (), {"name": "c2n", "sample": None})  # type: ignore[attr-defined]
    made.Idle = type("Idle", (), {"name": "idle"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_noise", made)
    monkeypatch.setattr(baselines, "_plugins", {})
    return made


def test_importing_the_registry_imports_no_torch() -> None:
    code = "import baselines, sys; baselines.names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", sorted(baselines.REGISTRY))
def test_every_registered_system_keeps_its_protocol(name: str) -> None:
    system = baselines.get(name)
    assert system.name == name
    assert isinstance(system.capabilities, Capabilities)
    protocol = NoiseModel if system.capabilities.kind == "noise" else Restorer
    assert all(hasattr(system, method) for method in ("fit", "save", "load", "default_settings"))
    assert hasattr(system, "sample" if protocol is NoiseModel else "restore")
    for scale in ("smoke", "short", "paper"):
        settings = system.default_settings(scale)
        assert type(settings).model_validate(settings.model_dump(mode="json")) == settings


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'dncnn'"):
        baselines.get("dncn")


def test_a_plugin_is_usable_under_its_own_name(module: ModuleType) -> None:
    assert baselines.load_plugin("my_noise:Mine") is module.Mine
    assert baselines.get("mine") is module.Mine
    assert "mine" in baselines.names()
    assert baselines.load_plugin("my_noise:Mine") is module.Mine


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("my_noise", "does not name a class"),
        ("my_noise:Absent", "no class 'Absent'"),
        ("no_such_module:Mine", "cannot be imported"),
        ("my_noise:Nameless", "has no name"),
        ("my_noise:Taken", "'c2n', which is taken"),
        ("my_noise:Idle", "neither a noise model nor a restorer"),
    ],
)
def test_a_wrong_plugin_is_refused_with_the_reason(module: ModuleType, target: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        baselines.load_plugin(target)


def test_entry_points_add_systems(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    point = SimpleNamespace(name="mine", value="my_noise:Mine")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == "senm.baselines" else [])
    assert baselines.get("mine") is module.Mine


def test_a_broken_baseline_disables_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(baselines.REGISTRY, "c2n", "baselines.no_such_file:C2N")
    with pytest.raises(UsageError, match="'c2n' cannot be imported"):
        baselines.get("c2n")
    problems = baselines.available()
    assert problems["c2n"]
    assert not any(problem for name, problem in problems.items() if name != "c2n")


def test_guesses_of_ours_are_found_in_nested_settings() -> None:
    found = guesses(baselines.get("drunet").default_settings("paper"))
    assert set(found) == {"training.batch", "training.crop", "training.loss"}
    assert all(reason.startswith("ours") for reason in found.values())
    assert guesses(type(baselines.get("drunet").default_settings("paper"))) == found

"""The class behind a system's name: a registry name, or 'module:Class' for one that only published weights fill."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import baselines


def get(name: str) -> Any:
    """The class of a system, imported now.

    Raises:
        UsageError: unknown name, or its module cannot be imported.
    """
    module, colon, kind = name.partition(":")
    if colon and module.startswith("baselines."):
        return getattr(importlib.import_module(module), kind)
    return baselines.get(name)


def settings_from(system: Any, values: Mapping[str, Any]) -> Any:
    """A system's settings from what a step's description holds."""
    return type(system.default_settings("smoke")).model_validate(values)


def module_of(name: str) -> str:
    """The module that a system's code is in."""
    found: str = get(name).__module__
    return found


def registered(target: str) -> str:
    """The registry name of a 'module:Class', or the target itself where it has none."""
    return next((name for name, known in baselines.REGISTRY.items() if known == target), target)

"""Cases of a system: its stored arrays, its parameters from cases.json, and the weights that anyone can rebuild."""

from __future__ import annotations

import importlib
import json
import math
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests import DATA

FOLDER = Path(os.environ.get("SENM_VECTORS") or DATA / "systems")
EXACT, SINGLE = 1e-9, 1e-4
"""Largest difference over the array's largest value: float64 arrays, and arrays of float32 runs."""


@cache
def cases() -> dict[str, dict[str, dict[str, Any]]]:
    """system -> case -> what the arrays do not say. `prefix` is how the names of the case's arrays begin."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted(FOLDER.glob("cases*.json")):
        found |= json.loads(path.read_text(encoding="utf-8"))
    return found


@cache
def stored(system: str) -> dict[str, np.ndarray]:
    """All arrays of a system."""
    with np.load(FOLDER / f"{system}_vectors.npz", allow_pickle=False) as file:
        return dict(file)


@cache
def layouts(system: str) -> dict[str, Any]:
    """The layout file of a system, as it is."""
    found: dict[str, Any] = json.loads((FOLDER / f"{system}_layouts.json").read_text(encoding="utf-8"))
    return found


@dataclass
class Case:
    """One case of a system.

    Attributes:
        about: its entry in cases.json.
        read: names of the arrays that were read as inputs.
        unmet: array name -> why this project does not compute it.
    """

    system: str
    name: str
    about: Mapping[str, Any]
    read: set[str] = field(default_factory=set)
    unmet: dict[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return str(self.about.get("prefix", f"{self.name}."))

    def names(self) -> list[str]:
        """Names of the stored arrays that belong to this case: those whose longest matching prefix is the case's."""
        prefixes = [Case(self.system, name, about).prefix for name, about in cases()[self.system].items()]
        return [name for name in stored(self.system)
                if max((p for p in prefixes if name.startswith(p)), key=len, default=None) == self.prefix]

    def array(self, name: str) -> np.ndarray:
        """A stored array that is an input, by its name behind the prefix."""
        self.read.add(self.prefix + name)
        return stored(self.system)[self.prefix + name]

    def tensor(self, name: str) -> Tensor:
        """The same as a float64 tensor (integers stay what they are)."""
        value = torch.from_numpy(np.ascontiguousarray(self.array(name)))
        return value.double() if value.is_floating_point() else value

    def has(self, name: str) -> bool:
        return self.prefix + name in stored(self.system)


def base(key: str, shape: Iterable[int]) -> np.ndarray:
    """Standard normal numbers of a name, in float32, widened to float64."""
    draw = np.random.default_rng(zlib.crc32(key.encode()))
    return draw.standard_normal(tuple(shape)).astype(np.float32).astype(np.float64)


def weight(key: str, shape: Iterable[int], gain: float, vec: float = 0.1) -> np.ndarray:
    """The weight rule: gain / sqrt(fan-in) times `base` for two and more dimensions, else `vec` times it."""
    shape = tuple(shape)
    return base(key, shape) * (gain / math.sqrt(math.prod(shape[1:])) if len(shape) >= 2 else vec)


def fill(network: nn.Module, rule: Callable[[str, tuple[int, ...]], np.ndarray | None]) -> nn.Module:
    """The network in float64 with every entry of its state dict from `rule(name, shape)`; None leaves one alone."""
    network = network.double()
    state = network.state_dict()
    for name, value in state.items():
        made = rule(name, tuple(value.shape))
        if made is not None:
            state[name] = torch.from_numpy(np.asarray(made)).to(value.dtype).reshape(value.shape)
    network.load_state_dict(state)
    return network


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """name -> shape of a whole state dict, to compare with a layout file."""
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def synth(height: int, width: int, seed: int, count: int) -> np.ndarray:
    """(count, 3, height, width) in [0.05, 0.95]: six cosines a channel."""
    draw = np.random.default_rng(seed)
    out = np.zeros((count, 3, height, width))
    yy, xx = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    for i in range(count):
        for c in range(3):
            f = draw.integers(0, 4, size=(6, 2))
            a, phase = draw.standard_normal(6), draw.random(6) * 2 * np.pi
            plane = sum(a[k] * np.cos(2 * np.pi * (f[k, 0] * yy[:, None] + f[k, 1] * xx[None]) / 2 + phase[k])
                        for k in range(6))
            out[i, c] = 0.05 + 0.9 * (plane - plane.min()) / (plane.max() - plane.min() + 1e-12)
    return out


def difference(mine: Any, theirs: np.ndarray) -> float:
    """Largest absolute difference over the largest absolute value; infinite where shapes or NaNs differ."""
    value = mine.detach().cpu().numpy() if isinstance(mine, Tensor) else np.asarray(mine)
    if value.shape != theirs.shape:
        return math.inf
    if value.size == 0:
        return 0.0
    a, b = value.astype(np.float64), theirs.astype(np.float64)
    if (np.isfinite(a) != np.isfinite(b)).any():
        return math.inf
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    size = np.abs(b).max()
    return float(np.abs(a - b).max() / size) if size else float(np.abs(a - b).max())


def tolerance(name: str, theirs: np.ndarray) -> float:
    """How far an array may be off."""
    return SINGLE if "f32" in name or "float32" in name or theirs.dtype == np.float32 else EXACT


def run(system: str, name: str) -> tuple[dict[str, float], Case]:
    """Difference of every computed array of a case, and the case with what it read and did not meet."""
    case = Case(system, name, cases()[system][name])
    module = importlib.import_module(f"tests.baselines.systems.{system}")
    computed: dict[str, Any] = module.compute(case)
    return {key: difference(value, stored(system)[case.prefix + key]) for key, value in computed.items()}, case

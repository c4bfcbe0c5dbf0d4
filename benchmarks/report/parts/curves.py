"""Training curves: logged steps of many runs, grouped so that runs that log the same quantities share their plots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Points = list[tuple[float, float]]
CLOCKS = ("step", "epoch", "time", "seconds", "wall_seconds", "elapsed", "eta")
LIMIT = 12
MOST = 8


@dataclass(frozen=True)
class Family:
    """Runs that log the same quantities: `labels` in order, `quantities` name -> [(index into labels, points)].

    `left_out` names the quantities beyond the limit.
    """

    labels: tuple[str, ...]
    quantities: Mapping[str, list[tuple[int, Points]]]
    left_out: tuple[str, ...] = ()


def families(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[Family, ...]:
    """Group the runs by what they log, at most 8 runs and 12 quantities a family; losses first, rates last."""
    by_keys: dict[frozenset[str], dict[str, dict[str, Points]]] = {}
    for label, steps in curves.items():
        series = quantities(steps)
        if series:
            by_keys.setdefault(frozenset(series), {})[label] = series
    found = []
    for runs in by_keys.values():
        labels = list(runs)
        for start in range(0, len(labels), MOST):
            part = labels[start : start + MOST]
            names = sorted(runs[part[0]], key=_rank)
            kept = {name: [(i, runs[label][name]) for i, label in enumerate(part)] for name in names[:LIMIT]}
            found.append(Family(tuple(part), kept, tuple(names[LIMIT:])))
    return tuple(found)


def quantities(steps: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """Points (step, value) of every number that was logged; nested names are joined by a slash.

    A quantity that never changes is left out, unless it was logged only once.
    """
    found: dict[str, Points] = {}
    for count, step in enumerate(steps):
        at = step.get("step", count)
        for name, value in _flat(step):
            if name not in CLOCKS and math.isfinite(value):
                found.setdefault(name, []).append((float(at), value))
    return {name: points for name, points in found.items() if len(points) == 1 or len({v for _, v in points}) > 1}


def _flat(step: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in step.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + str(name), float(value)


def _rank(name: str) -> tuple[int, str]:
    """What to look at first: the whole loss, then reconstructions, then the other terms; layers and rates last."""
    low = name.lower()
    last = low.rsplit("/", 1)[-1]
    if last in ("loss", "total"):
        return 0, name
    if "loss" in low or "rec" in last:
        return 1, name
    if last in ("lr", "grad_norm", "skipped"):
        return 4, name
    return (3 if "layer" in last else 2), name

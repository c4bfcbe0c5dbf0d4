"""The graph of imports of this project's modules, lazy ones and those for types included."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests import ROOT

PACKAGES = ("senm", "baselines", "benchmarks", "ci")


def module_name(path: Path) -> str:
    """Dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def sources() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    return {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """(module, line) of what a file imports; a name taken from a package counts as its module where it is one."""
    known = sources()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in known else node.module), node.lineno


@cache
def graph() -> dict[str, dict[str, int]]:
    """module -> module of this project that it imports -> line of the first such import."""
    found: dict[str, dict[str, int]] = {}
    for name, path in sources().items():
        edges = found.setdefault(name, {})
        for other, line in imported(path):
            if other in sources() and other != name:
                edges.setdefault(other, line)
    return found


def circles(edges: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    """Strongly connected sets of more than one module (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges.get(node, {}):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in edges:
        if node not in index:
            visit(node)
    return found


def room(module: str, floors: Mapping[str, int]) -> str:
    """The longest listed room that a module is in; a package's own files are in the package's room."""
    return max((name for name in floors if module == name or module.startswith(f"{name}.")), key=len, default="")


def upward(floors: Mapping[str, int], edges: Mapping[str, Mapping[str, int]], inside: bool = True) -> list[str]:
    """A sentence for each import that runs from a room to a higher one, or to another on its own floor.

    Args:
        inside: whether only rooms of one package are compared.
    """
    found = []
    for name, others in edges.items():
        mine = room(name, floors)
        for other, line in others.items():
            theirs = room(other, floors)
            if not mine or not theirs or (inside and mine.split(".")[0] != theirs.split(".")[0]):
                continue
            if mine != theirs and floors[theirs] >= floors[mine]:
                found.append(f"{sources()[name].relative_to(ROOT)}:{line} ({mine}, floor {floors[mine]}) imports "
                             f"{other} ({theirs}, floor {floors[theirs]}): turn this import round or hand the value in")
    return found

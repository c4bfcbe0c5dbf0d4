"""Step: one pure function call of a benchmark, and the content key under which its result is stored.

Equal description = equal key = equal artefact, so tables share work without knowing of each other.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

PACKAGES = ("senm", "baselines", "benchmarks")
INSTALLED = frozenset(("site-packages", "dist-packages"))
"""Folders of an environment, which may lie beside a plugin."""
NEUTRAL = frozenset(
    f"benchmarks.core.{name}" for name in ("environment", "record", "step", "systems")
) | frozenset(("benchmarks.store.released", "baselines", "senm.__main__", "senm.config", "senm.support.errors",
               "senm.support.progress"))
"""Settings (already part of a step's parameters), maps of names, messages and progress: they move no number."""


@dataclass(frozen=True, eq=False)
class Step:
    """A pure function of its description.

    Args:
        kind: which function of `benchmarks.running.steps` runs it ('fit', 'sample', ...).
        label: what a reader sees in the plan and in the progress display; not part of the key.
        params: everything the function reads besides its inputs, as JSON-able values.
        seed: the replicate.
        inputs: other steps whose artefacts it reads, by role.
        sources: names of the modules it runs; what they import from this project is followed.
        released: sha256 of a released checkpoint that stands in for running the step, or ''.
        cost: how much it does, for the estimate (unit -> amount); not part of the key.
        local: where things lie on this machine (their content is in `params`); not part of the key.
    """

    kind: str
    label: str
    params: dict[str, Any]
    seed: int = 0
    inputs: dict[str, Step] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    released: str = ""
    cost: dict[str, float] = field(default_factory=dict)
    local: dict[str, str] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """sha256 (hex) of the description, the input keys and the digest of the source files."""
        return _sha(
            {
                "kind": self.kind,
                "params": self.params,
                "seed": self.seed,
                "inputs": {role: step.key for role, step in self.inputs.items()},
                "sources": "" if self.released else source_digest(self.sources),
                "released": self.released,
            }
        )

    @cached_property
    def identity(self) -> str:
        """sha256 (hex) of the description without source digests and without the bytes of the data (their origin
        stays): what a released checkpoint is matched by, on any machine."""
        return _sha(self._identity())

    def _identity(self) -> dict[str, Any]:
        inputs = {role: step.identity for role, step in self.inputs.items()}
        params = {name: value for name, value in self.params.items() if name != "fingerprint"}
        return {"kind": self.kind, "params": params, "seed": self.seed, "inputs": inputs}

    def description(self) -> dict[str, Any]:
        """The description as stored beside an artefact."""
        return {
            "kind": self.kind,
            "label": self.label,
            "params": self.params,
            "seed": self.seed,
            "inputs": {role: step.key for role, step in self.inputs.items()},
            "sources": list(self.sources),
            "source_digest": source_digest(self.sources),
            "released": self.released,
            "identity": self.identity,
            "cost": self.cost,
        }

    def walk(self) -> Iterator[Step]:
        """This step after everything it needs; a step met twice is yielded twice."""
        for step in self.inputs.values():
            yield from step.walk()
        yield self


def unique(steps: Iterable[Step]) -> list[Step]:
    """All steps that these need, inputs first, each key once."""
    seen: dict[str, Step] = {}
    for root in steps:
        for step in root.walk():
            seen.setdefault(step.key, step)
    return list(seen.values())


def source_digest(modules: tuple[str, ...]) -> str:
    """sha256 over the code (without comments and docstrings) of modules and the project modules they import."""
    return _sha({name: _code_digest(path) for name, path in sorted(closure(modules).items())})


@lru_cache(maxsize=256)
def closure(modules: tuple[str, ...]) -> dict[str, Path]:
    """The modules and what they import, lazily or not, of this project and of a plugin's own: name -> file."""
    found: dict[str, Path] = {}
    queue = list(modules)
    while queue:
        name = queue.pop()
        if name in found or name in NEUTRAL:
            continue
        path = _module_file(name)
        if path is None:
            continue
        found[name] = path
        queue += _imports(path, name)
    return found


@lru_cache(maxsize=1024)
def _module_file(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


@lru_cache(maxsize=1024)
def _imports(path: Path, name: str) -> tuple[str, ...]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or node.level):
            base = ".".join([*package.split(".")[: len(package.split(".")) - node.level + 1], node.module or ""])
            module = base.strip(".") if node.level else str(node.module)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return tuple(sorted(each for each in names if each and _followed(each, path, name)))


def _followed(imported: str, path: Path, name: str) -> bool:
    """Whether an import leads into this project, or from a plugin to a module of its own package or folder."""
    top = imported.partition(".")[0]
    if top in PACKAGES or name.partition(".")[0] in PACKAGES:
        return top in PACKAGES
    if "." in name or path.name == "__init__.py":
        return top == name.partition(".")[0]
    file = _module_file(top)
    return file is not None and path.parent in file.parents and INSTALLED.isdisjoint(
        file.relative_to(path.parent).parts)


@lru_cache(maxsize=1024)
def _code_digest(path: Path) -> str:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            body[0].value = ast.Constant(value=None)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _sha(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

"""Which changes of a line do the tests nearest to it see? `python -m ci.mutants --each 30` (needs `cosmic-ray`).

cosmic-ray makes the mutants: an operator, a comparison or a number exchanged, a decorator or a `not` taken away. Of
each file some are drawn by a named stream. A mutant lives in memory only: this process has loaded torch and pytest
once, and forks for each mutant a child that imports the changed text in place of the file and runs the tests to the
first failure. What happens in a test's own subprocesses is not seen. `ci.mutation_test` plants defects of other kinds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ("senm", "baselines", "benchmarks", "ci", "tests")
LEFT_OUT = ("_BitOr_", "VariableInserter", "VariableReplacer")
"""Operators, by part of their names, that change `int | None` in annotations, or want names of variables."""
SLOW = 8.0  # times the tests' own time after which a mutant counts as seen: it does not come to an end
METRICS = ("tests/benchmarks/metrics/test_vectors.py", "tests/benchmarks/metrics/test_noise.py")
CLAIMS = tuple(f"tests/benchmarks/judging/test_{name}.py" for name in ("claims", "verdicts", "compare"))
NEAREST: dict[str, tuple[str, ...]] = {
    "senm/losses.py": ("tests/senm/test_losses.py", "tests/senm/test_official_vectors.py"),
    "senm/gaussians.py": ("tests/senm/test_gaussians.py", "tests/senm/test_official_vectors.py"),
    "senm/level.py": ("tests/senm/test_level.py", "tests/senm/test_model.py", "tests/senm/test_official_vectors.py"),
    "senm/model.py": ("tests/senm/test_model.py", "tests/senm/test_official_vectors.py"),
    "senm/paired.py": ("tests/senm/test_model.py", "tests/senm/test_official_vectors.py"),
    "senm/sampling/prior.py": ("tests/senm/sampling/test_prior.py",),
    "senm/sampling/tiling.py": ("tests/senm/sampling/test_sampler.py",),
    "benchmarks/metrics/pairwise.py": METRICS,
    "benchmarks/metrics/distribution.py": METRICS,
    "benchmarks/metrics/residual.py": METRICS,
    "benchmarks/core/statistics.py": ("tests/benchmarks/core", "tests/benchmarks/judging/test_rows.py"),
    "benchmarks/judging/verdicts.py": CLAIMS,
    "benchmarks/judging/predicates.py": CLAIMS,
    "benchmarks/planning/making.py": ("tests/benchmarks/planning",),
    "benchmarks/report/text.py": ("tests/benchmarks/report/test_text.py",),
}


@dataclass(frozen=True)
class Mutant:
    """A changed text of a file, and the change: cosmic-ray's operator and the lines that differ."""

    operator: str
    text: str
    change: str


@dataclass
class Score:
    """What the tests saw of a file's mutants."""

    file: str
    all: int = 0
    tried: int = 0
    seen: int = 0
    survivors: list[str] = field(default_factory=list)


class Changed(MetaPathFinder, SourceLoader):  # type: ignore[misc]
    """Imports one module from a text instead of its file."""

    def __init__(self, file: Path, text: str) -> None:
        self.file, self.text = file, text
        self.name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        return spec_from_loader(name, self, origin=str(self.file)) if name == self.name else None

    def get_filename(self, fullname: str) -> str:
        return str(self.file)

    def get_data(self, path: Any) -> bytes:
        return self.text.encode()

    def path_stats(self, path: Any) -> Any:
        raise OSError  # no bytecode of the file's own stands in for the text


def mutants(file: Path) -> Iterator[Mutant]:
    """Every mutant of a file that cosmic-ray makes."""
    from cosmic_ray import mutating, plugins

    text = file.read_text(encoding="utf-8")
    for name in sorted(plugins.operator_names()):
        if any(part in name for part in LEFT_OUT):
            continue
        operator, number = plugins.get_operator(name)(), 0
        while (changed := mutating.mutate_code(text, operator, number)) is not None:
            number += 1
            if changed != text:
                yield Mutant(name.removeprefix("core/"), changed, difference(text, changed))


def difference(before: str, after: str) -> str:
    """The first line that differs, as it was and as it is."""
    for number, (old, new) in enumerate(zip(before.splitlines(), after.splitlines(), strict=False), start=1):
        if old != new:
            return f"{number}: {old.strip()}  ->  {new.strip()}"
    return "the number of lines"


def run(tests: Sequence[str], changed: Changed | None, seconds: float) -> bool:
    """Whether the tests pass in a child of this process, with a module changed there; one that never ends fails."""
    child = os.fork()
    if not child:
        os.setsid()
        code = 1
        try:
            quiet = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(quiet, stream)
            sys.stdout = sys.stderr = os.fdopen(quiet, "w")
            for name in [name for name in sys.modules if name.partition(".")[0] in PROJECT]:
                del sys.modules[name]
            if changed is not None:
                sys.meta_path.insert(0, changed)
            import pytest

            code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *tests]))
        finally:
            os._exit(code)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def score(name: str, each: int, seed: int) -> Score:
    """Draw mutants of a file and run its nearest tests on them.

    Raises:
        DataError: the tests fail on the file as it is.
    """
    from senm.support.errors import DataError
    from senm.support.seeding import rng

    tests = NEAREST[name]
    started = time.monotonic()
    if not run(tests, None, 3600):
        raise DataError(f"{' '.join(tests)} fail without a mutant", "tests that pass", f"pytest {' '.join(tests)}")
    limit = 20 + SLOW * (time.monotonic() - started)
    every = list(mutants(ROOT / name))
    drawn = rng("mutants", name, seed).permutation(len(every))[:each]
    found = Score(name, len(every), len(drawn))
    for index in drawn:
        mutant = every[index]
        if run(tests, Changed(ROOT / name, mutant.text), limit):
            found.survivors.append(f"{mutant.operator} {mutant.change}")
        else:
            found.seen += 1
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line a file and each survivor; write them all to `--out`."""
    parser = argparse.ArgumentParser("python -m ci.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", default=list(NEAREST), metavar="FILE", help="files of the project")
    parser.add_argument("--each", type=int, default=30, help="mutants a file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/mutants.json"))
    given = parser.parse_args(arguments)
    import hypothesis
    import pytest
    import scipy.stats
    import torch

    del hypothesis, pytest, scipy
    torch.set_num_threads(1)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    found = []
    for name in given.files:
        found.append(score(name, given.each, given.seed))
        print(f"{name:42} {found[-1].seen:4} of {found[-1].tried:4} seen ({found[-1].all} in all)", flush=True)
        for line in found[-1].survivors:
            print(f"    {line}", flush=True)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n", encoding="utf-8")
    tried, seen = sum(each.tried for each in found), sum(each.seen for each in found)
    print(f"{seen} of {tried} mutants seen ({seen / max(tried, 1):.0%})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

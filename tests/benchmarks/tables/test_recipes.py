"""What the paper and the official recipes say, as a table of facts, against the tables and paper-scale settings."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from benchmarks.core.systems import get
from benchmarks.judging.compare import printed
from benchmarks.tables import table

PRINTED = "555dde763d962cef7007ad1144fbe7c13274cef04f36c0a5b8537711295a430a"
"""sha256 of the 205 printed numbers, one "table row column value" a line, sorted; read twice from the paper."""

FACTS: dict[str, dict[str, Any]] = {
    "drunet": {"steps": 300_000, "lr": 1e-4, "schedule": "steps", "milestones": (100_000, 200_000), "loss": "l1"},
    "nafnet": {"steps": 400_000, "lr": 1e-3, "final_lr": 1e-7, "schedule": "cosine", "betas": (0.9, 0.9),
               "optimiser": "adamw", "crop": 256, "loss": "psnr"},
}


@pytest.mark.parametrize("system", FACTS)
def test_the_recipes_are_the_published_ones(system: str) -> None:
    training = get(system).default_settings("paper").training
    assert {name: getattr(training, name) for name in FACTS[system]} == FACTS[system]


def test_no_printed_number_was_changed() -> None:
    lines = sorted(f"{c.table} {c.row} {c.column} {c.value!r}" for c in printed().cells)
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == PRINTED


@pytest.mark.parametrize(("row", "pairs", "pool"), [
    *((f"drunet-{n}", n, "") for n in (10, 96, 960)), *((f"senm-{n}", n, "source") for n in (10, 96, 960)),
    ("drunet-all", None, ""),
])
def test_table_2_trains_drunet_on_real_pairs_and_on_synthetic_ones_of_the_source_domain(
    row: str, pairs: int | None, pool: str
) -> None:
    found = table("table2").row(row)
    assert (found.restorer.system, found.restorer.pairs, found.restorer.pool) == ("drunet", pairs, pool)
    if pool:
        assert found.noise.mix.paired == pairs

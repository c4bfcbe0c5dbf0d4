"""The average KLD over many draws: its column, its record, and that the draws are draws."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.run import main
from benchmarks.running.draws import seed_of
from tests.benchmarks.tiny import write_tiny


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("draws")
    write_tiny(folder / "tiny")
    return folder


def cells(place: Path, draws: int) -> dict[str, dict[str, object]]:
    """The cells of table 1's white Gaussian row and of its real noise, by row and column, from a smoke run."""
    where = ["--data", f"folder:{place / 'tiny'}", "--store", str(place / "store"), "--out", str(place / str(draws))]
    more = ["--draws", str(draws)] if draws else []
    assert main(["table1", "--scale", "smoke", "--rows", "gaussian,real", *more, *where]) == 0
    (path,) = (place / str(draws)).rglob("table1/*/table.json")
    return {f"{cell['row']} {cell['column']}": cell for cell in json.loads(path.read_text())["cells"]}


def test_a_column_of_many_draws(place: Path) -> None:
    without, two, three = (cells(place, count) for count in (0, 2, 3))
    assert "gaussian akld-draws" not in without
    one, mean_of_two, mean_of_three = (
        float(str(found["mean"])) for found in (without["gaussian akld"], two["gaussian akld-draws"],
                                                three["gaussian akld-draws"])
    )
    assert two["gaussian akld"]["mean"] == one, "the first draw is the one of the other columns"
    assert len({one, mean_of_two, mean_of_three}) == 3, "every draw is another"
    assert mean_of_three == pytest.approx(one, rel=0.2)
    assert three["gaussian akld-draws"]["images"] == 6
    assert three["real akld-draws"]["state"] == "not run", "real noise is there once"
    assert without["real akld"]["mean"] == 0 and without["real ks"]["mean"] == 0


def test_seeds_of_draws_are_all_different() -> None:
    seeds = {seed_of(replicate, draw) for replicate in range(20) for draw in range(50)}
    assert len(seeds) == 1000 and max(seeds) < 2**31 and {seed_of(r, 0) for r in range(20)} == set(range(20))

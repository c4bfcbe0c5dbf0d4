"""What rows cost: read from the store, of the replicate that knows, and never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.core.record import Price, TableResult, read
from benchmarks.judging.price import prices
from benchmarks.report.parts.price import price_view
from benchmarks.run import main
from tests.benchmarks.report_cases import result
from tests.benchmarks.tiny import write_tiny


def test_prices_of_a_run(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    where = ["--data", f"folder:{tmp_path / 'tiny'}", "--store", str(tmp_path / "store"), "--out", str(tmp_path / "o")]
    assert main(["table1", "--scale", "smoke", "--rows", "heteroscedastic,real", *where]) == 0
    (path,) = (tmp_path / "o").rglob("table1/*/table.json")
    found = {price.row: price for price in read(path, TableResult).prices}
    noise, real = found["heteroscedastic"], found["real"]
    assert noise.megapixels_per_second and noise.megapixels_per_second > 0 and noise.sampled_on
    assert noise.restorer_hours and real.restorer_hours and real.restorer_hours < 1
    assert real.megapixels_per_second is None and real.training_hours is None, "real noise costs no model"
    assert noise.parameters != real.parameters and real.parameters and real.parameters > 1000, "of the DnCNN"


class Folders:
    """A store that knows some steps."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders = folders

    def get(self, step: SimpleNamespace) -> Path | None:
        return self.folders.get(step.name)


def artefact(folder: Path, about: dict[str, object], released: bool = False) -> Path:
    (folder / "model").mkdir(parents=True)
    save_file({"a": np.zeros((3, 5), np.float32), "b": np.zeros(2, np.float16)}, folder / "model" / "model.safetensors")
    name, content = ("model/description.json", {"machine": about}) if released else ("provenance.json", about)
    (folder / name).write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("released", [False, True])
def test_a_resumed_training_has_no_hours_and_gives_way_to_one_that_has(tmp_path: Path, released: bool) -> None:
    whole = {"seconds": 7200, "cost": {"iterations": 5}, "machine": {"processor": "Example", "threads": "1"}}
    store = Folders({
        "part": artefact(tmp_path / "part", {**whole, "cost": {}}, released),
        "whole": artefact(tmp_path / "whole", whole, released),
    })

    def planned(name: str) -> SimpleNamespace:
        return SimpleNamespace(row=SimpleNamespace(id="mine"), fit=SimpleNamespace(name=name, released=released),
                               network=None, evaluations={})

    def of(*names: str) -> Price:
        (found,) = prices(SimpleNamespace(rows=[planned(name) for name in names]), store)  # type: ignore[arg-type]
        return found

    assert of("part").training_hours is None and of("part").parameters == 17
    assert of("part", "whole").training_hours == of("whole", "part").training_hours == 2
    assert of("whole").trained_on == "Example, 1 threads"
    assert not prices(SimpleNamespace(rows=[planned("nowhere")]), store)  # type: ignore[arg-type]


def test_the_page_shows_prices_and_what_is_not_known() -> None:
    made = result("table1", "short", "embedded")
    known = Price(row="c2n", training_hours=0.5, restorer_hours=0.25, parameters=12345, megapixels_per_second=1.5,
                  trained_on="Example, 1 threads", sampled_on="Example, 2 threads")
    other = Price(row="senm-10", training_hours=2.0, megapixels_per_second=0.25)
    view = price_view(made.model_copy(update={"prices": (known, other)}))
    assert view is not None and price_view(made) is None
    assert view.grid.rows[0] == ("C2N", "0", "12,345", "0.500", "0.250", "1.500", "Example, 1 thread")
    assert view.grid.rows[1] == ("SeNM-VAE", "10", "–", "2.000", "–", "0.250", "")
    assert view.sampled_on == "Example, 2 threads"
    assert len(view.plots) == 2
    (title,) = (line for line in view.plots[0].svg.split("<title>") if line.startswith("C2N 0: 0.5 hours of training"))
    assert f"{made.cell('c2n', 'psnr').mean:.2f}" in title.partition("</title>")[0]  # type: ignore[union-attr]

"""What a training noted goes with its model, released or not, into the record and below the table."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.core.step import Step
from benchmarks.running.health import HEALTH, alarms, health_notes, keep_health, pass_health_on, training_health
from benchmarks.running.steps import Bench, release
from benchmarks.store.released import ROOT, digest
from senm.training.health import Health

FIT = Step("fit", "train it", {"system": "senm-vae"})


def test_a_released_network_brings_its_health_to_the_images_made_with_it(tmp_path: Path) -> None:
    source = tmp_path / "checkpoints" / "mine"
    shutil.copytree(ROOT / "table1-senm-10-noise-0", source)
    (source / "description.json").write_text(json.dumps({"identity": FIT.identity}))
    fit, images = tmp_path / "fit", tmp_path / "images"
    for folder in (fit, images):
        folder.mkdir()
    release(replace(FIT, released=digest(source)), {}, fit, Bench("cpu", {}, checkpoints=tmp_path / "checkpoints"))
    pass_health_on({"model": fit}, images)
    assert training_health(images) == training_health(fit) == {"collapsed_layers": [1, 2], "skipped": 0}
    (line,) = health_notes([("SeNM-VAE", "noise", 0, {"training": training_health(images)})], several=False)
    assert line.startswith("SeNM-VAE, its noise model: posterior collapse: zn of layers 1, 2 carries nothing")


@pytest.mark.parametrize("counts", [{"skipped": 3}, asdict(Health(setbacks=2, collapsed_layers=[0]))])
def test_a_training_s_counts_lie_in_its_model_s_folder_and_nowhere_else(tmp_path: Path, counts: dict) -> None:
    (tmp_path / "model").mkdir()
    keep_health(SimpleNamespace(health=counts), tmp_path)
    assert training_health(tmp_path) == counts
    assert [path.parent.name for path in tmp_path.rglob(HEALTH)] == ["model"]


def test_a_loop_without_counts_is_known_by_its_log(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "log.jsonl").write_text('{"step": 0, "skipped": 0}\n{"step": 9, "skipped": 4.0}\n')
    keep_health(SimpleNamespace(), tmp_path)
    assert alarms(training_health(tmp_path)) == ["4 steps were skipped"]


def test_nothing_is_noted_of_a_training_that_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    keep_health(SimpleNamespace(), tmp_path)
    assert training_health(tmp_path) == {} and alarms({}) == [] and not list(tmp_path.rglob(HEALTH))


def test_lines_say_which_training_and_which_seeds() -> None:
    noise, restorer = {"training": {"setbacks": 1}}, {"training": {"skipped": 1, "unknown": 7}}
    found = [("a", "noise", 1, noise), ("a", "noise", 0, noise), ("a", "restoration", 0, restorer),
             ("b", "noise", 0, {})]
    assert health_notes(found, several=True) == [
        "a, its noise model: the network blew up once and went on from a saved state at half the learning rate "
        "(seed 0, 1)", "a, its restorer: 1 step was skipped (seed 0)"]
    assert health_notes(found[2:], several=False) == ["a, its restorer: 1 step was skipped"]

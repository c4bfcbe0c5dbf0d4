"""Data sets as plans see them: prepared once, counted, reduced for super-resolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.core.step import Step
from benchmarks.data import datasets
from benchmarks.data.datasets import foresee, listing, load, parse, prepare_step
from benchmarks.data.reduced import degrade, reduce
from benchmarks.running.steps import Bench, clean_pool, real_pairs, targets, training_pairs
from benchmarks.store.store import Store
from senm.data.formats.bicubic import reduce as bicubic
from senm.data.images import write_png
from senm.data.prepared import PreparedData
from senm.support.errors import DataError
from senm.support.progress import NullProgress
from tests import ROOT
from tests.benchmarks.tiny import noisy, photograph, write_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return write_tiny(tmp_path_factory.mktemp("data") / "tiny", train=12, validation=4, side=48)


@pytest.fixture(scope="module")
def small(tiny: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return reduce(tiny, tmp_path_factory.mktemp("small") / "x4")


def test_a_prepared_folder_is_used_as_it_is(tiny: PreparedData, tmp_path: Path) -> None:
    data = load(parse(f"folder:{tiny.folder}"), "smoke", "noise", Store(tmp_path / "s"), NullProgress())
    assert data.fingerprint == tiny.fingerprint and not (tmp_path / "s").exists()
    assert (data.counts["train"], data.counts["validation"], data.counts["paired"], data.side) == (12, 4, 12, 48)
    assert data.paired_counts == {10: 3, 96: 6, 960: 9}
    assert "10 pairs of the paper stand for 3 pairs here" in data.notes


def test_a_reduced_set_has_high_low_and_bicubic_images(tiny: PreparedData, small: PreparedData) -> None:
    assert small.name == "folder-x4"
    high, clean, noisy = (small.side("train", side) for side in ("high", "clean", "noisy"))
    assert (high.size(0), clean.size(0), noisy.size(0)) == ((48, 48), (12, 12), (12, 12))
    assert np.array_equal(high[3], tiny.images("train", "clean")[3])
    assert np.array_equal(clean[3], bicubic(high[3], 4))
    assert np.array_equal(noisy[3], degrade(tiny.images("train", "noisy")[3]))


def test_the_degradation_averages_two_by_two_and_keeps_every_second() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(8, 8, 1).repeat(3, 2)
    assert np.array_equal(degrade(image)[:, :, 0], np.rint([[4.5, 8.5], [36.5, 40.5]]).astype(np.uint8))


def test_a_limited_reduction_keeps_the_first_of_each_domain(tiny: PreparedData, tmp_path: Path) -> None:
    few = reduce(tiny, tmp_path / "few", limit=2)
    whole, part = tiny.domains(2, 2, 2), few.domains(2, 2, 2)
    assert part.paired.names == whole.paired.names and part.target.names == whole.target.names
    assert len(few.images("validation")) == 1 and few.paired_counts[960] == 2


def test_restorers_are_trained_towards_high_resolution(small: PreparedData) -> None:
    pairs = real_pairs(small, 3, None)
    assert pairs.clean.size(0) == (48, 48) and pairs.noisy.size(0) == (12, 12)
    assert pairs.names == small.domains(3, 0, 0).paired.names
    low, wanted = clean_pool(small, "source", 5), targets(small, "source", 5)
    assert low.names == wanted.names and low.size(0) == (12, 12) and wanted.size(0) == (48, 48)


def test_real_pairs_come_before_synthetic_ones(tiny: PreparedData) -> None:
    step = Step("fit-restorer", "", {"fingerprint": tiny.fingerprint, "pairs": 10, "images": 8})
    sources = training_pairs(step, {}, Bench("cpu", {tiny.fingerprint: tiny}))
    assert [len(source) for source in sources] == [3]
    everything = real_pairs(tiny, None, 8)
    assert len(everything) == 8, "the scale limits how many real pairs stand in for all"


@pytest.mark.parametrize("kind", datasets.KINDS)
def test_readme_and_help_name_every_kind_of_data(kind: str) -> None:
    from benchmarks.cli.options import DataSets

    text = {"embedded": kind, "unpaired": "unpaired:LOW,HIGH"}.get(kind, f"{kind}:PATH")
    assert text in DataSets.__metadata__[0].help
    assert text.replace("embedded", "Data other than the embedded") in (ROOT / "README.md").read_text()


def test_a_changed_folder_is_another_data_set(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    before = listing(tmp_path)
    (tmp_path / "a.png").write_bytes(b"12")
    assert listing(tmp_path) != before
    spec = parse(f"folder:{tmp_path}")
    assert prepare_step(spec, "smoke").key != prepare_step(spec, "short").key


@pytest.mark.parametrize("kind", datasets.KINDS)
def test_sets_that_are_cut_by_scale_are_prepared_for_each_scale(kind: str, tmp_path: Path) -> None:
    spec = datasets.Spec(kind, None if kind == "embedded" else tmp_path)
    smoke, short, paper = (prepare_step(spec, scale).key for scale in ("smoke", "short", "paper"))
    if kind == "dnd":
        assert smoke == short == paper, "it has one form"
        return
    assert smoke not in (short, paper), "a smoke preparation must not serve a larger scale"
    assert (short == paper) == (kind in datasets.CHALLENGES), "short and paper share where nothing is cut"


def test_a_smoke_preparation_is_not_used_at_paper_scale(tmp_path: Path) -> None:
    root, store = tmp_path / "cc", Store(tmp_path / "store")
    root.mkdir()
    for camera in ("5dmark3", "d600", "d800"):
        for number in (1, 2):
            clean = photograph(f"{camera} {number}", 128)
            write_png(root / f"{camera}_iso3200_{number}_mean.png", clean)
            write_png(root / f"{camera}_iso3200_{number}_real.png", noisy(f"{camera} {number}", clean))
    spec = parse(f"cc:{root}")
    assert load(spec, "smoke", "denoise", store, NullProgress()).side == 64
    with pytest.raises(DataError, match="6 of"):
        load(spec, "paper", "denoise", store, NullProgress())
    assert foresee(spec, "short", "denoise", store).prepared is None


def test_a_plan_of_absent_data_uses_the_official_counts_and_says_so(tmp_path: Path) -> None:
    data = foresee(parse("sidd:not/there"), "paper", "noise", Store(tmp_path))
    assert data.counts == datasets.OFFICIAL_COUNTS["sidd"] and data.prepared is None
    assert "official image counts" in data.notes[0]
    with pytest.raises(DataError, match="does not exist"):
        foresee(parse("folder:not/there"), "smoke", "noise", Store(tmp_path))


def test_the_embedded_crops_are_large_enough_for_super_resolution() -> None:
    assert datasets.scale_for(parse("embedded"), "smoke", "sr") == "short"
    assert datasets.scale_for(parse("embedded"), "smoke", "noise") == "smoke"


def test_the_embedded_counts_of_a_plan_are_those_of_the_prepared_set(tmp_path: Path) -> None:
    store = Store(tmp_path)
    before = foresee(parse("embedded"), "smoke", "noise", store)
    after = load(parse("embedded"), "smoke", "noise", store, NullProgress())
    assert dict(before.counts) == dict(after.counts) and dict(before.paired_counts) == dict(after.paired_counts)
    assert (before.origin, before.side) == (after.origin, after.side), "released networks are matched by these"
    assert foresee(parse("embedded"), "smoke", "noise", store).fingerprint == after.fingerprint

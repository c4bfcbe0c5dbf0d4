"""The embedded data set: photographs checked by hash, divided by scene, the same bytes on every preparation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from senm.data import PreparedData, embedded
from senm.data.camera import Camera, Exposure
from senm.support.errors import DataError, UsageError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return embedded.prepare(tmp_path_factory.mktemp("embedded") / "smoke", "smoke")


def scenes(data: PreparedData, domain: str, count: int | None = None) -> set[str]:
    items = data.items("validation" if domain == "validation" else "train")
    order = range(len(items)) if domain == "validation" else data.order(domain)[:count].tolist()
    return {str(items[i]["scene"]) for i in order}


def test_every_photograph_ships_with_scikit_image() -> None:
    for photograph in embedded.PHOTOGRAPHS:
        pixels = embedded.load(photograph)
        assert pixels.ndim == 3 and min(pixels.shape[:2]) >= 128 + 2 * 4 and photograph.licence


def test_a_changed_photograph_is_refused(tmp_path: Path) -> None:
    photograph = embedded.PHOTOGRAPHS[0]
    with pytest.raises(DataError, match="ships no"):
        embedded.load(photograph, tmp_path)
    with pytest.raises(DataError, match="sha256"):
        embedded.load(replace(photograph, sha256="0" * 64))


def test_no_scene_is_in_two_domains(data: PreparedData) -> None:
    parts = [scenes(data, "paired", 16), scenes(data, "source"), scenes(data, "target"), scenes(data, "validation")]
    assert all(parts) and sum(map(len, parts)) == len(set.union(*parts))
    assert not scenes(data, "paired") & scenes(data, "validation")


def test_few_pairs_are_the_first_of_many(data: PreparedData) -> None:
    ten, ninety_six, everything = (data.domains(n, 0, 0).paired.names for n in (10, 96, None))
    assert len(ten) == 10 and ninety_six[:10] == ten and everything[:len(ninety_six)] == ninety_six
    assert data.paired_counts == {10: 10, 96: 16, 960: 16} and len(ninety_six) == 16
    assert len(everything) == 48 == len(set(everything)) == len(data.pairs("train"))
    assert any("960 pairs of the paper are 16 here" in note for note in data.manifest.notes)


def test_source_and_target_never_hold_both_sides(data: PreparedData) -> None:
    domains = data.domains()
    assert not set(domains.source.names) & set(domains.target.names)
    pairs = data.pairs("train")
    at = {name: i for i, name in enumerate(pairs.names)}
    assert all(np.array_equal(domains.source[i], pairs.clean[at[n]]) for i, n in enumerate(domains.source.names))
    assert all(np.array_equal(domains.target[i], pairs.noisy[at[n]]) for i, n in enumerate(domains.target.names))


def test_preparing_twice_gives_the_same_bytes_and_a_seed_changes_them(data: PreparedData, tmp_path: Path) -> None:
    again = embedded.prepare(tmp_path / "again", "smoke")
    assert again.fingerprint == data.fingerprint
    assert embedded.prepare(tmp_path / "other", "smoke", seed=1).fingerprint != data.fingerprint
    data.verify()


def test_a_listed_crop_is_what_its_line_says(data: PreparedData) -> None:
    item = data.items("validation")[3]
    pixels = {p.file: embedded.load(p) for p in embedded.PHOTOGRAPHS}
    clean, noisy = embedded.render(item, pixels, 64, 0)
    pairs = data.pairs("validation")
    assert np.array_equal(clean, pairs.clean[3]) and np.array_equal(noisy, pairs.noisy[3])


def test_noise_follows_the_listed_exposure(data: PreparedData) -> None:
    """The noisier exposures give the larger residuals: rank correlation over all crops."""
    pairs = data.pairs("train")
    level = np.array([Exposure(i["shot"], i["read"]).level for i in data.items("train")])  # type: ignore[arg-type]
    measured = np.array([(pairs.noisy[i].astype(float) - pairs.clean[i]).std() for i in range(len(pairs))])
    ranks = np.corrcoef(level.argsort().argsort(), measured.argsort().argsort())[0, 1]
    assert ranks > 0.6 and Camera().gains.min() == 1


def test_manifest_lists_sources_with_licences(data: PreparedData) -> None:
    assert {s.file for s in data.manifest.sources} == {f"skimage/data/{p.file}" for p in embedded.PHOTOGRAPHS}
    assert all(s.licence and len(s.sha256) == 64 and s.split for s in data.manifest.sources)


def test_unknown_scale_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'short'"):
        embedded.prepare(tmp_path / "x", "shrot")
    assert not list(tmp_path.iterdir())

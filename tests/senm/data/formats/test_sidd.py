"""SIDD prepared from a synthetic official tree: crops, domains, splits, restarts."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from senm.data.formats import sidd, splits
from senm.data.formats.sidd_blocks import BlockShape
from senm.data.prepared import PreparedData
from senm.support.errors import DataError, UsageError
from tests import ROOT
from tests import fixtures_official as fx

SIZES = sidd.SiddSizes(pairs=6, blocks=BlockShape(2, 4, 32))
CUTTING = sidd.Cutting(crops=5, size=32)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("sidd")
    return fx.sidd_mats(fx.sidd_medium(root))


@pytest.fixture(scope="module")
def prepared(tree, tmp_path_factory):
    return sidd.prepare(tree, tmp_path_factory.mktemp("out") / "sidd", cutting=CUTTING, sizes=SIZES, workers=1)


def content(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_crops_are_direct_slices_of_the_source_files(tree, prepared):
    pairs = prepared.pairs("train")
    assert len(pairs) == 30
    for i, item in enumerate(prepared.items("train")):
        for side, pool in (("clean", pairs.clean), ("noisy", pairs.noisy)):
            image = np.asarray(Image.open(tree / item[f"{side}_file"]))
            r, c = item["row"], item["column"]
            assert np.array_equal(pool[i], image[r:r + 32, c:c + 32])


def test_manifest_names_every_source_file_with_its_hash(tree, prepared):
    files = {source.file for source in prepared.manifest.sources}
    assert len([f for f in files if f.endswith(".PNG")]) == 12
    assert {"ValidationNoisyBlocksSrgb.mat", "ValidationGtBlocksSrgb.mat", "BenchmarkNoisyBlocksSrgb.mat"} <= files
    from senm.data.manifest import file_sha256
    for source in prepared.manifest.sources:
        assert source.sha256 == file_sha256(tree / source.file)


def test_validation_and_benchmark_blocks_are_kept_whole(prepared):
    noisy, clean = fx.blocks(2, 4, 32)
    validation = prepared.pairs("validation")
    assert np.array_equal(validation.noisy[6], noisy[1, 2]) and np.array_equal(validation.clean[6], clean[1, 2])
    assert len(prepared.images("benchmark")) == 8


def test_authors_rule_halves_the_crops_and_nests_the_pairs(prepared):
    domains = prepared.domains(10, None, None)
    assert domains.counts == (10, 15, 15)
    assert not set(domains.source.names) & set(domains.target.names)
    assert prepared.domains(20, 0, 0).paired.names[:10] == domains.paired.names
    assert prepared.split_rule == "authors" and "by crop" in prepared.describe()


def test_by_photo_rule_puts_no_photograph_in_two_domains(tree, tmp_path):
    data = sidd.prepare(tree, tmp_path / "o", cutting=sidd.Cutting("by-photo", crops=5, size=32), sizes=SIZES,
                        workers=1)
    scene = {item["name"]: item["scene"] for item in data.items("train")}
    domains = data.domains(10, None, None)
    scenes = [{scene[n] for n in names} for names in (domains.paired.names, domains.source.names, domains.target.names)]
    assert all(scenes) and not (scenes[0] & scenes[1] or scenes[0] & scenes[2] or scenes[1] & scenes[2])
    everything = data.domains(None, 0, 0).paired.names
    assert len(everything) == 30 and everything[:10] == domains.paired.names


def test_places_depend_on_seed_and_photograph_only(tree):
    photos = sidd.find_photos(tree, 6)
    first = sidd.places(photos[0], CUTTING)
    assert np.array_equal(first, sidd.places(photos[0], CUTTING))
    assert not np.array_equal(first, sidd.places(photos[1], CUTTING))
    assert not np.array_equal(first, sidd.places(photos[0], sidd.Cutting(seed=1, crops=5, size=32)))
    many = sidd.places(photos[0], sidd.Cutting(crops=3000, size=32))
    height, width = photos[0].size
    assert many[:, 0].min() == 0 and many[:, 0].max() == height - 32
    assert many[:, 1].min() == 0 and many[:, 1].max() == width - 32


def test_workers_change_no_byte(tree, prepared, tmp_path):
    sidd.prepare(tree, tmp_path / "two", cutting=CUTTING, sizes=SIZES, workers=2)
    assert content(tmp_path / "two") == content(prepared.folder)


def test_smoke_scale_takes_an_incomplete_set(tree, tmp_path):
    data = sidd.prepare(tree, tmp_path / "o", scale="smoke", workers=1)
    assert len(data.pairs("train")) == 6 * 16 and data.pairs("train").clean[0].shape == (64, 64, 3)
    assert len(data.pairs("validation")) == 8
    assert any("6 of 320 photographs" in note for note in data.manifest.notes)
    with pytest.raises(UsageError, match="did you mean 'smoke'"):
        sidd.prepare(tree, tmp_path / "p", scale="smok")


def test_archive_is_read_like_the_folder_and_removed_again(prepared, tmp_path):
    root = fx.sidd_mats(fx.sidd_medium(tmp_path / "r"))
    fx.zip_folder(root / "SIDD_Medium_Srgb", root / "SIDD_Medium_Srgb.zip", "SIDD_Medium_Srgb/")
    data = sidd.prepare(root, tmp_path / "o", cutting=CUTTING, sizes=SIZES, workers=1)
    assert (data.folder / "train_noisy.npy").read_bytes() == (prepared.folder / "train_noisy.npy").read_bytes()
    assert data.manifest.sources[0].file.startswith("SIDD_Medium_Srgb.zip:")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o", "r"]


def test_restormer_folder_and_small_are_recognised(tmp_path):
    fx.sidd_medium(tmp_path / "a", top="train")
    assert len(sidd.find_photos(tmp_path / "a", 6)) == 6
    for path in list((tmp_path / "a").rglob("*_011.PNG")):
        path.unlink()
    with pytest.raises(DataError, match="SIDD-Small"):
        sidd.find_photos(tmp_path / "a", 6)


def test_split_check_notices_a_shared_pair():
    groups = ["a", "a", "b", "c"]
    with pytest.raises(DataError, match="1 pairs are in source and in target"):
        splits.check_split({"source": np.array([0, 1]), "target": np.array([1, 2])}, groups, "authors")
    with pytest.raises(DataError, match="scenes are in paired and in source"):
        splits.check_split({"paired": np.array([1]), "source": np.array([0]), "target": np.array([3])}, groups,
                           "by-photo")


CHILD = """
import sys
from tests.senm.data.formats.test_sidd import CUTTING, SIZES
from senm.data.formats import sidd
if __name__ == "__main__":
    sidd.prepare(sys.argv[1], sys.argv[2], cutting=CUTTING, sizes=SIZES, workers=int(sys.argv[3]))
"""


def test_killed_ten_times_the_result_is_the_same_byte_for_byte(tree, prepared, tmp_path):
    """Kills at moments spread over the run; the slow writes below stretch it so that the kills hit the middle."""
    script = tmp_path / "child.py"
    script.write_text(CHILD.replace("if __name__", SLOW + "if __name__"))
    out = tmp_path / "work" / "sidd"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    rng, kills = np.random.default_rng(5), 0
    while kills < 10 and not out.exists():
        workers = 2 if kills in (3, 7) else 1
        child = subprocess.Popen([sys.executable, str(script), str(tree), str(out), str(workers)], env=environment)
        began = time.monotonic()
        while not (out.parent / ".sidd.partial").exists() and time.monotonic() - began < 60:
            time.sleep(0.01)
        time.sleep(rng.uniform(1.0, 2.0) if workers == 2 else rng.uniform(0.0, 0.25))
        child.send_signal(signal.SIGKILL)
        child.wait()
        kills += 1
    assert kills == 10
    data = sidd.prepare(tree, out, cutting=CUTTING, sizes=SIZES, workers=1)
    assert content(out) == content(prepared.folder)
    assert sorted(p.name for p in out.parent.iterdir()) == ["sidd"]
    PreparedData.open(out).verify()
    assert data.fingerprint == prepared.fingerprint


SLOW = """
import time
from senm.data import writer
plain = writer.PoolWriter.write
def slow(self, index, images):
    for k, image in enumerate(images):
        time.sleep(0.05)
        plain(self, index + k, [image])
writer.PoolWriter.write = slow
"""


def test_work_done_before_a_kill_is_not_done_again(tree, tmp_path, monkeypatch):
    from senm.data import jobs

    plain, done = jobs.perform, []

    def stops(job, writers):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(job.tag)
        return plain(job, writers)

    monkeypatch.setattr(jobs, "perform", stops)
    with pytest.raises(KeyboardInterrupt):
        sidd.prepare(tree, tmp_path / "o", cutting=CUTTING, sizes=SIZES, workers=1)
    monkeypatch.setattr(jobs, "perform", lambda job, writers: (done.append(job.tag), plain(job, writers))[1])
    sidd.prepare(tree, tmp_path / "o", cutting=CUTTING, sizes=SIZES, workers=1)
    assert len(done) == len(set(done)) == 12

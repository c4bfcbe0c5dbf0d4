"""Pools and prepared folders: what is written is what is read, subsets share storage, nothing half-made is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from senm.data import ArrayImages, FileImages, Pairs, PreparedData, PreparedWriter, RaggedImages, write_png
from senm.support.errors import DataError, MachineError, UsageError

ARRAY = np.random.default_rng(1).integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)
RAGGED = [np.full((3 + i, 5 + 2 * i, 3), i, np.uint8) for i in range(4)]


def write(out: Path, plan: dict[str, int] | None = None, resume: bool = False) -> PreparedData:
    with PreparedWriter(out, "toy", plan or {"seed": 0}, resume=resume) as writer:
        train = writer.pool("train", [{"name": f"n{i}", "row": i} for i in range(6)],
                            {"clean": (8, 10), "noisy": (8, 10)})
        train["clean"].write(0, ARRAY)
        train["noisy"].write(0, 255 - ARRAY[:3])
        train["noisy"].write(3, 255 - ARRAY[3:])
        writer.pool("benchmark", [{"name": f"b{i}"} for i in range(4)],
                    {"noisy": [r.shape[:2] for r in RAGGED]})["noisy"].write(0, RAGGED)
        writer.pool("nothing", [], {"noisy": (4, 4)})
        writer.order("paired", "train", [5, 3, 1, 0, 2, 4])
        writer.order("source", "train", [0, 1])
        writer.order("target", "train", [2, 3])
        return writer.finish(paired_counts={10: 2, 96: 5}, notes=["a note"])


def test_pools_come_back_as_written(tmp_path: Path) -> None:
    data = write(tmp_path / "d")
    pairs = data.pairs("train")
    assert pairs.names == tuple(f"n{i}" for i in range(6))
    assert all(np.array_equal(pairs.clean[i], ARRAY[i]) and np.array_equal(pairs.noisy[i], 255 - ARRAY[i])
               for i in range(6))
    assert all(np.array_equal(a, b) for a, b in zip(data.images("benchmark"), RAGGED, strict=True))
    assert len(data.images("nothing")) == 0
    assert data.items("train")[4] == {"name": "n4", "row": 4}
    assert isinstance(pairs.clean.storage, np.memmap)  # type: ignore[attr-defined]
    data.verify()


def test_domains_take_the_first_of_the_fixed_order(tmp_path: Path) -> None:
    data = write(tmp_path / "d")
    assert data.domains(3, 0, 1).paired.names == ("n5", "n3", "n1")
    assert data.domains(3, 0, 1).counts == (3, 0, 1)
    assert data.domains().counts == (6, 2, 2)
    assert data.domains(10).counts[0] == 2 and data.domains(96).counts[0] == 5
    assert data.domains(1000).counts[0] == 6
    assert np.array_equal(data.domains().source[1], ARRAY[1])
    assert np.array_equal(data.domains().target[0], 255 - ARRAY[2])
    with pytest.raises(UsageError):
        data.domains(-1)


def test_unknown_splits_and_sides_are_named(tmp_path: Path) -> None:
    data = write(tmp_path / "d")
    with pytest.raises(UsageError, match="'train'"):
        data.pairs("trian")
    with pytest.raises(UsageError, match="no clean images"):
        data.pairs("benchmark")


def test_equal_content_has_an_equal_fingerprint(tmp_path: Path) -> None:
    first, second, other = write(tmp_path / "a"), write(tmp_path / "b"), write(tmp_path / "c", {"seed": 1})
    assert first.fingerprint == second.fingerprint != other.fingerprint
    names = sorted(p.name for p in first.folder.iterdir())
    assert names == sorted(p.name for p in second.folder.iterdir())
    assert all((first.folder / n).read_bytes() == (second.folder / n).read_bytes() for n in names)


def test_damage_is_found(tmp_path: Path) -> None:
    data = write(tmp_path / "d")
    pool = data.folder / "train_clean.npy"
    content = bytearray(pool.read_bytes())
    content[-1] ^= 1
    pool.write_bytes(bytes(content))
    PreparedData.open(data.folder)
    with pytest.raises(DataError, match=r"train_clean\.npy has changed"):
        data.verify()
    pool.write_bytes(bytes(content[:-1]))
    with pytest.raises(DataError, match=r"train_clean\.npy has"):
        PreparedData.open(data.folder)
    pool.unlink()
    with pytest.raises(DataError, match=r"train_clean\.npy is missing"):
        PreparedData.open(data.folder)


@pytest.mark.parametrize(("text", "reason"), [
    ("{", "damaged"), ("[]", "not the manifest"), ('{"kind": "senm-prepared-data", "version": 99}', "version 99"),
    ('{"kind": "senm-prepared-data", "version": 1, "name": 3}', "damaged at name"),
])
def test_a_bad_manifest_says_what_is_wrong(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=reason):
        PreparedData.open(tmp_path)


def test_a_folder_that_is_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="not a prepared data set"):
        write(tmp_path)
    with pytest.raises(DataError, match="not a prepared data set"):
        PreparedData.open(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_error_leaves_nothing_and_keeps_the_old_set(tmp_path: Path) -> None:
    before = write(tmp_path / "d").fingerprint
    with pytest.raises(DataError, match="shape"), PreparedWriter(tmp_path / "d", "toy", {}) as writer:
        writer.pool("train", [{"name": "a"}], {"clean": (8, 10)})["clean"].write(0, ARRAY[:1, :4])
    assert [p.name for p in tmp_path.iterdir()] == ["d"]
    assert PreparedData.open(tmp_path / "d").fingerprint == before


def test_one_process_prepares_a_folder(tmp_path: Path) -> None:
    with PreparedWriter(tmp_path / "d", "toy", {}), pytest.raises(MachineError, match="another process"):
        PreparedWriter(tmp_path / "d", "toy", {})


KILLED = """
import os, sys, numpy as np
from senm.data.writer import PreparedWriter
w = PreparedWriter(sys.argv[1], "toy", {"seed": 0}, resume=True)
p = w.pool("train", [{"name": "a"}, {"name": "b"}], {"clean": (4, 4)})["clean"]
p.write(0, np.full((1, 4, 4, 3), 7, np.uint8)); w.mark("a")
p.write(1, np.full((1, 4, 4, 3), 8, np.uint8))
with open(w.partial / "done", "a") as f: f.write("b")
os.kill(os.getpid(), 9)
"""


def test_marked_chunks_survive_a_kill_and_half_marked_ones_do_not(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "d")],
                         env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert ran.returncode == -signal.SIGKILL and not (tmp_path / "d").exists()
    with PreparedWriter(tmp_path / "d", "toy", {"seed": 0}, resume=True) as writer:
        pool = writer.pool("train", [{"name": "a"}, {"name": "b"}], {"clean": (4, 4)})["clean"]
        assert writer.is_done("a") and not writer.is_done("b")
        pool.write(1, np.full((1, 4, 4, 3), 9, np.uint8))
        data = writer.finish()
    assert [int(i[0, 0, 0]) for i in data.images("train", "clean")] == [7, 9]


def test_half_made_work_of_another_plan_is_dropped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), PreparedWriter(tmp_path / "d", "toy", {"seed": 0}, resume=True) as writer:
        writer.mark("a")
        raise KeyboardInterrupt
    with PreparedWriter(tmp_path / "d", "toy", {"seed": 1}, resume=True) as writer:
        assert not writer.is_done("a")


def test_the_manifest_names_no_time_and_no_place(tmp_path: Path) -> None:
    text = (write(tmp_path / "d").folder / "manifest.json").read_text()
    assert str(tmp_path) not in text and set(json.loads(text)) >= {"files", "pools", "plan", "sources"}


def test_subsets_share_storage_and_keep_order() -> None:
    pool = ArrayImages(ARRAY, [f"n{i}" for i in range(6)])
    part = pool.subset([4, 2, 0]).subset([2, 0])
    assert part.names == ("n0", "n4") and part.storage is ARRAY
    assert np.array_equal(part[1], ARRAY[4]) and np.array_equal(part.array, ARRAY[[0, 4]])
    assert np.array_equal(pool[-1], ARRAY[5]) and pool[1:3].names == ("n1", "n2")
    with pytest.raises(IndexError):
        pool[6]


def test_reading_gives_a_copy() -> None:
    array = ARRAY.copy()
    ArrayImages(array, list("abcdef"))[0][:] = 0
    assert np.array_equal(array, ARRAY)


def test_ragged_pools_hold_any_sizes() -> None:
    flat, sizes = np.concatenate([r.reshape(-1) for r in RAGGED]), np.array([r.shape[:2] for r in RAGGED])
    pool = RaggedImages(flat, sizes, list("abcd")).subset([3, 1])
    assert np.array_equal(pool[0], RAGGED[3]) and np.array_equal(pool[1], RAGGED[1]) and pool.size(0) == (6, 11)
    with pytest.raises(DataError, match="bytes"):
        RaggedImages(flat[:-1], sizes, list("abcd"))


def test_file_pools_read_on_access(tmp_path: Path) -> None:
    for i, image in enumerate(RAGGED):
        write_png(tmp_path / f"{i}.png", image)
    pool = FileImages(tmp_path / f"{i}.png" for i in range(4))
    assert pool.names == ("0", "1", "2", "3") and np.array_equal(pool.subset([2])[0], RAGGED[2])
    with pytest.raises(DataError, match="named '1'"):
        FileImages([tmp_path / "1.png", tmp_path / "other" / "1.png"])


def test_pairs_need_the_same_names() -> None:
    pool = ArrayImages(ARRAY, list("abcdef"))
    with pytest.raises(DataError, match="unpaired names: f, g"):
        Pairs(pool, ArrayImages(ARRAY, list("abcdeg")))
    with pytest.raises(DataError, match="different orders"):
        Pairs(pool, pool.subset([1, 0, 2, 3, 4, 5]))

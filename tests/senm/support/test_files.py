"""Files that appear whole or not at all, decoded photographs, and the hash by which a training knows its data."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from senm.checkpoint import load_state, read_state_dict, save_state
from senm.data.digest import SAMPLED, content
from senm.data.domains import Domains
from senm.data.images import write_png
from senm.data.mapped import mapped
from senm.data.pool import ArrayImages, FileImages, Pairs
from senm.support.errors import CheckpointError, MachineError
from senm.support.files import writable, write_atomically


def photographs(folder: Path, shift: int = 0, count: int = 3) -> FileImages:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        image = rng.integers(0, 200, (20 + i, 30, 3), dtype=np.uint8) + np.uint8(shift)
        write_png(folder / f"photo{i}.png", image)
    return FileImages(sorted(folder.iterdir()))


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", lambda path: path.write_text("old"))

    def full(path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(MachineError, match="free disk space"):
        write_atomically(tmp_path / "file", full)
    assert (tmp_path / "file").read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    save_state(tmp_path / "state.pt", {"step": 1})
    assert (tmp_path / "state.pt").stat().st_mode & 0o777 == 0o644
    assert load_state(tmp_path / "state.pt") == {"step": 1}


def test_a_folder_that_cannot_be_made_is_an_error_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be written"):
        save_state(tmp_path / "file" / "state.pt", {})


@pytest.mark.parametrize("junk", [b"junk", b"\x80\x02}", b"\x80\x02(X\x05\x00\x00\x00stateq", bytes(range(256))],
                         ids=["text", "pickle", "cut", "bytes"])
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_no_junk_escapes_as_another_error(tmp_path: Path, junk: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(junk)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_state_dict(tmp_path / name)
    assert load_state(tmp_path / name) is None


def test_maps_hold_the_photographs_and_a_second_start_does_not_touch_those_in_use(tmp_path: Path) -> None:
    noisy, clean = photographs(tmp_path / "a", 9), photographs(tmp_path / "b")
    domains = Domains(Pairs(clean, noisy), clean, noisy)
    first = mapped(domains, tmp_path / "maps")
    whole = [image.copy() for image in first.paired.noisy]
    assert all(np.array_equal(x, y) for x, y in zip(whole, noisy, strict=True))
    mapped(Domains(Pairs(noisy, clean), noisy, clean), tmp_path / "maps")
    assert all(np.array_equal(x, y) for x, y in zip(whole, first.paired.noisy, strict=True))
    again = mapped(domains, tmp_path / "maps", write=False)
    assert np.array_equal(again.paired.noisy[0], clean[0])


def test_a_full_disk_is_found_before_a_map_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MachineError, match="free disk space"):
        mapped(Domains(source=photographs(tmp_path / "a")), tmp_path / "maps")
    assert not list((tmp_path / "maps").iterdir())


def test_the_hash_follows_names_pixels_order_and_role() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (3 * SAMPLED, 8, 8, 3), dtype=np.uint8)
    names = [f"image{i}" for i in range(len(pixels))]
    pool, other = ArrayImages(pixels, names), ArrayImages(pixels + np.uint8(1), names)
    found = [content(*pools) for pools in (
        (pool,), (other,), (pool.subset(range(5)),), (pool[::-1],), (ArrayImages(pixels, [f"{n}x" for n in names]),),
        (Pairs(pool, other),), (Pairs(other, pool),), (pool, other), (),
    )]
    assert len(set(found)) == len(found) - 1, "a pair is its two sides"
    assert content(pool) == content(ArrayImages(pixels.copy(), names))


def test_a_folder_to_write_into_is_made_or_refused(tmp_path: Path) -> None:
    assert writable(tmp_path / "a" / "b").is_dir() and not list((tmp_path / "a" / "b").iterdir())
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(MachineError, match="file"):
            writable(bad)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc")
def test_a_folder_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(MachineError, match="cannot be"):
        writable(Path("/proc/none/below"))

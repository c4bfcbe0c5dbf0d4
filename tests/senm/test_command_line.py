"""`python -m senm`: what is refused in one sentence with an exit code, and what nobody's photographs may suffer."""

import errno
from pathlib import Path

import numpy as np
import pytest

import senm
from senm.__main__ import main
from senm.config import SMOKE
from senm.data.images import write_png
from senm.sampling.trained import Trained
from senm.training.tensorboard import VARIABLE

FAST = ["--preset", "smoke", "--set", "train.iterations=1"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, PAIRS (by suffix), CLEAN and NOISY, which is the current one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for i in range(3):
        clean = rng.integers(0, 256, (64, 66, 3), dtype=np.uint8)
        noisy = np.clip(clean + rng.normal(0, 9, clean.shape), 0, 255).astype(np.uint8)
        for name, image in ((f"PAIRS/p{i}_mean", clean), (f"PAIRS/p{i}_real", noisy), (f"CLEAN/c{i}", clean),
                            (f"NOISY/n{i}", noisy)):
            Path(name).parent.mkdir(exist_ok=True)
            write_png(f"{name}.png", image)
    Trained(senm.SeNMVAE(SMOKE.network), SMOKE.but(level="measured"), [0.05]).save(Path("model"))
    Path("file").write_text("")
    return tmp_path


def words(line: str) -> list[str]:
    small = FAST if line.startswith("train") else []
    return [*line.split(), *small]


@pytest.mark.parametrize(("line", "code", "sentence"), [
    ("sample --model model --clean CLEAN --out CLEAN", 2, "another --out"),
    ("sample --model model --clean CLEAN --out ./CLEAN/../CLEAN", 2, "another --out"),
    ("denoise --model model --noisy NOISY --out NOISY", 2, "another --out"),
    ("sample --model model --clean CLEAN --out file", 4, "file is not a folder"),
    ("denoise --model model --noisy NOISY --out file/below", 4, "cannot be written"),
    ("train --pairs PAIRS,_real,_mean --out file", 4, "file is not a folder"),
    ("train --pairs PAIRS,_real,_mean --out file/below", 4, "cannot be written"),
    ("train --pairs PAIRS,_real,_mean --out o --first -1", 2, "--first"),
    ("train --pairs PAIRS,_real,_mean --clean CLEAN --out o --fully-paired", 2, "leave --clean and --noisy out"),
    ("train --pairs PAIRS,_real,_mean --noisy NOISY --out o --fully-paired", 2, "leave --clean and --noisy out"),
    ("train --clean CLEAN --noisy NOISY --out o", 2, "no pairs for a model of measured levels"),
    ("train --pairs PAIRS,_real,_mean --out o --set level=predicted", 2, "no unpaired noisy images"),
    ("train --pairs PAIRS,_real,_mean --out o --set train.crop=33", 2, "a multiple of 2"),
    ("train --pairs PAIRS,_real,_mean --out o --device mps", 4, "unknown device 'mps'"),
    ("sample --model model --clean CLEAN --out o --device meta", 4, "unknown device 'meta'"),
    ("sample --model model --clean CLEAN --out o --level nan", 2, "the level is nan"),
    ("sample --model model --clean CLEAN --out o --level -1", 2, "the level is -1.0"),
    ("sample --model model --clean CLEAN --out o --level 25", 2, "the level is 25.0"),
    ("sample --model model --clean CLEAN --out o --temperature nan", 2, "the temperature is nan"),
    ("sample --model model --clean CLEAN --out o --tile -1", 2, "tile is -1"),
    ("denoise --model model --noisy NOISY --out o --tile -1", 2, "tile is -1"),
])
def test_what_is_refused(here: Path, capsys: pytest.CaptureFixture[str], line: str, code: int, sentence: str) -> None:
    before = {path: path.read_bytes() for path in here.rglob("*.png")}
    assert main(words(line)) == code
    said = capsys.readouterr().err
    assert sentence in said and said.startswith("error: ") and said.count("\n") == 1
    assert {path: path.read_bytes() for path in here.rglob("*.png")} == before
    assert not list(here.glob("o/training/*"))


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc")
@pytest.mark.parametrize("line", ["train --pairs PAIRS,_real,_mean", "sample --model model --clean CLEAN",
                                  "denoise --model model --noisy NOISY"])
def test_a_place_where_nothing_can_be_made(here: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert main(words(f"{line} --out /proc/none/below")) == 4
    assert "cannot be" in capsys.readouterr().err


def test_stale_images_are_never_reported_as_done(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "sample --model model --clean CLEAN --out syn"
    assert main(words(line)) == main(words(line)) == 0
    assert main(words(f"{line} --seed 1 --level 0.2")) == 2
    assert "another level (none, now 0.2) and seed (0, now 1)" in capsys.readouterr().err


def test_denoising_goes_on_where_it_stopped(here: Path) -> None:
    line = "denoise --model model --noisy NOISY --out clean"
    assert main(words(line)) == 0
    whole = {path.name: path.read_bytes() for path in Path("clean").glob("*.png")}
    Path("clean/n1.png").unlink()
    Path("clean/n0.png").write_bytes(b"left alone")
    assert main(words(line)) == 0
    assert Path("clean/n0.png").read_bytes() == b"left alone"
    assert Path("clean/n1.png").read_bytes() == whole["n1.png"]


@pytest.mark.parametrize(("number", "mend"), [(errno.ENOSPC, "free disk space"), (errno.EROFS, "choose a place")])
def test_what_the_system_refuses_is_a_sentence(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, mend: str
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(number, "no", "log.jsonl")

    monkeypatch.setattr("senm.sampling.trained.Trained.load", refuse)
    assert main(words("sample --model model --clean CLEAN --out o")) == 4
    said = capsys.readouterr().err
    assert said.startswith("error: log.jsonl: no") and mend in said


def test_other_errors_of_the_system_are_not_hidden(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr("senm.sampling.trained.Trained.load", broken)
    with pytest.raises(OSError, match="no"):
        main(words("sample --model model --clean CLEAN --out o"))


def test_a_training_writes_scalars_where_asked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard", reason="no tensorboard")
    monkeypatch.setenv(VARIABLE, str(here / "events"))
    assert main(words("train --pairs PAIRS,_real,_mean --out camera")) == 0
    assert list(Path("events/camera").glob("events*"))

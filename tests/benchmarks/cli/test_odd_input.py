"""Inputs and places that people have, from a list of troubles: each gets a sentence, or works."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.published import weights
from baselines.published.external import ExternalNoise, ExternalRestorer, ExternalSettings
from benchmarks.run import main
from senm.checkpoint import read_state_dict
from senm.sampling.trained import Trained
from senm.support.errors import CheckpointError, DataError
from tests import ROOT
from tests.baselines.tiny import pool
from tests.benchmarks.tiny import write_tiny


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, env={**os.environ, **environment}, check=False,
                          capture_output=True, encoding="latin-1", timeout=300)


def test_two_different_files_of_one_published_name_are_named(tmp_path: Path) -> None:
    for place, content in (("denoise", b"a"), ("derain", b"b")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "Uformer_B.pth").write_bytes(content)
    found = next(each for each in weights.scan(tmp_path) if each.release.name == "uformer-sidd")
    assert not found.usable and "denoise" in found.problem and "derain" in found.problem
    (tmp_path / "derain" / "Uformer_B.pth").write_bytes(b"a")
    assert next(each for each in weights.scan(tmp_path) if each.release.name == "uformer-sidd").usable, "equal copies"


def test_lossy_double_and_extra_files_of_a_folder_made_elsewhere(tmp_path: Path) -> None:
    images = pool(2, 16)
    for name, image in zip(images.names, images, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.jpg")
    settings = ExternalSettings(folder=str(tmp_path))
    with pytest.raises(DataError, match=r"2 files of .* are JPEG or WebP .*save it as PNG"):
        ExternalNoise(settings).remarks(images)
    Image.fromarray(images[0]).save(tmp_path / "another.png")
    said = " ".join(ExternalRestorer(settings).remarks(images))
    assert "2 files are compressed with loss" in said and "1 file is named after no image" in said
    Image.fromarray(images[0]).save(tmp_path / f"{images.names[0]}.png")
    with pytest.raises(DataError, match=r"are for one image; expected: one file for each image"):
        ExternalRestorer(settings)


def test_lossy_noise_takes_its_own_row_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_tiny(tmp_path / "tiny")
    clean = data.images("validation", "clean")
    (tmp_path / "made").mkdir()
    for name, image in zip(clean.names, clean, strict=True):
        Image.fromarray(image).save(tmp_path / "made" / f"{name}.jpg", quality=75)
    where = ["--data", f"folder:{tmp_path / 'tiny'}", "--store", str(tmp_path / "s"), "--out", str(tmp_path / "o")]
    words = ["table1", "--scale", "smoke", "--external", f"mine={tmp_path / 'made'}", *where]
    assert main([*words, "--rows", "real,mine"]) == 3
    said = capsys.readouterr()
    assert "save it as PNG" in said.err and "Real noise" in said.out
    assert main([*words, "--rows", "real"]) == 2, "a folder that --rows leaves out"
    assert "--rows with mine" in capsys.readouterr().err


def test_weights_that_fill_no_row_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.pth").write_bytes(b"x")
    assert main(["table2", "--scale", "smoke", "--weights", str(tmp_path), "--store", str(tmp_path / "s"),
                 "--out", str(tmp_path / "o")]) == 2
    assert "fills a row of table2" in (said := capsys.readouterr().err) and "weights scan" in said


class Runs:
    """Pickled as a call of a function that weights must not run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("made-by-a-checkpoint",)


def test_numpy_numbers_beside_tensors_are_read_and_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"a.weight": torch.ones(2, 3)}
    torch.save({"state_dict": state, "best": np.float64(31.4), "step": np.int64(7)}, tmp_path / "best.pth")
    assert torch.equal(read_state_dict(tmp_path / "best.pth")["a.weight"], state["a.weight"])
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": state, "more": Runs()}, tmp_path / "hostile.pth")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_state_dict(tmp_path / "hostile.pth")
    assert not (tmp_path / "made-by-a-checkpoint").exists()
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"state_dict": 1}))
    with pytest.raises(CheckpointError):
        read_state_dict(tmp_path / "plain.pth")


def test_a_published_file_where_a_model_folder_belongs(tmp_path: Path) -> None:
    (tmp_path / "SeNM-VAE-10.pth").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"is a file; .*from_authors\(FILE\), and in tables with --weights"):
        Trained.load(tmp_path / "SeNM-VAE-10.pth")


def test_a_log_that_is_not_unicode(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny")
    found = run("-m", "benchmarks.run", "table1", "--scale", "smoke", "--rows", "real", "--data",
                f"folder:{tmp_path / 'tiny'}", "--store", str(tmp_path / "s"), "--out", str(tmp_path / "o"),
                PYTHONIOENCODING="latin-1")
    assert found.returncode == 0, found.stderr[-2000:]
    assert "KLD?" in found.stdout and "Traceback" not in found.stderr


SCRIPT = """
import sys
from pathlib import Path
from senm.data.formats import folder
data = folder.prepare(Path(sys.argv[1]), Path(sys.argv[2]), "smoke", workers=2)
print(len(data.pairs("train")), "crops")
"""


def test_a_plain_script_without_a_main_guard_prepares_once(tmp_path: Path) -> None:
    for side in ("noisy", "clean"):
        (tmp_path / "photos" / side).mkdir(parents=True)
    for i in range(4):
        clean = np.random.default_rng(i).integers(0, 256, (8, 8, 3)).repeat(20, 0).repeat(20, 1)
        noisy = clean + np.random.default_rng(9 + i).normal(0, 9, clean.shape)
        for side, image in (("clean", clean), ("noisy", noisy)):
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(tmp_path / "photos" / side / f"p{i}.png")
    (tmp_path / "script.py").write_text(SCRIPT)
    found = run(str(tmp_path / "script.py"), str(tmp_path / "photos"), str(tmp_path / "out"), PYTHONPATH=str(ROOT))
    assert found.returncode == 0, found.stderr[-2000:]
    assert found.stdout.count("crops") == 1

"""A restorer on one's own folder: every system that needs no pairs, resume, refusals, and what looks odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import baselines
from baselines import own_images
from baselines.own_images import denoise_folder, denoisers, needs, noise_estimate, suspicions
from senm.data.images import read_rgb, write_png
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, DataError, UsageError
from tests.baselines.tiny import pairs, pool, with_noise
from tests.benchmarks.tiny import photograph

ALONE = ("n2v", "n2s", "cvf_sid", "apbsn", "sdap")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    noisy = with_noise(pool(3, 72))
    for name, image in zip(noisy.names, noisy, strict=True):
        write_png(tmp_path / "noisy" / f"{name}.png", image)
    return tmp_path / "noisy"


@pytest.fixture(autouse=True)
def made(tmp_path: Path) -> None:
    (tmp_path / "noisy").mkdir()


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*.png"))}


def test_which_systems_denoise_and_what_they_train_on() -> None:
    kinds = {name: needs(name) for name in denoisers()}
    assert {name for name, kind in kinds.items() if kind == "noisy images"} == set(ALONE)
    assert {name for name, kind in kinds.items() if kind == "clean images"} == {"scpgabnet"}
    assert {"dncnn", "vdn", "deamnet", "maxim", "restormer", "uformer"} <= set(kinds)
    assert not {"esrgan", "c2n", "senm-vae", "external-restorer"} & set(kinds)


def more_for(name: str) -> dict[str, Any]:
    """What a system needs beside noisy images."""
    more = {"pairs": {"pairs": pairs(3, 72)}, "clean images": {"clean": pool(3, 72, prefix="c")}, "noisy images": {}}
    return more[needs(name)]


@pytest.mark.parametrize("name", [*ALONE, "scpgabnet", "dncnn"])
def test_every_system_trains_on_the_images_and_restores_them(name: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert denoise_folder(name, folder, out, train=True, scale="smoke", **more_for(name)) == 3
    first = files(out)
    assert len(first) == 3 and all(read_rgb(out / each).shape == (72, 72, 3) for each in first)
    assert denoise_folder(name, folder, tmp_path / "again", weights=out / "model") == 3
    assert files(tmp_path / "again") == first  # the network that stays there is the one that restored


def test_a_stopped_run_goes_on_and_another_one_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(out: str, **more: Any) -> int:
        return denoise_folder("apbsn", folder, tmp_path / out, train=True, scale="smoke", **{"seed": 1, **more})

    run("whole")

    def stop(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(own_images, "sample_to_folder", stop)
        with pytest.raises(KeyboardInterrupt):
            run("cut")
    assert not files(tmp_path / "cut") and (tmp_path / "cut" / "training" / "state.pt").is_file()
    run("cut")
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    for more in ({"seed": 2}, {"changes": {"training": {"steps": 25}}}):
        with pytest.raises(UsageError, match="made with another"):
            run("cut", **more)
    write_png(folder / "image0.png", np.full((72, 72, 3), 90, np.uint8))  # another photograph under the same name
    with pytest.raises(UsageError, match="made with another images"):
        run("cut")


def test_wrong_use_is_said_before_anything_is_written(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cases: list[tuple[str, dict[str, Any], type[Exception], str]] = [
        ("dncnn", {"train": True}, UsageError, "dncnn trains on pairs.*--pairs.*apbsn"),
        ("scpgabnet", {"train": True}, UsageError, "scpgabnet trains on clean images.*--clean"),
        ("apbsn", {"train": True, "pairs": pairs(2, 72)}, UsageError, "pairs for apbsn.*noisy images only"),
        ("dncnn", {"train": True, "clean": pool()}, UsageError, "clean images|pairs"),
        ("apbsn", {}, UsageError, "no weights.*--train trains it first"),
        ("apbsn", {"weights": tmp_path, "clean": pool()}, UsageError, "--train beside"),
        ("c2n", {"train": True}, UsageError, "c2n does not denoise"),
        ("esrgan", {"train": True}, UsageError, "esrgan does not denoise"),
        ("apbns", {"train": True}, UsageError, "apbsn"),
        ("apbsn", {"weights": tmp_path / "no.pth"}, CheckpointError, "no.pth"),
        ("apbsn", {"weights": tmp_path}, CheckpointError, "settings.json"),
        ("apbsn", {"train": True, "changes": {"training": {"step": 3}}}, UsageError, "step"),
    ]
    for name, options, kind, sentence in cases:
        with pytest.raises(kind, match=sentence):
            denoise_folder(name, folder, out, scale="smoke", **options)
        assert not out.exists(), name
    with pytest.raises(UsageError, match="another folder"):
        denoise_folder("apbsn", folder, folder, train=True, scale="smoke")


def test_weights_of_another_network_are_named(folder: Path, tmp_path: Path) -> None:
    denoise_folder("apbsn", folder, tmp_path / "out", train=True, scale="smoke")
    with pytest.raises(CheckpointError, match="belongs to 'apbsn'"):
        denoise_folder("sdap", folder, tmp_path / "other", weights=tmp_path / "out" / "model")
    with pytest.raises(CheckpointError, match="layer"):
        denoise_folder("dncnn", folder, tmp_path / "other", weights=tmp_path / "out" / "model" / "model.safetensors")


@pytest.mark.parametrize("name", ALONE)
def test_images_smaller_than_a_crop_are_one_sentence(name: str, tmp_path: Path) -> None:
    write_png(tmp_path / "noisy" / "small.png", np.zeros((7, 9, 3), np.uint8))
    with pytest.raises(DataError, match=r"9|7"):
        denoise_folder(name, tmp_path / "noisy", tmp_path / "out", train=True, scale="smoke")


def test_a_single_grey_photograph_is_taken(tmp_path: Path) -> None:
    grey = with_noise(pool(1, 72)).array[0].mean(-1, keepdims=True).astype(np.uint8).repeat(3, -1)
    write_png(tmp_path / "noisy" / "grey.png", grey)
    assert denoise_folder("apbsn", tmp_path / "noisy", tmp_path / "out", train=True, scale="smoke") == 1


def test_what_is_odd_about_a_folder_is_said() -> None:
    clean = ArrayImages(np.stack([photograph(f"odd-{i}", 96) for i in range(4)]), [f"p{i}" for i in range(4)])
    noisy = with_noise(clean, 8.0)
    assert suspicions(noisy) == []
    mixed = ArrayImages(np.concatenate([noisy.array, np.full((1, 96, 96, 3), 77, np.uint8)]), [*noisy.names, "plain"])
    (sentence,) = suspicions(mixed)
    assert "1 of 5 images look clean" in sentence and "plain" in sentence
    assert "one image only" in suspicions(noisy.subset([0]))[0]
    assert noise_estimate(np.zeros((1, 1, 3), np.uint8)) == 0.0


def test_the_docstring_example_of_get(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`baselines.get` as its docstring shows it."""
    example = (baselines.get.__doc__ or "").split("Example:\n")[1]
    lines = [line.strip()[4:] for line in example.splitlines() if line.strip()]
    monkeypatch.chdir(tmp_path)
    apbsn = baselines.get("apbsn")
    smallest = apbsn.default_settings("smoke")
    monkeypatch.setattr(apbsn, "default_settings", classmethod(lambda cls, scale: smallest))
    scope: dict[str, Any] = {}
    exec("\n".join(lines), scope)
    assert [image.shape for image in scope["restored"]] == [(72, 72, 3)] * 3
    assert json.loads((tmp_path / "network" / "settings.json").read_text())["system"] == "apbsn"

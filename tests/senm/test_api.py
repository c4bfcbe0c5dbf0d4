"""The Python interface: forms, devices, options out of range, and what `fit` refuses, maps and observes."""

from pathlib import Path

import numpy as np
import pytest
import torch

import senm
from senm.config import PAIRED_SMOKE, SHORT, SMOKE
from senm.data.images import write_png
from senm.sampling.trained import Trained
from senm.support.errors import DataError, MachineError, SettingsError, UsageError
from senm.training.tensorboard import VARIABLE
from tests.senm.training.test_train import domains

TINY = SMOKE.but(train={"iterations": 1}, level="measured")
IMAGE = np.full((16, 16, 3), 120, np.uint8)


@pytest.fixture
def semi() -> Trained:
    return Trained(senm.SeNMVAE(SMOKE.network), TINY, [0.05])


def test_no_images_give_none_back_in_their_form(semi: Trained) -> None:
    for run in (senm.sample, senm.denoise):
        array = run(semi, np.zeros((0, 8, 6, 3), np.uint8))
        assert array.shape == (0, 8, 6, 3) and array.dtype == np.uint8
        tensor = run(semi, torch.zeros(0, 3, 8, 6, dtype=torch.float16))
        assert tensor.shape == (0, 3, 8, 6) and tensor.dtype == torch.float32
        assert run(semi, []) == []


@pytest.mark.parametrize("image", [np.zeros((0, 8, 3), np.uint8), torch.zeros(3, 8, 0)])
def test_an_image_without_pixels_is_refused(semi: Trained, image: np.ndarray | torch.Tensor) -> None:
    for run in (senm.sample, senm.denoise):
        with pytest.raises(DataError, match="an image is .* of shape"):
            run(semi, image)


def test_sampling_stays_where_the_model_is(semi: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def engine(model: object, device: object, *options: object) -> None:
        seen.append(torch.device(str(device)).type)
        raise MachineError("seen enough")

    monkeypatch.setattr("senm.sampling.sampler.Engine", engine)
    semi.network.to("meta")
    for options in ({}, {"device": "cpu"}):
        with pytest.raises(MachineError, match="seen enough"):
            senm.sample(semi, IMAGE, **options)
    assert seen == ["meta", "cpu"]


@pytest.mark.parametrize("options", [{"level": 25}, {"level": float("nan")}, {"level": -0.1}, {"temperature": -1.0},
                                     {"temperature": float("nan")}, {"tile": -2}, {"batch": 0}])
def test_options_out_of_range_are_refused(semi: Trained, options: dict) -> None:
    with pytest.raises(SettingsError):
        senm.sample(semi, IMAGE, **options)


def test_a_negative_tile_is_refused_in_denoising(semi: Trained) -> None:
    with pytest.raises(SettingsError, match="tile is -2"):
        senm.denoise(semi, IMAGE, tile=-2)


@pytest.mark.parametrize(("device", "count", "sentence"), [
    ("mps", 0, "unknown device"), ("meta", 0, "unknown device"), ("xpu", 0, "unknown device"),
    ("cuda:7", 0, "not available"), ("cuda:7", 2, "a number below 2"), ("cuda:2", 2, "a number below 2"),
])
def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch, device: str, count: int, sentence: str) -> None:
    from senm.support.device import torch_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(MachineError, match=sentence):
        torch_device(device)


def test_devices_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from senm.support.device import torch_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(torch_device(name)) for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda:1"]


@pytest.mark.parametrize(("settings", "counts", "sentence"), [
    (TINY, (0, 2, 2), "no pairs for a model of measured levels"),
    (PAIRED_SMOKE, (2, 0, 2), "unpaired images for the fully paired network"),
    (TINY.but(level="predicted"), (0, 2, 2), "no pairs for a model of predicted levels"),
    (TINY.but(level="predicted"), (2, 2, 0), "no unpaired noisy images"),
])
def test_what_could_not_be_sampled_from_or_used_is_not_trained(
    tmp_path: Path, settings: object, counts: tuple[int, int, int], sentence: str
) -> None:
    data = domains(*counts)
    with pytest.raises(UsageError, match=sentence):
        senm.fit(data.paired, data.source, data.target, settings=settings, workdir=tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_no_data_at_all_is_still_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no training data"):
        senm.fit(domains(0, 0, 0).paired, settings=TINY, workdir=tmp_path)


def test_on_the_line_of_sidd_no_pairs_are_needed(tmp_path: Path) -> None:
    data = domains(0, 2, 2)
    settings = TINY.but(level="sidd_line")
    model = senm.fit(data.paired, data.source, data.target, settings=settings, workdir=tmp_path)
    assert senm.sample(model, IMAGE).shape == IMAGE.shape


def test_files_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, reads = domains(3, 0, 0).paired, []
    for side, pool in (("clean", data.clean), ("noisy", data.noisy)):
        for name, image in zip(pool.names, pool, strict=True):
            (tmp_path / side).mkdir(exist_ok=True)
            write_png(tmp_path / side / f"{name}.png", image)
    from senm.data import pool

    read = pool.read_rgb
    monkeypatch.setattr(pool, "read_rgb", lambda path: reads.append(path) or read(path))
    settings = SHORT.but(level="measured", train={"iterations": 3}, network=SMOKE.network)
    pairs = pool.Pairs(senm.images_in(tmp_path / "clean"), senm.images_in(tmp_path / "noisy"))
    model = senm.fit(pairs, settings=settings, workdir=tmp_path / "work")
    assert len(reads) == 6
    again = senm.fit(data, settings=settings, workdir=tmp_path / "arrays")
    assert all(torch.equal(a, b) for a, b in zip(model.network.parameters(), again.network.parameters(), strict=True))
    assert model.levels == again.levels


def test_a_training_writes_scalars_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard", reason="no tensorboard")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "events"))
    senm.fit(domains().paired, settings=TINY, workdir=tmp_path / "mine")
    assert list((tmp_path / "events" / "mine").glob("events*"))

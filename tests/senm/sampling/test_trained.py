"""Trained models as folders, the Python interface and the command line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import senm
from senm.__main__ import main
from senm.cli.options import changes
from senm.config import PAIRED_SMOKE, SMOKE
from senm.data.levelled import levelled
from senm.sampling.trained import Trained
from senm.support.errors import CheckpointError, DataError, MachineError, UsageError
from tests.senm.test_model import awake
from tests.senm.training.test_train import domains

TINY = SMOKE.but(train={"iterations": 2}, level="measured")


@pytest.fixture
def semi() -> Trained:
    return Trained(awake(senm.SeNMVAE(SMOKE.network)).float(), TINY, [0.02, 0.05, 0.1])


@pytest.mark.parametrize("half", [False, True])
def test_folder_round_trip(tmp_path: Path, half: bool) -> None:
    trained = Trained.fit(domains(), TINY, workdir=tmp_path / "work")
    trained.save(tmp_path / "model", half)
    again = senm.load(tmp_path / "model")
    assert again.settings == TINY and again.levels == [round(v, 6) for v in trained.levels]
    assert (again.level_net is None) == half
    tolerance = 1e-3 if half else 0.0
    for a, b in zip(trained.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("settings", [TINY, PAIRED_SMOKE], ids=["semi", "paired"])
def test_the_level_scale_changes_the_noise_and_is_folded_to_the_bit(tmp_path: Path, settings: Any) -> None:
    scaled = settings.but(network={"level_scale": 16.0})
    kind = senm.SeNMVAE if settings is TINY else senm.PairedVAE
    plain, network = awake(kind(settings.network)).float(), awake(kind(scaled.network)).float()
    Trained(network, scaled, [0.05]).save(tmp_path)
    folded = senm.load(tmp_path).network
    x, noise = torch.rand(1, 3, 16, 16), network.draw_noise(1, 16, 16, torch.Generator().manual_seed(0))
    with torch.inference_mode():
        made = [descend(n, x, noise) for n in (network, folded, plain)]
    torch.testing.assert_close(made[1], made[0], rtol=0, atol=0)
    assert not torch.allclose(made[2], made[0])


def test_sampling_stays_on_the_device_of_the_network(semi: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    used = []

    def sample_images(*_: Any, device: torch.device, **__: Any) -> None:
        used.append(str(device))

    monkeypatch.setattr(importlib.import_module("senm.sampling.trained"), "sample_images", sample_images)
    semi.network.to("meta")
    semi.sample(senm.api.pool(np.zeros((8, 8, 3), np.uint8)))
    semi.sample(senm.api.pool(np.zeros((8, 8, 3), np.uint8)), device="cpu")
    assert used == ["meta", "cpu"]


@pytest.mark.parametrize(("count", "used"), [(0, 0), (7, 7), (1023, 1023), (1024, 512), (1600, 534)])
def test_levels_are_measured_on_all_pairs_or_on_enough(count: int, used: int) -> None:
    from senm.sampling.trained import spread

    assert len(spread(count)) == used


def descend(network: Any, x: torch.Tensor, noise: Any) -> torch.Tensor:
    return network.generate(x, 0.05, noise) if isinstance(network, senm.PairedVAE) else network.translate(
        x, 0.05, noise=noise)


def test_measured_levels_are_the_pairs_standard_deviations(tmp_path: Path) -> None:
    data = domains()
    trained = Trained.fit(data, TINY, workdir=tmp_path)
    expected = [((data.paired.noisy[i] / 255.0) - (data.paired.clean[i] / 255.0)).std(ddof=1) for i in range(4)]
    assert trained.levels == pytest.approx(expected, rel=1e-5)


def test_images_with_levels_of_their_own_get_them(semi: Trained) -> None:
    pairs = domains().paired
    clean = levelled(pairs).subset([1, 0])
    assert clean.names == pairs.subset([1, 0]).names and (clean[0] == pairs.clean[1]).all()
    of = semi.level_of(0, clean)
    residual = (pairs.noisy[1].astype(np.float64) - pairs.clean[1]) / 255
    assert of(clean.names[0]) == pytest.approx(residual.std(ddof=1), rel=1e-5)
    [own, _], [same, _] = semi.sample(clean), semi.sample(pairs.clean.subset([1, 0]), level=of(clean.names[0]))
    assert (own == same).all()
    semi.settings = TINY.but(level="sidd_line")
    assert semi.level_of(0, clean)(clean.names[0]) == semi.level_of(0)(clean.names[0])


def test_predicted_levels_come_from_the_target_images(tmp_path: Path) -> None:
    trained = Trained.fit(domains(t=3), TINY.but(level="predicted"), workdir=tmp_path)
    assert len(trained.levels) == 3 and min(trained.levels) >= 0


def test_broken_folders_say_what_is_wrong(tmp_path: Path, semi: Trained) -> None:
    with pytest.raises(CheckpointError, match=r"settings\.json"):
        senm.load(tmp_path)
    semi.save(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="cannot be read"):
        senm.load(tmp_path)
    Trained(senm.PairedVAE(PAIRED_SMOKE.network), PAIRED_SMOKE, []).save(tmp_path / "paired")
    (tmp_path / "paired" / "model.safetensors").rename(weights)
    with pytest.raises(CheckpointError, match=r"layer 'inconv_H.0.weight' is missing"):
        senm.load(tmp_path)


def test_sample_keeps_the_form_of_what_it_is_given(semi: Trained) -> None:
    image = np.full((19, 30, 3), 120, np.uint8)
    one = senm.sample(semi, image, seed=3)
    assert one.shape == image.shape and one.dtype == np.uint8 and (one != image).any()
    assert senm.sample(semi, np.stack([image, image])).shape == (2, 19, 30, 3)
    tensors = senm.sample(semi, torch.full((2, 3, 16, 16), 0.5))
    assert tensors.shape == (2, 3, 16, 16) and float(tensors.min()) >= 0 and float(tensors.max()) <= 1
    mixed = senm.sample(semi, [image, np.zeros((16, 16, 3), np.uint8)])
    assert [m.shape for m in mixed] == [(19, 30, 3), (16, 16, 3)]
    assert (senm.sample(semi, image, seed=3) == one).all() and (senm.sample(semi, image, seed=4) != one).any()
    assert (senm.sample(semi, image, seed=3, level=0.4) != one).any()


def test_wrong_images_are_refused(semi: Trained) -> None:
    for wrong in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), torch.zeros(8, 8, 3)):
        with pytest.raises(DataError, match="an image is"):
            senm.sample(semi, [wrong])


def test_denoise_is_deterministic_and_only_for_the_semi_supervised_model(semi: Trained) -> None:
    image = np.random.default_rng(0).integers(0, 255, (17, 16, 3), dtype=np.uint8)
    assert (senm.denoise(semi, image) == senm.denoise(semi, image)).all()
    with pytest.raises(DataError, match="cannot denoise"):
        senm.denoise(Trained(senm.PairedVAE(PAIRED_SMOKE.network), PAIRED_SMOKE, []), image)


def test_unknown_device_is_a_clear_error(semi: Trained) -> None:
    with pytest.raises(MachineError, match="unknown device 'gpu'"):
        senm.sample(semi, np.zeros((16, 16, 3), np.uint8), device="gpu")


def test_settings_on_the_command_line() -> None:
    assert changes(["train.iterations=5", "level=measured", "network.nls=[1,2]"]) == {
        "train": {"iterations": 5}, "level": "measured", "network": {"nls": [1, 2]}}
    with pytest.raises(UsageError, match="has no value"):
        changes(["train.iterations"])


def photographs(folder: Path) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(4):
        clean = np.kron(rng.integers(40, 200, (9, 10, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        noisy = np.clip(clean + rng.normal(0, 12, clean.shape), 0, 255).astype(np.uint8)
        Image.fromarray(clean).save(folder / f"p{i}_mean.png")
        Image.fromarray(noisy).save(folder / f"p{i}_real.png")


def test_train_sample_denoise_on_a_folder_of_photographs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photographs(tmp_path / "photos")
    fast = ["--preset", "smoke", "--set", "train.iterations=2"]
    pairs = f"{tmp_path / 'photos'},_real,_mean"
    assert main(["train", "--pairs", pairs, "--first", "3", "--out", str(tmp_path / "model"), *fast]) == 0
    clean = tmp_path / "clean"
    clean.mkdir()
    for path in (tmp_path / "photos").glob("*_mean.png"):
        path.rename(clean / path.name)
    model = str(tmp_path / "model")
    assert main(["sample", "--model", model, "--clean", str(clean), "--out", str(tmp_path / "s")]) == 0
    assert main(["denoise", "--model", model, "--noisy", str(clean), "--out", str(tmp_path / "d")]) == 0
    assert len(list((tmp_path / "s").glob("*.png"))) == len(list((tmp_path / "d").glob("*.png"))) == 4
    assert np.asarray(Image.open(next((tmp_path / "s").glob("*.png")))).shape == (72, 80, 3)


@pytest.mark.parametrize(("arguments", "code", "sentence"), [
    (["train", "--pairs", "nowhere,_a,_b", "--out", "o"], 3, "does not exist"),
    (["train", "--pairs", "x,_a", "--out", "o"], 2, "noisy-suffix"),
    (["train", "--out", "o", "--preset", "shrt"], 2, "did you mean 'short'"),
    (["train", "--out", "o", "--set", "train.iteration=3"], 2, "did you mean 'iterations'"),
    (["sample", "--model", "nowhere", "--clean", ".", "--out", "o"], 3, "unknown model or folder 'nowhere'"),
    (["sample", "--model", "./nowhere", "--clean", ".", "--out", "o"], 3, "settings.json"),
    (["smple"], 2, "did you mean 'sample'"),
])
def test_wrong_use_is_one_sentence_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], code: int, sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    assert sentence in capsys.readouterr().err


def test_senm_sample_is_the_function_whatever_was_imported_before() -> None:
    code = "{}import senm, senm.api; assert senm.sample is senm.api.sample; help(senm.sample)"
    for first in ("", "import senm.sampling.sampler; ", "from senm import sample; "):
        done = subprocess.run([sys.executable, "-c", code.format(first)], capture_output=True, text=True, check=False)
        assert done.stdout.startswith("Help on function sample in module senm.api"), done.stderr

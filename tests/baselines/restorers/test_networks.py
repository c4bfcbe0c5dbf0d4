"""The restorers: sizes at paper scale, one training step, published layouts, saving, restoring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import count_parameters, load_checkpoint, save_checkpoint
from baselines.fitting.restorer import NetworkRestorer
from baselines.restorers.dncnn import DnCNN
from baselines.restorers.drunet import DRUNet
from baselines.restorers.nafnet import NAFNet, NAFNetFineTune
from baselines.restorers.uformer.model import Uformer
from baselines.super_resolution.esrgan.model import ESRGAN
from baselines.super_resolution.esrgan.parts import Discriminator, RandomFeatures, VGGFeatures, relativistic
from senm.config import Settings
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, MachineError, SettingsError
from tests.baselines.tiny import QUIET, Interrupt, enlarged, fitting, pairs, pool

DENOISERS = [DnCNN, DRUNet, NAFNet, NAFNetFineTune]
ALL: list[type[NetworkRestorer]] = [*DENOISERS, ESRGAN]


def tiny(system: type[NetworkRestorer], **training: Any) -> Any:
    """Smoke settings, shorter."""
    steps = {"steps": 2, "batch": 2, "crop": 8 if system is ESRGAN else 16, "log_every": 1, "checkpoint_every": 1}
    settings = system.default_settings("smoke").but(training={**steps, **training})
    return settings.but(psnr={"steps": 2, "batch": 2, "crop": 8}) if system is ESRGAN else settings


def data(system: type[NetworkRestorer]) -> Any:
    return enlarged(pool(side=12)) if system is ESRGAN else pairs()


@pytest.mark.parametrize(
    ("system", "count"),
    [(DnCNN, 559_363), (DRUNet, 32_640_384), (NAFNet, 115_982_915), (ESRGAN, 16_697_987), (Uformer, 50_880_946)],
)
def test_parameter_counts_at_paper_scale(
    system: type[NetworkRestorer], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baselines.restorers.drunet.orthogonal_", lambda network: None)
    with torch.device("cpu" if system is Uformer else "meta"):
        assert count_parameters(system.build(system.default_settings("paper"))) == count


def test_other_published_sizes() -> None:
    blind = DnCNN.default_settings("paper").but(network={"depth": 20, "norm": False})
    assert count_parameters(DnCNN.build(blind)) == 668_227
    assert count_parameters(Discriminator()) == 14_499_401


@pytest.mark.parametrize("system", ALL)
def test_one_step_changes_every_parameter(system: type[NetworkRestorer], tmp_path: Path) -> None:
    settings = tiny(system, steps=1, loss="l1")
    start = system.initialised(settings, 3)
    with torch.no_grad():
        for name, parameter in start.named_parameters():
            if name.endswith((".beta", ".gamma")):
                parameter.fill_(0.1)
    system(start, settings).save(tmp_path / "start")
    before = {name: value.clone() for name, value in start.named_parameters()}
    after = system.fit([data(system)], settings, **fitting(tmp_path / "work"), start=tmp_path / "start").network
    assert [name for name, value in after.named_parameters() if torch.equal(value, before[name])] == []


@pytest.mark.parametrize("system", ALL)
def test_saved_and_loaded_restores_the_same(system: type[NetworkRestorer], tmp_path: Path) -> None:
    fitted = system.fit([data(system)], tiny(system), **fitting(tmp_path / "work"))
    fitted.save(tmp_path / "saved")
    again = system.load(tmp_path / "saved", "cpu")
    assert again.settings == fitted.settings
    noisy = ArrayImages(np.random.default_rng(0).integers(0, 256, (2, 21, 27, 3), dtype=np.uint8), "ab")
    first = list(fitted.restore(noisy, device="cpu", progress=QUIET))
    second = list(again.restore(noisy.subset([1, 0]), device="cpu", progress=QUIET))
    factor = system.capabilities.factor
    assert all(image.shape == (21 * factor, 27 * factor, 3) and image.dtype == np.uint8 for image in first)
    assert np.array_equal(first[0], second[1])
    assert np.array_equal(first[1], second[0])


def test_adversarial_resume_equals_an_uninterrupted_run(tmp_path: Path) -> None:
    settings = tiny(ESRGAN, steps=4)
    whole = ESRGAN.fit([data(ESRGAN)], settings, **fitting(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        ESRGAN.fit([data(ESRGAN)], settings, **fitting(tmp_path / "parts", progress=Interrupt(2 + 2)))
    parts = ESRGAN.fit([data(ESRGAN)], settings, **fitting(tmp_path / "parts"))
    for mine, other in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize(
    "change",
    [{"pixel_weight": 10.0}, {"feature_weight": 0.0}, {"gan_weight": 1.0}, {"critic_width": 4}, {"stop_at": 1}],
    ids=str,
)
def test_every_switch_of_the_adversarial_stage_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    def run(name: str, **more: Any) -> dict[str, torch.Tensor]:
        settings = tiny(ESRGAN, **more).but(psnr={"steps": 0})
        return ESRGAN.fit([data(ESRGAN)], settings, **fitting(tmp_path / name)).network.state_dict()

    base, other = run("a"), run("b", **change)
    assert any(not torch.equal(base[name], other[name]) for name in base)


def test_fine_tuning_starts_from_the_trained_network(tmp_path: Path) -> None:
    NAFNet.fit([pairs()], tiny(NAFNet), **fitting(tmp_path / "first")).save(tmp_path / "model")
    settings = tiny(NAFNetFineTune, lr=1e-12)
    tuned = NAFNetFineTune.fit(
        [pairs(), pairs(seed=4)], settings, **fitting(tmp_path / "second"), start=tmp_path / "model"
    )
    first = NAFNet.load(tmp_path / "model", "cpu").network.state_dict()
    for name, value in tuned.network.state_dict().items():
        assert torch.allclose(value, first[name], atol=1e-6)


def test_large_images_are_restored_in_tiles_with_the_same_result() -> None:
    settings = tiny(DnCNN)
    whole = DnCNN(DnCNN.initialised(settings, 0), settings)
    tiled = DnCNN(whole.network, settings)
    tiled.whole, tiled.tile, tiled.overlap = 100, 24, 8  # type: ignore[misc]
    image = ArrayImages(np.random.default_rng(0).integers(0, 256, (1, 45, 38, 3), dtype=np.uint8), "a")
    expected = next(whole.restore(image, device="cpu", progress=QUIET))
    found = next(tiled.restore(image, device="cpu", progress=QUIET))
    assert np.abs(expected.astype(int) - found).max() <= 1


KEYS = {
    DnCNN: ("model.0.weight", "model.2.weight", "model.3.running_mean"),
    DRUNet: ("m_head.weight", "m_down1.0.res.0.weight", "m_body.0.res.2.weight", "m_up3.0.weight", "m_tail.weight"),
    NAFNet: ("intro.weight", "encoders.0.0.conv1.weight", "middle_blks.0.beta", "downs.0.bias", "ups.0.0.weight"),
}


@pytest.mark.parametrize("system", list(KEYS))
@pytest.mark.parametrize("wrapper", ["", "params", "state_dict"])
def test_published_layouts_load(system: type[NetworkRestorer], wrapper: str, tmp_path: Path) -> None:
    settings = tiny(system).but(network={"blocks": 2}) if system is DRUNet else tiny(system)
    state = system.initialised(settings, 8).state_dict()
    assert set(KEYS[system]) <= set(state)
    torch.save({wrapper: state} if wrapper else state, tmp_path / "published.pth")
    opened = system.from_published(tmp_path / "published.pth", settings).network.state_dict()
    assert all(torch.equal(opened[name], value) for name, value in state.items())


def rrdb_layout(state: dict[str, torch.Tensor], new: bool) -> dict[str, torch.Tensor]:
    """A state dict of our RRDBNet under the names of xinntao/ESRGAN (new) or of BasicSR."""
    ends = (
        {"0": "conv_first", "3": "upconv1", "6": "upconv2", "8": "HRconv", "10": "conv_last"} if new
        else {"0": "conv_first", "3": "conv_up1", "6": "conv_up2", "8": "conv_hr", "10": "conv_last"}
    )
    out = {}
    for key, value in state.items():
        _, number, *rest = key.split(".")
        if number != "1":
            name = f"{ends[number]}.{rest[0]}"
        elif len(rest) == 3:
            name = f"{'trunk_conv' if new else 'conv_body'}.{rest[2]}"
        else:
            block, dense, layer = rest[1], rest[2], rest[3]
            stem = f"RRDB_trunk.{block}.{dense}" if new else f"body.{block}.{dense.lower()}"
            name = f"{stem}.{layer}.{rest[5]}"
        out[name] = value
    return out


@pytest.mark.parametrize("layout", ["old", "new", "basicsr"])
def test_published_rrdb_layouts_load(layout: str, tmp_path: Path) -> None:
    settings = tiny(ESRGAN).but(network={"width": 64, "blocks": 2})
    state = ESRGAN.initialised(settings, 8).state_dict()
    published = state if layout == "old" else rrdb_layout(state, layout == "new")
    torch.save({"params": published} if layout == "basicsr" else published, tmp_path / "RRDB.pth")
    opened = ESRGAN.from_published(tmp_path / "RRDB.pth", settings).network.state_dict()
    assert all(torch.equal(opened[name], value) for name, value in state.items())


def test_a_wrong_layout_names_file_and_first_differing_layer(tmp_path: Path) -> None:
    settings = tiny(DnCNN)
    state = DnCNN.initialised(settings, 0).state_dict()
    wider = DnCNN.initialised(settings.but(network={"width": 20}), 0).state_dict()
    file = tmp_path / "wide.pth"
    torch.save(wider, file)
    with pytest.raises(CheckpointError, match=r"wide\.pth: layer 'model\.0\.weight' has shape \(20, 3, 3, 3\)"):
        DnCNN.from_published(file, settings)
    torch.save({name: value for name, value in state.items() if name != "model.2.bias"}, file)
    with pytest.raises(CheckpointError, match=r"wide\.pth lacks layer 'model\.2\.bias'"):
        DnCNN.from_published(file, settings)
    torch.save({**state, "extra": torch.zeros(1)}, file)
    with pytest.raises(CheckpointError, match="'extra', which the network does not have"):
        DnCNN.from_published(file, settings)
    with pytest.raises(CheckpointError, match=r"lacks layer 'model\.0\.weight'"):
        torch.save(Discriminator(4, 32).state_dict(), file)
        ESRGAN.from_published(file, tiny(ESRGAN))


class Other(Settings):
    """Settings of something else."""

    number: int = 0


def test_broken_checkpoint_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"settings\.json is missing"):
        DnCNN.load(tmp_path, "cpu")
    save_checkpoint(tmp_path, "other", Other(), {"a": torch.zeros(1)})
    assert load_checkpoint(tmp_path, "other", Other)[0] == Other()
    with pytest.raises(CheckpointError, match="belongs to 'other'"):
        DnCNN.load(tmp_path, "cpu")
    save_checkpoint(tmp_path, "dncnn", Other(), {})
    with pytest.raises(CheckpointError, match="unknown setting 'number'"):
        DnCNN.load(tmp_path, "cpu")
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(CheckpointError, match="is broken"):
        DnCNN.load(tmp_path, "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_a_machine_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="not available"):
        DnCNN.fit([pairs()], tiny(DnCNN), **fitting(tmp_path, device="cuda"))


def test_missing_vgg_weights_are_named_with_the_substitute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("baselines.super_resolution.esrgan.parts.find_weights", lambda name: None)
    with pytest.raises(MachineError, match="random-features"):
        ESRGAN.fit([data(ESRGAN)], tiny(ESRGAN, features="vgg19"), **fitting(tmp_path))
    (tmp_path / "vgg.pth").write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="dcbb9e9d"):
        VGGFeatures(tmp_path / "vgg.pth")


def test_random_features_are_the_same_everywhere() -> None:
    image = torch.linspace(0, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
    first, second = RandomFeatures()(image), RandomFeatures()(image)
    assert torch.equal(first, second)
    assert first.shape == (1, 64, 4, 4)
    assert not any(parameter.requires_grad for parameter in RandomFeatures().parameters())


def test_relativistic_loss_is_low_when_right_and_antisymmetric() -> None:
    real, fake = torch.full((4, 1), 3.0), torch.full((4, 1), -3.0)
    assert float(relativistic(real, fake)) == pytest.approx(float(np.log1p(np.exp(-6))), rel=1e-4)
    assert float(relativistic(fake, real)) == pytest.approx(float(np.log1p(np.exp(6))), rel=1e-4)
    assert float(relativistic(real, real)) == pytest.approx(np.log(2))


def test_discriminator_wants_a_multiple_of_32() -> None:
    with pytest.raises(SettingsError, match="multiple of 32"):
        Discriminator(4, 40)

"""SCPGabNet: layouts, both stages, coupled gradients, published files, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import count_parameters
from baselines.restorers.deamnet.networks import DeamNetwork
from baselines.restorers.scpgabnet.losses import Networks, denoiser_terms, generator_terms, images, log_ssim
from baselines.restorers.scpgabnet.model import SCPGabNet, SCPGabNetSettings
from baselines.restorers.scpgabnet.networks import Discriminator, Generator
from baselines.restorers.scpgabnet.training import Collaboration
from senm.data.domains import Domains
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, DataError, SettingsError, TrainingError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import Interrupt, fitting, pairs, pool, restored, with_noise


def tiny(network: dict[str, Any] | None = None, **training: Any) -> SCPGabNetSettings:
    base = {"first_stage": 2, "second_stage": 1, "rounds": 1, "batch": 1, "log_every": 1, "checkpoint_every": 1}
    settings: SCPGabNetSettings = SCPGabNet.default_settings("smoke")
    small = {"width": 4, "squeezed": 2, "generator": 4, "discriminator": 4, **(network or {})}
    return settings.but(network=small, training={**base, **training})


def domains() -> Domains:
    return Domains(source=pool(2, 40, prefix="s"), target=with_noise(pool(2, 40, seed=5, prefix="t")))


def fit(folder: Path, settings: SCPGabNetSettings, **more: Any) -> SCPGabNet:
    return SCPGabNet.fit(domains(), settings, **fitting(folder, **more))


@pytest.mark.parametrize(
    ("letter", "network", "count"),
    [("D", DeamNetwork, 2_228_131), ("E", DeamNetwork, 2_228_131), ("G", Generator, 601_950),
     ("P", Discriminator, 2_768_484)],
)
def test_layouts_and_counts(letter: str, network: Any, count: int) -> None:
    built = network()
    assert shapes(built) == {name: tuple(shape) for name, shape in layouts("scpgabnet")[letter].items()}
    assert count_parameters(built) == count


def test_paper_scale() -> None:
    settings = SCPGabNet.default_settings("paper")
    assert count_parameters(SCPGabNet.build(settings)) == 2_228_131
    assert settings.training.steps == 3 * 800_000
    assert SCPGabNet.capabilities.uses_unpaired
    assert not SCPGabNet.capabilities.needs_pairs


def test_a_batch_of_128_pixels_is_scored_on_14_by_14_places() -> None:
    assert Discriminator(2)(torch.zeros(1, 3, 128, 128)).shape == (1, 1, 14, 14)


def test_the_paper_s_filter_is_gaussian_and_fixed_the_code_s_is_noise_and_learnt() -> None:
    torch.manual_seed(0)
    fixed, learnt = Discriminator(2, "gaussian").Gas.conv.weight, Discriminator(2, "learnt").Gas.conv.weight
    assert torch.allclose(fixed.sum((1, 2, 3)), torch.ones(3))
    assert not fixed.requires_grad
    assert learnt.requires_grad
    assert 0.015 < float(learnt.detach().std()) < 0.025


@pytest.mark.parametrize("coupled", [True, False])
def test_gradients_cross_from_one_loss_to_the_other_network_only_where_coupled(coupled: bool) -> None:
    torch.manual_seed(0)
    networks = Networks(DeamNetwork(4, 2), Generator(4, 1), Discriminator(2), DeamNetwork(4, 2))
    clean, noisy = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    made = images(networks, clean, noisy, coupled)
    to_denoiser = torch.autograd.grad(generator_terms(networks, made, clean)["loss_G"], [
        p for name, p in networks.denoiser.named_parameters() if name.startswith("transform")],
        allow_unused=True, retain_graph=True)
    to_generator = torch.autograd.grad(denoiser_terms(made, clean)["loss_recon2"], [
        p for name, p in networks.generator.named_parameters() if name.startswith("conv_output")], allow_unused=True)
    assert all((g is not None) is coupled for g in (*to_denoiser, *to_generator))


def test_log_ssim_is_zero_for_equal_images_and_nan_where_ssim_is_negative() -> None:
    x = torch.rand(1, 3, 24, 24, dtype=torch.float64)
    assert abs(float(log_ssim(x, x))) < 1e-12
    assert torch.isnan(log_ssim(x, 1 - x))


def test_ssim_cannot_tell_a_colour_from_its_negative_so_that_short_begins_without_it() -> None:
    """Both means and the covariance turn their sign, and their product does not: a trap for a new network."""
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    turned = image * torch.tensor([-1.0, 1.0, -1.0])[:, None, None]
    assert float(log_ssim(turned, image)) == pytest.approx(0, abs=0.01)
    assert SCPGabNet.default_settings("short").training.plain > 0
    assert SCPGabNet.default_settings("paper").training.plain == 0


def test_saved_and_loaded_restores_the_same_in_any_order(tmp_path: Path) -> None:
    model = fit(tmp_path / "work", tiny())
    model.save(tmp_path / "saved")
    again = SCPGabNet.load(tmp_path / "saved", "cpu")
    assert again.settings == model.settings
    noisy = ArrayImages(np.random.default_rng(0).integers(0, 256, (2, 21, 27, 3), dtype=np.uint8), "ab")
    first, second = restored(model, noisy), restored(again, noisy.subset([1, 0]))
    assert first[0].shape == (21, 27, 3)
    assert np.array_equal(first[0], second[1])
    assert np.array_equal(first[1], second[0])


def test_resume_over_the_change_of_stage_equals_an_uninterrupted_run(tmp_path: Path) -> None:
    settings = tiny(rounds=2)
    whole = fit(tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "parts", settings, progress=Interrupt(3))
    parts = fit(tmp_path / "parts", settings)
    for mine, other in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        assert torch.equal(mine, other)
    assert (tmp_path / "whole" / "log.jsonl").read_text() == (tmp_path / "parts" / "log.jsonl").read_text()


def test_each_round_starts_from_a_copy_of_the_denoiser() -> None:
    settings = tiny(first_stage=1, second_stage=2, rounds=2)
    size = settings.network
    networks = Networks(SCPGabNet.build(settings), Generator(size.generator, 1), Discriminator(4),
                        SCPGabNet.build(settings))
    run = Collaboration(networks, domains(), settings.training, 0, "cpu")
    assert [run.round(number) for number in range(settings.training.steps)] == [0, 1, 1, 2, 2]
    run.step(0)
    expected = {name: value.clone() for name, value in networks.denoiser.state_dict().items()}
    run.step(1)
    assert all(torch.equal(value, expected[name]) for name, value in run.frozen.state_dict().items())
    run.step(2)
    assert all(torch.equal(value, expected[name]) for name, value in run.frozen.state_dict().items())


@pytest.mark.parametrize(
    "change",
    [{"coupled": False}, {"turned": 0.0}, {"rounds": 0, "first_stage": 3}, {"high_pass": "gaussian"}, {"plain": 1}],
    ids=str,
)
def test_every_switch_changes_the_result(change: dict[str, Any], tmp_path: Path) -> None:
    network = {key: value for key, value in change.items() if key == "high_pass"}
    training = {key: value for key, value in change.items() if key != "high_pass"}
    first = fit(tmp_path / "a", tiny()).network.state_dict()
    second = fit(tmp_path / "b", tiny(network, **training)).network.state_dict()
    assert any(not torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("wrapper", ["", "model_state_dict"])
def test_the_denoiser_of_a_published_file_is_read(wrapper: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    published = DeamNetwork()
    content: dict[str, Any] = {letter: {f"module.{k}": v for k, v in net.state_dict().items()} for letter, net in
                               (("D", published), ("G", Generator()), ("E", DeamNetwork()))}
    torch.save({"epoch": 3, wrapper: content} if wrapper else content, tmp_path / "model.pth")
    found = SCPGabNet.from_published(tmp_path / "model.pth").network.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in published.state_dict().items())
    torch.save(Generator().state_dict(), tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"other\.pth lacks layer"):
        SCPGabNet.from_published(tmp_path / "other.pth")
    (tmp_path / "half.pth").write_bytes((tmp_path / "model.pth").read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        SCPGabNet.from_published(tmp_path / "half.pth")


def test_bad_input_gets_a_sentence(tmp_path: Path) -> None:
    noisy_only = Domains(target=with_noise(pool(2, 40)))
    with pytest.raises(DataError, match="no clean images"):
        SCPGabNet.fit(noisy_only, tiny(), **fitting(tmp_path / "a"))
    wrong: Any = [pairs()]
    with pytest.raises(DataError, match="unpaired"):
        SCPGabNet.fit(wrong, tiny(), **fitting(tmp_path / "b"))
    with pytest.raises(DataError, match="40x40 pixels"):
        fit(tmp_path / "c", tiny(crop=48))
    with pytest.raises(SettingsError, match="crop"):
        tiny(crop=40)
    with pytest.raises(TrainingError):
        fit(tmp_path / "e", tiny(lr=1e30, first_stage=20, skip_limit=0))
    with pytest.raises(CheckpointError, match="layer"):
        fit(tmp_path / "f", tiny({"width": 5}), start=saved(tmp_path))


def saved(folder: Path) -> Path:
    settings = tiny()
    SCPGabNet(SCPGabNet.build(settings), settings).save(folder / "saved")  # type: ignore[arg-type]
    return folder / "saved"

"""LUD-VAE: layout, what labels mean, matched statistics, sampling, resume, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import count_parameters
from baselines.noise.lud_vae.matching import AIM19, Matching
from baselines.noise.lud_vae.model import LUDVAE
from baselines.noise.lud_vae.networks import LUDVAENetwork
from baselines.noise.lud_vae.training import LUDVAESettings, LUDVAETraining, Training, divergence, kl_weight
from baselines.super_resolution.lud_vae import LUDVAEAim19, LUDVAENtire20
from senm.data.domains import Domains
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, DataError, SettingsError, TrainingError
from tests.baselines.systems.vectors import layouts, shapes, stored
from tests.baselines.tiny import Interrupt, draw, fitting, pairs, pool, unpaired


def tiny(changes: dict[str, Any] | None = None, **training: Any) -> LUDVAESettings:
    base = {"steps": 2, "batch": 4, "crop": 16, "kl_rise": 1, "log_every": 1, "checkpoint_every": 1}
    settings = LUDVAE.default_settings("smoke").but(network={"width": 4}, training={**base, **training})
    return settings.but(**(changes or {}))


def network(width: int = 6) -> tuple[LUDVAENetwork, torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """A network, two images, their hidden copies and draws."""
    torch.manual_seed(0)
    net, x = LUDVAENetwork(width).double(), torch.rand(2, 3, 11, 9).double()
    return net, x, x + 0.1 * torch.randn_like(x), [torch.randn(2, width, 11, 9).double() for _ in range(3)]


def test_names_and_shapes_are_the_published_ones() -> None:
    for name, width in (("small8", 8), ("full", 128)):
        assert shapes(LUDVAENetwork(width)) == {key: tuple(value) for key, value in layouts("ludvae")[name].items()}
    assert list(shapes(LUDVAENetwork(8))) == list(layouts("ludvae")["small8"])
    assert count_parameters(LUDVAENetwork()) == 5_709_827


def test_a_clean_image_has_no_divergence_and_is_rebuilt_from_its_hidden_copy_alone() -> None:
    net, x, hidden, eps = network()
    clean = torch.zeros(2, 1, 1, 1).double()
    output, levels = net(x, hidden, clean, eps)
    assert float(levels.detach().abs().sum()) == 0
    assert torch.equal(net(torch.rand_like(x), hidden, clean, eps)[0], output)
    assert not torch.equal(net(x, x, clean, eps)[0], output)
    assert float(divergence(levels, clean, x).detach()) == 0


def test_latents_are_off_for_noisy_images_and_at_temperature_0() -> None:
    net, _, hidden, eps = network()
    clean = torch.zeros(2, 1, 1, 1).double()
    denoised = net.generate(hidden, clean + 1, eps)
    assert torch.equal(net.generate(hidden, clean + 1, [-e for e in eps]), denoised)
    assert torch.equal(net.generate(hidden, clean, eps, temperature=0), denoised)
    assert not torch.equal(net.generate(hidden, clean, [-e for e in eps]), net.generate(hidden, clean, eps))
    mixed = net.generate(hidden, torch.tensor([0.0, 1.0]).double().reshape(2, 1, 1, 1), eps)
    assert torch.allclose(mixed[1], denoised[1], rtol=0, atol=1e-12)


def test_the_divergence_of_a_batch_counts_the_pixels_of_its_noisy_images() -> None:
    levels = torch.tensor([[0.0, 3.0], [0.0, 5.0], [0.0, 4.0]])
    label = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    assert float(divergence(levels, label, torch.zeros(2, 3, 2, 2))) == 1
    assert [kl_weight(LUDVAETraining(), step) for step in (0, 4_000, 10_000, 99_999)] == [0, 4e-5, 1e-4, 1e-4]


def test_matching_moves_statistics_there_and_back() -> None:
    known = stored("deflow_sr")
    x = torch.from_numpy(known["a.norm.in_u8"] / 255.0)[None]
    assert np.abs(AIM19.to_clean(x)[0].numpy() - known["a.ludvae.noisy_to_clean"]).max() < 1e-12
    back = AIM19.to_noisy(x)[0].clamp(0, 1).mul(255).round().numpy()
    assert np.array_equal(back, known["a.ludvae.clean_to_noisy_u8"])
    data = unpaired()
    matching = Matching.measured(data)
    moved = matching.to_noisy(torch.from_numpy(np.stack(list(data.source)).transpose(0, 3, 1, 2) / 255.0))
    target = np.stack(list(data.target)) / 255.0
    assert np.allclose(moved.mean(dim=(0, 2, 3)), target.mean(axis=(0, 1, 2)), atol=1e-9)
    assert np.allclose(moved.std(dim=(0, 2, 3), correction=0), target.std(axis=(0, 1, 2)), atol=1e-9)


@pytest.mark.parametrize("kind", [LUDVAE, LUDVAEAim19, LUDVAENtire20])
def test_noise_depends_on_seed_and_name_only_and_survives_saving(tmp_path: Path, kind: type[LUDVAE]) -> None:
    settings = tiny({"matching": kind.default_settings("smoke").matching})
    model = kind.fit(unpaired(), settings, **fitting(tmp_path / "work"))
    clean = pool(3, 20)
    first = draw(model, clean)
    assert all(image.shape == (20, 20, 3) and image.dtype == np.uint8 for image in first)
    turned = draw(model, clean.subset([2, 0]))
    assert np.array_equal(turned[0], first[2])
    assert np.array_equal(turned[1], first[0])
    assert not np.array_equal(draw(model, clean, seed=1)[0], first[0])
    assert not np.array_equal(draw(model, ArrayImages(clean.array[:1], ["another"]))[0], first[0])
    model.save(tmp_path / "saved")
    again = kind.load(tmp_path / "saved", "cpu")
    assert again.settings == model.settings
    assert all(np.array_equal(a, b) for a, b in zip(draw(again, clean), first, strict=True))
    assert draw(model, pool(1, 1))[0].shape == (1, 1, 3)


def test_resume_equals_an_uninterrupted_run_bit_for_bit(tmp_path: Path) -> None:
    whole = LUDVAE.fit(unpaired(), tiny(steps=4), **fitting(tmp_path / "whole")).network
    with pytest.raises(KeyboardInterrupt):
        LUDVAE.fit(unpaired(), tiny(steps=4), **fitting(tmp_path / "parts", progress=Interrupt(3)))
    parts = LUDVAE.fit(unpaired(), tiny(steps=4), **fitting(tmp_path / "parts")).network
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"lr": 1e-4}}, {"training": {"milestones": (1,)}}, {"training": {"kl_weight": 1.0}},
        {"training": {"kl_rise": 4}}, {"hiding": {"clean": 1.0}}, {"hiding": {"noisy": 1.0}}, {"matching": "measured"},
        {"matching": "aim19"},
    ],
    ids=str,
)
def test_every_switch_of_the_training_changes_the_network(tmp_path: Path, change: dict[str, Any]) -> None:
    base = LUDVAE.fit(unpaired(), tiny(), **fitting(tmp_path / "a")).network.state_dict()
    other = LUDVAE.fit(unpaired(), tiny().but(**change), **fitting(tmp_path / "b")).network.state_dict()
    assert any(not torch.equal(base[name], other[name]) for name in base)


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"generation": (5.0, 5.0)}], ids=str)
def test_every_switch_of_the_sampling_changes_the_noise(change: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net, clean = LUDVAENetwork(4), pool(1, 16)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2)  # as it starts, its output hardly depends on its input
    images = [draw(LUDVAE(net, settings), clean)[0] for settings in (tiny(), tiny().but(hiding=change))]
    assert not np.array_equal(*images)


def test_samples_are_clean_or_noisy_with_equal_chance(tmp_path: Path) -> None:
    data = Domains(source=ArrayImages(np.zeros((1, 16, 16, 3), np.uint8), ["dark"]),
                   target=ArrayImages(np.full((1, 16, 16, 3), 255, np.uint8), ["bright"]))
    run = Training(data, tiny(batch=400), 0, "cpu", "lud-vae")
    x, content, label = run._batch(0, torch.Generator().manual_seed(0))
    assert torch.equal(x.mean(dim=(1, 2, 3)), label.flatten())
    assert 0.4 < float(label.mean()) < 0.6
    spread = [(content - x)[label.flatten() == kind].std().item() * 255 for kind in (0, 1)]
    assert spread == pytest.approx([40, 20], rel=0.02)


def test_pairs_serve_as_two_unpaired_sets(tmp_path: Path) -> None:
    assert draw(LUDVAE.fit(Domains(paired=pairs(1)), tiny(), **fitting(tmp_path)), pool(1, 16))


def test_published_files_are_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    full = LUDVAENetwork()
    torch.save(full.state_dict(), tmp_path / "ludvae.pth")
    for kind, matching in ((LUDVAE, None), (LUDVAEAim19, AIM19)):
        model = kind.from_published(tmp_path / "ludvae.pth")
        assert torch.equal(model.network.outconv.weight, full.outconv.weight)
        assert model.matching == matching or torch.equal(model.matching.values, AIM19.values)
    torch.save(LUDVAENetwork(8).state_dict(), tmp_path / "small.pth")
    with pytest.raises(CheckpointError, match=r"small\.pth: layer 'inconv\.weight' has shape"):
        LUDVAE.from_published(tmp_path / "small.pth")


def test_bad_input_gets_one_sentence(tmp_path: Path) -> None:
    data = unpaired()
    with pytest.raises(DataError, match="no noisy images"):
        LUDVAE.fit(Domains(source=data.source), tiny(), **fitting(tmp_path / "1"))
    with pytest.raises(DataError, match="24"):
        LUDVAE.fit(data, tiny(crop=32), **fitting(tmp_path / "2"))
    flat = Domains(source=data.source, target=ArrayImages(np.full((1, 24, 24, 3), 9, np.uint8), ["flat"]))
    with pytest.raises(DataError, match="channel of the noisy images has one value only"):
        LUDVAE.fit(flat, tiny({"matching": "measured"}), **fitting(tmp_path / "3"))
    with pytest.raises(SettingsError, match="matching"):
        tiny({"matching": "sidd"})
    with pytest.raises(TrainingError, match="in a row"):
        LUDVAE.fit(data, tiny(lr=1e30, skip_limit=0, steps=6), **fitting(tmp_path / "4"))
    LUDVAE(LUDVAENetwork(4), tiny({"matching": "measured"})).save(tmp_path / "5")
    with pytest.raises(CheckpointError, match="lacks the statistics of its domains"):
        LUDVAE.load(tmp_path / "5", "cpu")
    with pytest.raises(CheckpointError, match="belongs to 'lud-vae'"):
        LUDVAEAim19.load(tmp_path / "5", "cpu")


def test_settings_of_the_data_sets() -> None:
    aim, ntire = LUDVAEAim19.default_settings("paper"), LUDVAENtire20.default_settings("paper")
    assert (aim.hiding.clean, aim.hiding.noisy, aim.hiding.generation, aim.matching) == (15, 10, (15, 15), "aim19")
    assert (ntire.hiding.clean, ntire.hiding.noisy, ntire.hiding.generation) == (8, 3, (10, 10))
    assert ntire.matching == LUDVAE.default_settings("paper").matching == "none"
    for kind in (LUDVAE, LUDVAEAim19, LUDVAENtire20):
        for scale in ("smoke", "short"):
            assert kind.default_settings(scale).hiding == kind.default_settings("paper").hiding

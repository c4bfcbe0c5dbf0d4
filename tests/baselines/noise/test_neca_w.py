"""NeCA-W: layouts, behaviour of the networks and terms, tiles, cameras, gains, smoke fit, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from baselines.base import count_parameters
from baselines.noise.neca_w.losses import every_third, generator_terms, local_level, total
from baselines.noise.neca_w.model import ALL, NeCASettings, NeCAW, by_camera, gain_of
from baselines.noise.neca_w.networks import Critic, Generator, denoiser, initialise
from baselines.noise.neca_w.training import TileCrops, tiles_of
from senm.data.domains import Domains
from senm.data.levelled import levelled
from senm.data.pool import ArrayImages, Pairs
from senm.support.errors import CheckpointError, DataError, SettingsError, TrainingError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import Interrupt, draw, fitting, pairs, pool, with_noise

SCENES = ("0001_001_S6_00100_00060_3200_L", "0012_001_IP_03200_01600_5500_N", "0003_001_S6_00640_00060_3200_L")


def tiny(**training: Any) -> NeCASettings:
    base = {"epochs": 2, "epoch_steps": 1, "batch": 2, "crop": 48, "adversarial_every": 1, "denoise_from": None,
            "log_every": 1, "checkpoint_every": 1}
    sizes = {"width": 4, "correlation_width": 2, "critic_width": 2, "denoiser_width": 4, "denoiser_depth": 3}
    return NeCAW.default_settings("smoke").but(network=sizes, training={**base, **training})


def fit(folder: Path, settings: NeCASettings | None = None, data: Pairs | None = None, **changes: Any) -> NeCAW:
    return NeCAW.fit(Domains(paired=data or pairs(side=48)), settings or tiny(), **fitting(folder, **changes))


def weights(model: NeCAW) -> dict[str, torch.Tensor]:
    return {f"{camera}.{key}": value for camera, generator in model.generators.items()
            for key, value in generator.state_dict().items()}


def loud(model: NeCAW) -> NeCAW:
    """The model with a level map far from 0, so that its noise is seen after rounding."""
    with torch.no_grad():
        for generator in model.generators.values():
            generator.G1.conv5.bias.fill_(0.3)  # type: ignore[union-attr]
    return model


@pytest.mark.parametrize(("name", "network", "count"), [
    ("E_full", lambda: Generator().E, 263_425), ("G1_full", lambda: Generator().G1, 42_435),
    ("G2_full", lambda: Generator().G2, 7_790_723), ("D1", lambda: Critic(96, 5), 14_145_801),
    ("D2", lambda: Critic(32, 3), 2_165_001), ("G3_full", denoiser, 670_531),
    ("E_small4", lambda: Generator(4, 4).E, 1_041), ("G1_small4", lambda: Generator(4, 4).G1, 667),
    ("G2_small4", lambda: Generator(4, 4).G2, 31_163),
])
def test_layouts_and_sizes(name: str, network: Any, count: int) -> None:
    theirs = {key: tuple(shape) for key, shape in layouts("neca_w")[name].items()}
    made: nn.Module = network()
    assert shapes(made) == theirs
    assert count_parameters(made) == count


def test_critics_pass_the_sides_whose_halves_round_to_theirs() -> None:
    critic = Critic(32, 3, 2)
    assert critic(torch.zeros(1, 3, 39, 39)).shape == (1, 1)
    with pytest.raises(RuntimeError):
        critic(torch.zeros(1, 3, 40, 40))


def test_behaviour_of_the_level_map_and_the_head() -> None:
    torch.manual_seed(0)
    generator = Generator(4, 4)
    clean, normal = torch.rand(2, 3, 16, 24), torch.randn(2, 3, 16, 24)
    level = generator(clean, torch.tensor([0.0, 0.3]), normal).level
    assert level.min() >= 0
    assert level[0].flatten(1).std(1).max() < 1e-6
    assert level[1].flatten(1).std(1).min() > 1e-6
    for parameter in generator.G2.decoder_head.parameters():
        nn.init.zeros_(parameter)
    noise = generator(clean, torch.tensor([0.1, 0.3]), normal)
    assert torch.equal(noise.correlated, noise.independent)


def test_sides_that_are_no_multiple_of_eight_keep_their_size() -> None:
    generator = Generator(4, 4)
    noise = torch.randn(1, 3, 13, 21)
    padded = torch.zeros(1, 3, 16, 24)
    padded[..., :13, :21] = noise
    assert torch.allclose(generator.correlate(noise), generator.correlate(padded)[..., :13, :21])


def test_local_level_is_finite_on_flat_noise_and_right_inside() -> None:
    flat = torch.full((1, 3, 20, 20), 0.1)
    assert local_level(flat).isfinite().all()
    noise = torch.randn(1, 3, 20, 20, dtype=torch.float64)
    window = noise[0, 1, 5:12, 6:13]
    assert torch.allclose(local_level(noise)[0, 1, 8, 9], window.std(correction=0))


def test_every_third_takes_each_pixel_once() -> None:
    image = torch.arange(81.0).reshape(1, 1, 9, 9)
    parts = torch.cat([every_third(image, offset).flatten() for offset in range(9)])
    assert parts.sort().values.tolist() == list(range(81))
    assert every_third(image, 5)[0, 0, 0, 0] == 11


def test_the_denoiser_s_gradient_stays_out_of_the_generator_where_separate() -> None:
    torch.manual_seed(0)
    generator, restorer = Generator(4, 2), denoiser(4, 3)
    clean, noisy = torch.rand(2, 3, 24, 24), torch.rand(2, 3, 24, 24)
    for separate in (True, False):
        generator.zero_grad()
        _, terms = generator_terms(generator, None, restorer, clean, noisy, torch.randn(clean.shape), 0, separate)
        total(terms).backward()
        head = generator.G2.decoder_head[0].weight.grad
        assert (head is None) is separate


def test_tiles_cover_large_pictures_and_leave_small_ones_whole() -> None:
    assert tiles_of(800, 3000, 512) == [(0, 0, 800, 3000)]
    tiles = tiles_of(1000, 900, 512)
    assert tiles == [(r, c, 512, 512) for r in (0, 384, 488) for c in (0, 384, 388)]


def test_an_epoch_takes_every_tile_once() -> None:
    crops = TileCrops(pairs(6, 48), tiny(batch=2, epoch_steps=None).training, 0)
    assert crops.epoch_steps() == 3
    clean = [crops.batch(step)[0] for step in range(3)]
    assert len({float(crop.sum()) for batch in clean for crop in batch}) == 6
    assert torch.equal(clean[2], TileCrops(pairs(6, 48), tiny(batch=2).training, 0).batch(2)[0])


def test_initial_values() -> None:
    torch.manual_seed(0)
    network = denoiser(16, 4)
    initialise(network)
    state = network.state_dict()
    assert abs(float(state["model.2.weight"].std()) - 0.02) < 0.002
    assert abs(float(state["model.3.weight"].mean()) - 1) < 0.02
    assert not state["model.2.bias"].any()
    initialise(network, 0.1)
    assert abs(float(state["model.2.weight"].std()) - 0.1) < 0.01


def test_noise_depends_on_seed_and_name_only_and_survives_a_checkpoint(tmp_path: Path) -> None:
    model = loud(fit(tmp_path / "work"))
    clean = pool(3, 20)
    first = draw(model, clean)
    assert all(image.shape == (20, 20, 3) and image.dtype == np.uint8 for image in first)
    assert np.array_equal(draw(model, clean.subset([2, 0]))[0], first[2])
    assert not np.array_equal(draw(model, clean, seed=1)[0], first[0])
    model.save(tmp_path / "saved")
    again = NeCAW.load(tmp_path / "saved", "cpu")
    assert again.settings == model.settings
    assert all(np.array_equal(a, b) for a, b in zip(draw(again, clean), first, strict=True))


def test_resume_equals_an_uninterrupted_run_bit_for_bit(tmp_path: Path) -> None:
    settings = tiny(epochs=4, denoise_from=2)
    whole = weights(fit(tmp_path / "whole", settings))
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "parts", settings, progress=Interrupt(3))
    parts = weights(fit(tmp_path / "parts", settings))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert (tmp_path / "whole" / "log.jsonl").read_text() == (tmp_path / "parts" / "log.jsonl").read_text()


def test_one_step_changes_every_layer(tmp_path: Path) -> None:
    settings = tiny().but(network={"width": 8, "correlation_width": 8, "critic_width": 8, "deviation": 0.15})
    first, second = (weights(fit(tmp_path / str(n), settings.but(training={"epochs": n}))) for n in (1, 2))
    assert [name for name in first if torch.equal(first[name], second[name])] == []


@pytest.mark.parametrize("change", [
    {"training": {"adversarial_every": 2}}, {"training": {"penalty": 0.0}}, {"training": {"lr": 1e-4}},
    {"training": {"betas": (0.9, 0.9)}}, {"network": {"deviation": 0.1}},
    {"training": {"denoise_from": 1, "separate": False}},
    {"training": {"denoise_from": 1, "separate": False, "denoiser_drop": 1}}, {"training": {"batch": 1}},
], ids=str)
def test_every_switch_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    plain, other = (weights(fit(tmp_path / str(n), tiny(epochs=3).but(**c))) for n, c in enumerate(({}, change)))
    assert any(not torch.equal(plain[name], other[name]) for name in plain)


def test_without_separation_off_the_denoiser_changes_nothing(tmp_path: Path) -> None:
    plain, other = (weights(fit(tmp_path / str(n), tiny(denoise_from=start))) for n, start in enumerate((None, 1)))
    assert all(torch.equal(plain[name], other[name]) for name in plain)


def test_cameras_get_models_of_their_own(tmp_path: Path) -> None:
    clean = ArrayImages(pool(3, 48).storage, SCENES)
    data = Pairs(clean, with_noise(clean))
    assert {camera: part.names for camera, part in by_camera(data, True).items()} == {
        "IP": SCENES[1:2], "S6": (SCENES[0], SCENES[2])}
    assert list(by_camera(data, False)) == [ALL]
    model = fit(tmp_path / "work", tiny(epochs=1), data)
    assert list(model.generators) == ["IP", "S6"]
    assert [len(model.gains[camera]) for camera in ("IP", "S6")] == [1, 2]
    assert model.camera(SCENES[1], 0) == "IP"
    assert {model.camera(f"0001_{i:02d}", 0) for i in range(20)} == {"IP", "S6"}
    with pytest.raises(DataError, match="unknown camera 'G4'"):
        model.camera("0001_001_G4_00100_00060_3200_L", 0)
    model.save(tmp_path / "saved")
    assert list(NeCAW.load(tmp_path / "saved", "cpu").generators) == ["IP", "S6"]


def test_gains_are_those_of_training_images_or_the_partner_s_level(tmp_path: Path) -> None:
    data = pairs(2, 48)
    model = fit(tmp_path, data=data)
    generator = model.generators[ALL]
    assert np.allclose(model.gains[ALL], [gain_of(generator, data.noisy[i], torch.device("cpu")) for i in range(2)])
    model = loud(model)
    with torch.no_grad():
        generator.G1.conv5.weight.mul_(100)
    known = levelled(pairs(2, 20))
    partner, drawn = draw(model, known), draw(model, known.images)
    assert not np.array_equal(partner[0], drawn[0])
    model.settings = model.settings.but(gain="training")
    assert np.array_equal(draw(model, known)[0], drawn[0])


def test_published_weights_by_layout(tmp_path: Path) -> None:
    generator = Generator()
    for camera in ("G4", "S6"):
        (tmp_path / camera).mkdir()
        for name, part in generator.named_children():
            torch.save({"model_state_dict": part.state_dict()}, tmp_path / camera / f"checkpoint_{name}.pth")
    assert list(NeCAW.from_published(tmp_path).generators) == ["G4", "S6"]
    model = NeCAW.from_published(tmp_path / "S6")
    assert torch.equal(model.generators[ALL].G2.decoder_head[0].weight, generator.G2.decoder_head[0].weight)
    assert draw(model, levelled(pairs(1, 16)))[0].shape == (16, 16, 3)
    with pytest.raises(CheckpointError, match="the model has no measured levels"):
        draw(model, pool(1, 16))
    torch.save({"model_state_dict": Generator(8).E.state_dict()}, tmp_path / "S6" / "checkpoint_E.pth")
    with pytest.raises(CheckpointError, match=r"checkpoint_E\.pth: layer 'model\.0\.0\.weight' has shape"):
        NeCAW.from_published(tmp_path / "S6")
    (tmp_path / "G4" / "checkpoint_G2.pth").unlink()
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*checkpoint_G2\.pth"):
        NeCAW.from_published(tmp_path / "G4")
    (tmp_path / "S6" / "checkpoint_E.pth").write_bytes(b"half")
    with pytest.raises(CheckpointError, match="cannot be read"):
        NeCAW.from_published(tmp_path / "S6")
    with pytest.raises(CheckpointError, match=r"holds no checkpoint_E\.pth"):
        NeCAW.from_published(tmp_path / "empty")


def test_bad_input_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pairs"):
        NeCAW.fit(Domains(source=pool()), tiny(), **fitting(tmp_path / "a"))
    with pytest.raises(DataError, match="is 24x24 pixels; expected: at least 48x48"):
        fit(tmp_path / "b", data=pairs())
    with pytest.raises(SettingsError, match="crop is 50; expected: a multiple of 24"):
        fit(tmp_path / "c", tiny(crop=50), pairs(side=60))
    with pytest.raises(SettingsError, match="crop gives a critic of 5 stages sides of 24; expected: at least 32"):
        fit(tmp_path / "d", tiny(crop=24))
    with pytest.raises(SettingsError, match="gain"):
        NeCASettings(gain="none")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="image image0 is 3x3 pixels; expected: at least 4x4"):
        draw(fit(tmp_path / "e"), pool(1, 3))
    with pytest.raises(TrainingError, match="generator"):
        fit(tmp_path / "f", tiny(epochs=40, lr=1e30, skip_limit=0))


def test_one_flat_pair_is_enough(tmp_path: Path) -> None:
    flat = ArrayImages(np.full((1, 48, 48, 3), 90, np.uint8), ["flat"])
    model = fit(tmp_path, data=Pairs(flat, flat))
    assert np.isfinite(model.gains[ALL]).all()
    assert draw(model, pool(1, 9))[0].shape == (9, 9, 3)

"""Flow-sRGB: layout, invertibility, log-determinants, conditions, order of patches, smoke fit, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import count_parameters
from baselines.noise.flow_srgb.conditions import Conditions, condition_of
from baselines.noise.flow_srgb.model import FlowSettings, FlowSRGB, build, cut, join
from baselines.noise.flow_srgb.networks import CAMERAS, NoiseFlow
from baselines.noise.flow_srgb.training import Patches, raster_order
from baselines.noise.phones import Phone, phone_of, phones_of
from senm.data.domains import Domains
from senm.data.levelled import levelled
from senm.data.pool import ArrayImages, Pairs
from senm.support.errors import CheckpointError, DataError, SettingsError, TrainingError
from tests.baselines.systems.flow_srgb import made
from tests.baselines.systems.vectors import Case, cases, layouts, shapes
from tests.baselines.tiny import Interrupt, draw, fitting, pairs, pool, with_noise

SCENES = ("0001_001_S6_00100_00060_3200_L", "0012_001_IP_03200_01600_5500_N", "0003_001_GP_00640_00060_3200_L",
          "0004_001_G4_00800_00060_3200_L")


def tiny(**training: Any) -> FlowSettings:
    base = {"steps": 2, "batch": 4, "patch": 8, "log_every": 1, "checkpoint_every": 1}
    return FlowSRGB.default_settings("smoke").but(tile=8, training={**base, **training})


def named(names: tuple[str, ...] = SCENES) -> Pairs:
    clean = ArrayImages(pool(len(names)).storage, names)
    return Pairs(clean, with_noise(clean))


def fit(folder: Path, settings: FlowSettings | None = None, data: Pairs | None = None, **changes: Any) -> FlowSRGB:
    return FlowSRGB.fit(Domains(paired=data or pairs()), settings or tiny(), **fitting(folder, **changes))


def network() -> NoiseFlow:
    """A small case of the vectors, so that no layer is the identity."""
    return made(Case("flow_srgb", "a", cases()["flow_srgb"]["a"]))


def test_layout_and_size_are_those_of_the_published_checkpoints() -> None:
    theirs = {name: tuple(shape) for name, shape in layouts("flow_srgb")["full"].items()}
    assert shapes(NoiseFlow()) == theirs
    assert count_parameters(NoiseFlow()) == 6_160


def test_forward_then_inverse_gives_the_noise_back() -> None:
    flow, draws = network(), np.random.default_rng(0)
    clean, noisy = (torch.from_numpy(draws.integers(0, 256, (2, 3, 8, 12))).double() for _ in range(2))
    uniforms = [torch.from_numpy(draws.random(clean.shape)) for _ in range(2)]
    condition = torch.tensor([[0, 2], [4, 1]])
    with torch.no_grad():
        z = flow(noisy, clean, condition, *uniforms).z
        back = flow.generate(clean, condition, uniforms[1], z)
    assert torch.allclose(back, (noisy + uniforms[0]) / 256, rtol=0, atol=1e-12)


def test_log_determinants_are_those_of_the_jacobian() -> None:
    flow, draws = network(), np.random.default_rng(1)
    clean = torch.from_numpy(draws.random((1, 3, 4, 4)))
    condition = torch.tensor([[3, 2]])
    for layer in list(flow.model)[2:7]:
        x = torch.from_numpy(draws.standard_normal((1, 3, 4, 4)))
        jacobian = torch.autograd.functional.jacobian(lambda v, at=layer: at(v, clean, condition)[0], x)
        logdet = torch.linalg.slogdet(jacobian.reshape(48, 48)).logabsdet
        assert torch.allclose(layer(x, clean, condition)[1], logdet, rtol=1e-10)


def test_noise_depends_on_seed_and_name_only_and_survives_a_checkpoint(tmp_path: Path) -> None:
    model = fit(tmp_path / "work")
    clean = pool(3, 20)
    first = draw(model, clean)
    assert all(image.shape == (20, 20, 3) and image.dtype == np.uint8 for image in first)
    assert np.array_equal(draw(model, clean.subset([2, 0]))[0], first[2])
    assert not np.array_equal(draw(model, clean, seed=1)[0], first[0])
    model.save(tmp_path / "saved")
    again = FlowSRGB.load(tmp_path / "saved", "cpu")
    assert again.settings == model.settings
    assert all(np.array_equal(a, b) for a, b in zip(draw(again, clean), first, strict=True))


def test_resume_equals_an_uninterrupted_run_bit_for_bit(tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", tiny(steps=4)).network.state_dict()
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "parts", tiny(steps=4), progress=Interrupt(3))
    parts = fit(tmp_path / "parts", tiny(steps=4)).network.state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_training_lowers_the_likelihood(tmp_path: Path) -> None:
    fit(tmp_path, tiny(steps=30, batch=8, log_every=10))
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    losses = [float(line.split('"loss": ')[1].split(",")[0]) for line in lines]
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("change", [
    {"embedding": "batch_norm"}, {"unnamed": "one"}, {"training": {"lr": 1e-4}}, {"training": {"order": "raster"}},
    {"training": {"betas": (0.5, 0.9)}}, {"training": {"patch": 12}}, {"training": {"batch": 2}},
], ids=str)
def test_every_switch_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    clean = pool(6)
    strengths = np.arange(2, 40, 6)[:6]
    noise = np.random.default_rng(0).normal(0, 1, clean.storage.shape) * strengths[:, None, None, None]
    data = Pairs(clean, ArrayImages(np.clip(clean.storage + noise, 0, 255).astype(np.uint8), clean.names))
    plain = fit(tmp_path / "a", tiny(steps=3), data).network.state_dict()
    other = fit(tmp_path / "b", tiny(steps=3).but(**change), data).network.state_dict()
    assert any(not torch.equal(plain[name], other[name]) for name in plain if plain[name].is_floating_point())


def test_raster_order_takes_the_top_strip_and_five_images_in_turn() -> None:
    order = raster_order([5, 4, 9, 2, 4, 4], 4)
    assert order == [(0, 0, 4), (1, 0, 4), (2, 0, 4), (3, 0, 2), (4, 0, 4), (2, 4, 4), (5, 0, 4)]
    assert raster_order([1, 1], 4) == [(0, 0, 1), (1, 0, 1)]
    data = pairs(2, 24)
    settings = tiny(order="raster", patches_per_image=8).training
    patches = Patches(data, Conditions.of(data, "one", "nearest"), settings, 0)
    at = patches.positions(2)
    assert (at.image.tolist(), at.row.tolist(), at.column.tolist()) == ([0] * 4, [8, 8, 16, 16], [8, 16, 0, 8])
    noisy, clean, _ = patches.batch(2)
    assert np.array_equal(noisy[0].numpy(), data.noisy[0][8:16, 8:16, ::-1].transpose(2, 0, 1))
    assert np.array_equal(clean[2].numpy(), data.clean[0][16:24, 0:8, ::-1].transpose(2, 0, 1))


def test_names_tell_camera_and_iso() -> None:
    assert phone_of("val/0001_001_S6_00100_00060_3200_L_010.png") == Phone("S6", 100)
    assert phone_of("image0") is None
    assert phones_of(("a", "b")) is None
    assert Conditions.of(named(), "levels", "nearest").table.tolist() == [[0, 2], [4, 0], [2, 1], [2, 4]]
    with pytest.raises(DataError, match="3 of 4 names tell camera and ISO, 'x' does not"):
        phones_of((*SCENES[:3], "x"))


def test_without_names_pairs_are_grouped_by_level_and_images_take_theirs() -> None:
    clean = pool(5)
    noise = np.random.default_rng(0).normal(0, 1, clean.storage.shape) * np.array([9, 1, 5, 3, 7])[:, None, None, None]
    data = Pairs(clean, ArrayImages(np.clip(clean.storage + noise, 0, 255).astype(np.uint8), clean.names))
    conditions = Conditions.of(data, "levels", "nearest")
    assert conditions.table[:, 0].tolist() == [4, 0, 2, 1, 3]
    find = conditions.source(0, levelled(data), "levels", "nearest")
    assert [int(find(name)[0]) for name in data.names] == [4, 0, 2, 1, 3]
    assert set(Conditions.of(data, "one", "nearest").table.ravel()) == {0}
    assert len({int(conditions.source(0, clean, "levels", "nearest")(f"n{i}")[0]) for i in range(40)}) == 5


def test_named_images_take_their_own_condition(tmp_path: Path) -> None:
    model = fit(tmp_path, data=named())
    assert model.conditions.source(0, pool(1), "levels", "nearest")(SCENES[1]).tolist() == [4, 0]
    known = model.conditions.table.tolist()
    assert model.conditions.source(0, pool(1), "levels", "nearest")("0001_01").tolist() in known


def test_tiles_come_back_where_they_were() -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 21, 3), dtype=np.uint8)
    tiles, shape = cut(image, 8)
    assert tiles.shape == (3, 8, 8, 3)
    assert np.array_equal(join(tiles, shape), image)


def test_published_weights_by_layout(tmp_path: Path) -> None:
    path = tmp_path / "epoch_1_noise_model_net.pth"
    torch.save({"epoch_num": 1, "state_dict": NoiseFlow().state_dict()}, path)
    model = FlowSRGB.from_published(path)
    assert draw(model, pool(1, 40))[0].shape == (40, 40, 3)
    torch.save({"state_dict": NoiseFlow(norm=False).state_dict()}, path)
    with pytest.raises(CheckpointError, match=r"lacks layer 'model\.4\._encoder\.blocks\.0\.batch_norm"):
        FlowSRGB.from_published(path)
    state = NoiseFlow().state_dict()
    state["model.2.bias"] = torch.full((25, 3), float("nan"))
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="not finite"):
        FlowSRGB.from_published(path)


def test_bad_input_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pairs"):
        FlowSRGB.fit(Domains(source=pool()), tiny(), **fitting(tmp_path / "a"))
    with pytest.raises(DataError, match="is 24x24 pixels; expected: at least 32x32"):
        fit(tmp_path / "b", tiny(patch=32))
    with pytest.raises(DataError, match="unknown camera 'N5'"):
        condition_of(Phone("N5", 100), "nearest")
    with pytest.raises(DataError, match="ISO 640; expected: one of 100, 400"):
        condition_of(Phone("GP", 640), "error")
    with pytest.raises(SettingsError, match="embedding"):
        FlowSettings(embedding="none")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="lacks 'conditions.table'"):
        Conditions.from_state({})
    with pytest.raises(CheckpointError, match="positions of ISO and camera"):
        Conditions.from_state({"conditions.table": torch.tensor([[0, len(CAMERAS)]]),
                               "conditions.levels": torch.ones(0)})


def test_one_pair_is_enough(tmp_path: Path) -> None:
    assert draw(fit(tmp_path, data=pairs(1)), pool(1, 9))[0].shape == (9, 9, 3)


def test_samples_that_overflow_are_an_error(tmp_path: Path) -> None:
    model = fit(tmp_path)
    with torch.no_grad():
        model.network.model[2].log_scale.fill_(-1e4)  # type: ignore[union-attr, operator]
    with pytest.raises(TrainingError, match="the noise of image0"):
        draw(model, pool(1))


def test_the_seed_makes_the_network() -> None:
    first, again, other = (build(FlowSettings(), seed).model[3].l for seed in (0, 0, 1))
    assert torch.equal(first, again)  # type: ignore[arg-type]
    assert not torch.equal(first, other)  # type: ignore[arg-type]

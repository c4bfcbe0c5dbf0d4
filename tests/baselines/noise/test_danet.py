"""DANet: layouts, losses, sampling of any size, the denoiser beside it, resume, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from baselines.base import count_parameters
from baselines.noise.danet import losses
from baselines.noise.danet.model import DANet, DANetDenoiser
from baselines.noise.danet.networks import Critic, Denoiser, Generator
from baselines.noise.danet.training import DANetSettings, Training
from senm.data.domains import Domains
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, DataError, SettingsError, TrainingError, UsageError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import Interrupt, draw, fitting, pairs, pool, restored, unpaired

PAIRS = Domains(paired=pairs())


def tiny(**training: Any) -> DANetSettings:
    base = {"steps": 6, "batch": 2, "crop": 16, "log_every": 1, "checkpoint_every": 1}
    return DANet.default_settings("smoke").but(network={"width": 2, "critic_width": 2}, training={**base, **training})


def model(width: int = 2) -> DANet:
    torch.manual_seed(0)
    return DANet(Generator(width), Denoiser(width), tiny())


def test_names_and_shapes_are_the_published_ones() -> None:
    known = {name: {key: tuple(shape) for key, shape in layout.items()} for name, layout in layouts("danet").items()}
    mine: dict[str, nn.Module] = {
        "D_small_wf4": Denoiser(4), "G_small_wf4": Generator(4), "P_small_ndf4": Critic(4), "D_full": Denoiser(),
        "G_full": Generator(), "P_full": Critic(),
    }
    assert {name: shapes(network) for name, network in mine.items()} == known
    assert all(list(shapes(network)) == list(known[name]) for name, network in mine.items())
    sizes = {"D_full": 9_153_571, "G_full": 9_153_859, "P_full": 44_703_745}
    assert {name: count_parameters(mine[name]) for name in sizes} == sizes


@pytest.mark.parametrize("crop", [16, 32, 64, 128])
def test_the_critic_gives_one_score_a_pair_of_its_own_size_only(crop: int) -> None:
    critic, images = Critic(2, crop), torch.rand(3, 3, crop, crop)
    assert critic(images, images).shape == (3,)
    with pytest.raises(UsageError, match=f"critic of DANet got {crop + 32}x{crop} pixels"):
        critic(torch.rand(1, 3, crop + 32, crop), torch.rand(1, 3, crop + 32, crop))


def test_the_critic_starts_as_published() -> None:
    critic = Critic(16)
    critic.initialise()
    assert float(critic.output.bias.detach()) == 0
    assert [float(p.std()) for n, p in critic.named_parameters() if n.startswith("main")] == pytest.approx(
        [0.02] * 6, rel=0.1)


def test_matching_losses_of_the_real_image_are_0() -> None:
    clean, noisy = torch.rand(2, 2, 3, 16, 16)
    assert float(losses.mean_match(clean, noisy, noisy)) == 0
    assert [float(v) for v in losses.variance_match(clean, noisy, noisy)] == [0, 0]
    assert float(losses.mean_match(clean, noisy, noisy + 0.1)) == pytest.approx(0.1, rel=1e-5)
    assert [float(losses.kernel(side).sum()) for side in (5, 7)] == pytest.approx([1, 1])


def test_gradient_penalty_of_a_linear_critic() -> None:
    class Linear(nn.Module):
        def forward(self, clean: torch.Tensor, noisy: torch.Tensor) -> torch.Tensor:
            return (3 * clean - 4 * noisy).flatten(1).sum(1)

    real, fake = [(torch.rand(3, 3, 4, 4), torch.rand(3, 3, 4, 4)) for _ in range(2)]
    found = losses.gradient_penalty(Linear(), real, fake, torch.rand(3, 1, 1, 1))  # type: ignore[arg-type]
    assert float(found) == pytest.approx((5 * 48**0.5 - 1) ** 2, rel=1e-5)


def test_noise_depends_on_seed_and_name_only_and_survives_saving(tmp_path: Path) -> None:
    noise = DANet.fit(PAIRS, tiny(), **fitting(tmp_path / "work"))
    clean = pool(3, 21)
    first = draw(noise, clean)
    assert all(image.shape == (21, 21, 3) and image.dtype == np.uint8 for image in first)
    turned = draw(noise, clean.subset([2, 0]))
    assert np.array_equal(turned[0], first[2])
    assert np.array_equal(turned[1], first[0])
    assert not np.array_equal(draw(noise, clean, seed=1)[0], first[0])
    assert not np.array_equal(draw(noise, ArrayImages(clean.array[:1], ["another"]))[0], first[0])
    noise.save(tmp_path / "saved")
    again = DANet.load(tmp_path / "saved", "cpu")
    assert again.settings == noise.settings
    assert all(np.array_equal(a, b) for a, b in zip(draw(again, clean), first, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(
        restored(again.restorer(), clean), restored(noise.restorer(), clean), strict=True))


def test_the_denoiser_is_the_one_trained_beside_the_generator(tmp_path: Path) -> None:
    restorer = DANetDenoiser.fit([PAIRS.paired], tiny(), **fitting(tmp_path / "a"))
    noise = DANet.fit(PAIRS, tiny(), **fitting(tmp_path / "b"))
    noisy = pool(2, 21)
    images = restored(restorer, noisy)
    assert all(np.array_equal(a, b) for a, b in zip(images, restored(noise.restorer(), noisy), strict=True))
    assert images[0].shape == (21, 21, 3)
    restorer.save(tmp_path / "saved")
    again = DANetDenoiser.load(tmp_path / "saved", "cpu")
    assert all(np.array_equal(a, b) for a, b in zip(images, restored(again, noisy), strict=True))


def test_resume_equals_an_uninterrupted_run_bit_for_bit(tmp_path: Path) -> None:
    whole = DANet.fit(PAIRS, tiny(), **fitting(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        DANet.fit(PAIRS, tiny(), **fitting(tmp_path / "parts", progress=Interrupt(4)))
    parts = DANet.fit(PAIRS, tiny(), **fitting(tmp_path / "parts"))
    for a, b in ((whole.generator, parts.generator), (whole.denoiser, parts.denoiser)):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_critic_on_every_batch_the_others_on_every_third() -> None:
    run = Training([PAIRS.paired], tiny(), 0, "cpu")
    moved = []
    for number in range(6):
        before = {name: [p.clone() for p in net.parameters()] for name, net in run.networks.items()}
        run.step(number)
        moved.append({name: any(not torch.equal(p, q) for p, q in zip(before[name], net.parameters(), strict=True))
                      for name, net in run.networks.items()})
    assert [each["critic"] for each in moved] == [True] * 6
    assert [each["generator"] for each in moved] == [False, False, True] * 2
    assert [each["denoiser"] for each in moved] == [False, False, True] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 0.9}, {"denoiser_weight": 1.0}, {"generator_weight": 1.0}, {"penalty": 0.0}, {"critic_steps": 1},
        {"lr": 1e-4}, {"generator_lr": 1e-2}, {"critic_lr": 1e-2}, {"milestones": (1,)},
    ],
    ids=str,
)
def test_every_switch_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    base = DANet.fit(PAIRS, tiny(), **fitting(tmp_path / "a"))
    other = DANet.fit(PAIRS, tiny(**change), **fitting(tmp_path / "b"))
    for a, b in ((base.generator, other.generator), (base.denoiser, other.denoiser)):
        if any(not torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True)):
            return
    raise AssertionError("neither network changed")


def test_published_files_are_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator, denoiser = Generator(), Denoiser()
    file = tmp_path / "DANet.pt"
    parallel = {f"module.{name}": value for name, value in generator.state_dict().items()}
    torch.save({"D": denoiser.state_dict(), "G": parallel}, file)
    noise, restorer = DANet.from_published(file), DANetDenoiser.from_published(file)
    assert torch.equal(noise.generator.last.weight, generator.last.weight)
    assert torch.equal(restorer.network.last.weight, denoiser.last.weight)
    torch.save({"D": denoiser.state_dict()}, file)
    with pytest.raises(CheckpointError, match=r"DANet\.pt has no generator \(entry 'G'\)"):
        DANet.from_published(file)
    torch.save({"D": Denoiser(4).state_dict(), "G": parallel}, file)
    with pytest.raises(CheckpointError, match=r"DANet\.pt: layer 'down_path\.0\.block\.0\.weight' has shape"):
        DANet.from_published(file)
    file.write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match=r"DANet\.pt cannot be read"):
        DANetDenoiser.from_published(file)
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*absent\.pt"):
        DANet.from_published(tmp_path / "absent.pt")


def test_bad_input_gets_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pairs"):
        DANet.fit(unpaired(), tiny(), **fitting(tmp_path / "1"))
    with pytest.raises(DataError, match="24"):
        DANet.fit(PAIRS, tiny(crop=32), **fitting(tmp_path / "2"))
    for crop in (8, 24, 48, 100):
        with pytest.raises(SettingsError, match=str(crop)):
            DANet.fit(Domains(paired=pairs(side=128)), tiny(crop=crop), **fitting(tmp_path / "3"))
    with pytest.raises(DataError, match="image image0 is 8x8 pixels"):
        draw(model(), pool(1, 8))
    assert draw(model(), pool(1, 9))[0].shape == (9, 9, 3)
    with pytest.raises(TrainingError, match="critic"):
        DANet.fit(PAIRS, tiny(critic_lr=1e30, skip_limit=0), **fitting(tmp_path / "4"))
    with pytest.raises(UsageError, match="danet-denoiser cannot start from"):
        DANetDenoiser.fit([PAIRS.paired], tiny(), **fitting(tmp_path / "5", start=tmp_path))
    model(4).save(tmp_path / "6")
    with pytest.raises(CheckpointError, match="layer 'generator"):
        DANet.load(tmp_path / "6", "cpu")
    assert DANet.fit(Domains(paired=pairs(1)), tiny(steps=1), **fitting(tmp_path / "7"))

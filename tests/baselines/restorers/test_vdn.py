"""VDN: layout, restoring, the bound against closed forms, falling limits, switches, bad input."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import count_parameters
from baselines.restorers.vdn.losses import negative_bound, variance_map
from baselines.restorers.vdn.model import VDN
from baselines.restorers.vdn.networks import VDNNetwork
from baselines.restorers.vdn.training import Limit, Variational, turned
from senm.support.errors import CheckpointError, DataError, SettingsError, TrainingError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import Interrupt, fitting, pairs
from tests.baselines.trained import check_restorer, fit, published, state

SMOKE = VDN.default_settings("smoke").but(training={"steps": 6, "batch": 2, "crop": 16, "epoch": 2, "log_every": 1,
                                                    "checkpoint_every": 2, "milestones": (4,)})


@pytest.mark.parametrize(("width", "layout"), [(64, "full VDN(3)"), (8, "small VDN(3, wf=8)")])
def test_the_layout_is_the_published_one(width: int, layout: str) -> None:
    with torch.device("meta"):
        assert shapes(VDNNetwork(width)) == {name: tuple(shape) for name, shape in layouts("vdn")[layout].items()}


def test_parameters_at_paper_scale() -> None:
    with torch.device("meta"):
        network = VDN.build(VDN.default_settings("paper"))
    assert count_parameters(network) == 7_816_780
    assert count_parameters(network.get_submodule("DNet")) == 7_700_742


def test_fit_restore_save_load(tmp_path: Path) -> None:
    check_restorer(VDN, SMOKE, tmp_path, side=21)


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = fit(VDN, SMOKE, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        VDN.fit([pairs()], SMOKE, **fitting(tmp_path / "parts", progress=Interrupt(4)))
    parts = fit(VDN, SMOKE, tmp_path / "parts")
    assert all(torch.equal(a, b) for a, b in zip(state(whole), state(parts), strict=True))


@pytest.mark.parametrize("change", [
    {"eps2": 1e-3}, {"radius": 1}, {"turned": 0.0}, {"augment": False}, {"limits": (1e-3, 1e9)},
    {"limits": (1e9, 1e-3)}, {"epoch": 1}, {"lr": 1e-4}, {"milestones": ()}, {"precision": "bf16"},
], ids=str)
def test_every_switch_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    settings = SMOKE.but(training={"limits": (1e9, 1e9)})
    plain = fit(VDN, settings, tmp_path / "a")
    other = fit(VDN, settings.but(training=change), tmp_path / "b")
    assert any(not torch.equal(a, b) for a, b in zip(state(plain), state(other), strict=True))


def test_the_bound_at_the_prior_is_the_likelihood_alone() -> None:
    noisy, clean = torch.rand(2, 3, 4, 4, dtype=torch.float64), torch.rand(2, 3, 4, 4, dtype=torch.float64)
    xi, eps2 = torch.full_like(noisy, 0.01), 1e-4
    phi_z = torch.cat([noisy - clean, torch.full_like(noisy, math.log(eps2))], 1)
    phi_sigma = torch.cat([torch.full_like(noisy, math.log(23.5)), (24.5 * xi).log()], 1)
    terms = negative_bound(phi_z, phi_sigma, noisy, clean, xi, eps2=eps2, radius=3)
    assert float(terms["kl_gauss"]) == pytest.approx(0, abs=1e-12)
    assert float(terms["kl_igamma"]) == pytest.approx(0, abs=1e-10)
    assert torch.equal(terms["loss"], terms["lh"] + terms["kl_gauss"] + terms["kl_igamma"])


def test_beyond_the_clamps_there_is_no_gradient() -> None:
    noisy, clean = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    phi_z, phi_sigma = torch.full((1, 6, 4, 4), 30.0, requires_grad=True), torch.full((1, 6, 4, 4), -30.0)
    phi_sigma.requires_grad_()
    negative_bound(phi_z, phi_sigma, noisy, clean, torch.full_like(noisy, 0.01), eps2=1e-6, radius=3)["loss"].backward()
    assert phi_z.grad is not None and phi_sigma.grad is not None
    assert bool((phi_z.grad[:, :3] != 0).all()) and bool((phi_z.grad[:, 3:] == 0).all())
    assert bool((phi_sigma.grad == 0).all())


def test_the_variance_map_of_uniform_noise_is_its_square() -> None:
    clean = torch.rand(1, 3, 9, 12)
    assert torch.allclose(variance_map(clean + 0.1, clean, 3), torch.full_like(clean, 0.01), rtol=1e-4)
    assert float(variance_map(clean, clean, 3).max()) == pytest.approx(1e-10)


def test_a_limit_only_falls() -> None:
    limit = Limit(10.0)
    for norms, expected in (((4.0, 8.0), 6.0), ((20.0,), 6.0), ((1.0, 2.0), 1.5), ((), 1.5)):
        for norm in norms:
            limit.seen(norm)
        limit.fall()
        assert limit.value == expected


def test_half_of_the_crops_are_turned_and_both_sides_alike() -> None:
    images = torch.rand(64, 3, 8, 8)
    sampler: Any = SimpleNamespace(batch=lambda number: (images, images), seed=0)
    run = Variational(VDNNetwork(8, 8), sampler, SMOKE.training.but(turned=0.5), "cpu")
    noisy, clean = run.batch(0)
    assert torch.equal(noisy, clean)
    kept = sum(torch.equal(a, b) for a, b in zip(noisy, images, strict=True))
    assert 20 <= kept <= 44
    ways = {turned(images[:1], [way]).numpy().tobytes() for way in range(8)}
    assert len(ways) == 8


def test_published_weights(tmp_path: Path) -> None:
    published(VDN, VDNNetwork(), tmp_path / "model_state_SIDD", wrap=False)


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    torch.save(VDNNetwork(8).state_dict(), tmp_path / "other")
    with pytest.raises(CheckpointError, match=r"layer 'DNet\.down_path\.0\.block\.0\.weight' has shape"):
        VDN.from_published(tmp_path / "other")


def test_bad_settings_and_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="multiple of 8"):
        SMOKE.but(training={"crop": 12})
    with pytest.raises(SettingsError, match="fits into the crop"):
        SMOKE.but(training={"radius": 16})
    with pytest.raises(DataError, match="at least 16x16"):
        VDN.fit([pairs(side=12)], SMOKE, **fitting(tmp_path))
    with pytest.raises(DataError, match="no pairs"):
        VDN.fit([pairs(0)], SMOKE, **fitting(tmp_path))


def test_a_training_that_blows_up_stops_with_a_sentence(tmp_path: Path) -> None:
    settings = SMOKE.but(training={"lr": 1e30, "skip_limit": 0, "steps": 6})
    with pytest.raises(TrainingError, match="at step"):
        fit(VDN, settings, tmp_path)


def test_the_estimate_is_the_noisy_image_less_the_mean_of_its_noise() -> None:
    torch.manual_seed(0)
    network, noisy = VDNNetwork(8, 8), torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        phi_z, phi_sigma = network.posteriors(noisy)
        assert torch.equal(network(noisy), noisy - phi_z[:, :3])
    assert phi_sigma.shape == (1, 6, 16, 16)
    assert np.isfinite(phi_sigma.numpy()).all()

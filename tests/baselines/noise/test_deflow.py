"""DeFlow beyond its stored arrays: layouts, exact inversion, densities, crops, statistics, the two protocols' rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from baselines.base import NoiseModel, count_parameters
from baselines.noise.deflow.encoder import Encoder
from baselines.noise.deflow.flow import ActNorm
from baselines.noise.deflow.matching import AIM19, Matching, matched, measured
from baselines.noise.deflow.model import DeFlow, aim19, smaller
from baselines.noise.deflow.networks import DeFlowNetwork, TorchDraws, TwoDomains
from baselines.noise.deflow.training import (
    DeFlowSettings,
    DeFlowSizes,
    DeFlowTraining,
    DomainCrops,
    Likelihood,
    build,
    crop_with_reduction,
)
from baselines.super_resolution.deflow import DeFlowAIM19, DeFlowNTIRE20
from senm.data.domains import Domains
from senm.data.formats.bicubic import reduce
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, DataError, SettingsError, TrainingError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import Interrupt, draw, fitting, pool, unpaired, with_noise

SMALL = {"width": 4, "growth": 2, "blocks": 1, "stacked": (0,), "steps": 1, "hidden": 4}


def tiny(**training: Any) -> DeFlowSettings:
    base = {"steps": 2, "batch": 4, "crop": 16, "log_every": 1, "checkpoint_every": 1}
    return DeFlow.default_settings("smoke").but(network=SMALL, training={**base, **training})


def fitted(folder: Path, **training: Any) -> DeFlow:
    return DeFlow.fit(unpaired(), tiny(**training), **fitting(folder))


def draws(seed: int = 0) -> TorchDraws:
    return TorchDraws(torch.Generator().manual_seed(seed), torch.device("cpu"))


def small_flow() -> DeFlowNetwork:
    """A small network in float64 whose every parameter has left its start."""
    torch.manual_seed(0)
    network = DeFlowNetwork(Encoder(4, 4, 2, 1, (0,)), 1, 4, 0.5).double().eval()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and not name.endswith("cov_shift"):
            nn.init.normal_(parameter, 0, 0.1)
    return network


@pytest.mark.parametrize(
    ("key", "settings", "everything", "trainable"),
    [
        ("full_AIM", aim19(), 62_935_305, 62_926_053),
        ("full_NTIRE", DeFlowSettings(), 39_741_641, 39_732_389),
    ],
)
def test_full_size_layouts_and_counts(key: str, settings: DeFlowSettings, everything: int, trainable: int) -> None:
    with torch.device("meta"):
        network = build(settings)
    assert {name: list(shape) for name, shape in shapes(network).items()} == layouts("deflow")[key]
    assert list(shapes(network)) == list(layouts("deflow")[key])
    assert sum(p.numel() for p in network.parameters()) == everything
    assert count_parameters(network) == trainable


@pytest.mark.parametrize(
    ("key", "scale", "steps", "hidden"),
    [("small_a(scale8,nb4,K2,hidden8)", 8, 2, 8), ("small_b(scale4,nb4,K1,hidden6)", 4, 1, 6)],
)
def test_small_layouts(key: str, scale: int, steps: int, hidden: int) -> None:
    with torch.device("meta"):
        network = DeFlowNetwork(Encoder(scale, 64, 32, 4, range(4)), steps, hidden, 0.0)
    assert {name: list(shape) for name, shape in shapes(network).items()} == layouts("deflow")[key]


def test_the_flow_inverts_and_its_log_determinant_is_that_of_its_jacobian() -> None:
    network, image = small_flow(), torch.rand(1, 3, 8, 8, dtype=torch.float64)
    conditions = [f.detach() for f in network.RRDB(torch.rand(1, 3, 2, 2, dtype=torch.float64))]
    flow = network.flowUpsamplerNet

    def forward(flat: torch.Tensor) -> torch.Tensor:
        latents, _ = flow.encode(flat.view_as(image), conditions)
        return torch.cat([part.flatten() for part in latents])

    latents, logdet = flow.encode(image, conditions)
    jacobian = torch.autograd.functional.jacobian(forward, image.flatten())
    assert jacobian.shape == (192, 192)
    assert float(torch.linalg.slogdet(jacobian)[1]) == pytest.approx(float(logdet.detach()), rel=1e-6, abs=1e-3)
    assert float((flow.decode(latents, conditions).detach() - image).abs().max()) < 1e-4


def test_densities_and_posteriors_of_the_two_domains() -> None:
    torch.manual_seed(1)
    domains = TwoDomains(3, 0.0).double()
    domains.mean_shift.data.normal_()
    domains.cov_shift.data.normal_()
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    found = domains.log_density(x, torch.tensor([False, True]))
    positions = x.permute(0, 2, 3, 1)
    normal = torch.distributions.MultivariateNormal
    clean = normal(torch.zeros(3).double(), torch.eye(3).double()).log_prob(positions[0]).sum()
    degraded = normal(domains.mean_shift, domains.covariance()).log_prob(positions[1]).sum()
    assert torch.allclose(found, torch.stack([clean, degraded]))
    unit = torch.eye(3, dtype=torch.float64)[:, :, None, None]
    root = (domains.restore(x[:1].expand(3, 3, 2, 2), unit.expand(3, 3, 2, 2)) - domains.restore(x[:1], 0 * x[:1]))
    covariance = root[:, :, 0, 0].T @ root[:, :, 0, 0]
    m = domains.cov_shift
    assert torch.allclose(covariance, m @ m.T @ torch.linalg.inv(domains.covariance()))


def test_the_first_batch_sets_actnorm_once() -> None:
    norm, x = ActNorm(3).train(), 5 + 2 * torch.randn(4, 3, 8, 8)
    y = norm(x)
    assert y.mean((0, 2, 3)).abs().max() < 1e-5
    assert (y.var((0, 2, 3), correction=0) - 1).abs().max() < 1e-4
    assert torch.allclose(norm.decode(y), x, atol=1e-5)
    before = norm.bias.clone()
    norm(x + 1)
    again = ActNorm(3).train()
    again.load_state_dict(norm.state_dict())
    again(x + 1)
    assert torch.equal(norm.bias, before) and torch.equal(again.bias, before)


@pytest.mark.parametrize("scale", [4, 8])
@pytest.mark.parametrize("corner", [(0, 0), (24, 16), (40, 24)])
def test_a_crop_s_reduction_is_a_crop_of_the_whole_reduction(scale: int, corner: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (61, 45, 3), dtype=np.uint8)
    row, column = corner
    crop, low = crop_with_reduction(image, row, column, 16, scale)
    whole = reduce(image[: 61 - 61 % scale, : 45 - 45 % scale], scale)
    r, c, side = row // scale, column // scale, 16 // scale
    assert np.array_equal(low, whole[r : r + side, c : c + side])
    assert np.array_equal(crop, image[row : row + 16, column : column + 16])


def test_crops_depend_on_seed_and_step_and_come_from_both_domains_equally() -> None:
    white, black = np.full((1, 24, 24, 3), 255, np.uint8), np.zeros((3, 24, 24, 3), np.uint8)
    domains = Domains(source=ArrayImages(black, "abc"), target=ArrayImages(white, "d"))
    sampler = DomainCrops(domains, batch=400, crop=16, scale=4, seed=1)
    batch = sampler.batch(0)
    assert batch.image.shape == (400, 3, 16, 16) and batch.low.shape == (400, 3, 4, 4)
    assert torch.equal(batch.image[:, 0, 0, 0] == 1, batch.degraded)
    assert abs(float(batch.degraded.float().mean()) - 0.5) < 0.08
    assert torch.equal(sampler.batch(0).degraded, batch.degraded)
    assert not torch.equal(sampler.batch(1).degraded, batch.degraded)


def test_matching_moves_statistics_there_and_back() -> None:
    clean, noisy = pool(3, 32), pool(3, 32, seed=7)
    table = measured([clean], [noisy], 4)
    assert Matching.from_tensor(AIM19.tensor()).clean.mean == pytest.approx(AIM19.clean.mean)
    x = torch.rand(3, 8, 8)
    there = matched(x, table.degraded, table.clean)
    assert not torch.allclose(there, x)
    assert torch.allclose(matched(there, table.clean, table.degraded), x, atol=1e-5)
    flat = torch.tensor(table.degraded.mean)[:, None, None].expand(3, 2, 2) / 255
    assert torch.allclose(matched(flat, table.degraded, table.clean)[:, 0, 0] * 255, torch.tensor(table.clean.mean))


def test_an_image_s_noise_depends_on_seed_and_name_only(tmp_path: Path) -> None:
    model = fitted(tmp_path)
    assert isinstance(model, NoiseModel)
    clean = pool(3, 22)
    first = draw(model, clean)
    assert all(image.shape == (22, 22, 3) and image.dtype == np.uint8 for image in first)
    turned = draw(model, clean.subset([2, 0]))
    assert np.array_equal(turned[0], first[2]) and np.array_equal(turned[1], first[0])
    assert not np.array_equal(draw(model, clean, seed=1)[0], first[0])
    named = draw(model, ArrayImages(clean.storage[[0, 0]], ("image0", "another")))
    assert np.array_equal(named[0], first[0]) and not np.array_equal(named[1], first[0])


@pytest.mark.parametrize("kind", [DeFlow, DeFlowNTIRE20, DeFlowAIM19])
def test_saved_and_loaded_models_are_the_same(tmp_path: Path, kind: type[DeFlow]) -> None:
    settings = kind.default_settings("smoke").but(training={"steps": 2, "crop": 16, "batch": 4})
    model = kind.fit(unpaired(), settings, **fitting(tmp_path / "work"))
    model.save(tmp_path / "saved")
    again = kind.load(tmp_path / "saved", "cpu")
    clean = pool(2, 16)
    assert all(np.array_equal(a, b) for a, b in zip(draw(model, clean), draw(again, clean), strict=True))
    model.save(tmp_path / "half", half=True)
    halved = draw(kind.load(tmp_path / "half", "cpu"), clean)
    assert np.abs(halved[0].astype(int) - draw(model, clean)[0]).max() < 8
    other = DeFlowAIM19 if kind is DeFlow else DeFlow
    with pytest.raises(CheckpointError, match="belongs to"):
        other.load(tmp_path / "saved", "cpu")


def test_published_configurations() -> None:
    paper = DeFlowAIM19.default_settings("paper")
    assert (paper.network.scale, paper.network.hidden, paper.training.lr) == (8, 128, 1e-4)
    assert paper.training.matching == "aim19"
    assert DeFlowAIM19.default_settings("short").training.matching == "measured"
    assert DeFlowNTIRE20.default_settings("paper") == DeFlowSettings() == DeFlow.default_settings("paper")
    assert smaller(aim19(), "smoke").network.scale == 8


def test_resume_equals_an_uninterrupted_run_bit_for_bit(tmp_path: Path) -> None:
    whole = fitted(tmp_path / "whole", steps=4).network
    with pytest.raises(KeyboardInterrupt):
        DeFlow.fit(unpaired(), tiny(steps=4), **fitting(tmp_path / "parts", progress=Interrupt(3)))
    parts = fitted(tmp_path / "parts", steps=4).network
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))
    assert (tmp_path / "whole" / "log.jsonl").read_text() == (tmp_path / "parts" / "log.jsonl").read_text()


def test_two_steps_move_all_that_the_loss_depends_on(tmp_path: Path) -> None:
    first = fitted(tmp_path / "a", steps=2).network.state_dict()
    second = fitted(tmp_path / "b", steps=4, halve_at=()).network.state_dict()
    still = {name for name in first if torch.equal(first[name], second[name])}
    unused = {"I", "RRDB.upconv2", "RRDB.HRconv", "RRDB.conv_last", "flowUpsamplerNet.f.0"}
    fixed = {name for name in first if name.endswith((".p", ".sign_s", ".I"))}
    assert {name for name in still - fixed if name.removesuffix(".weight").removesuffix(".bias") not in unused} == set()


def test_a_covariance_shift_that_starts_at_zero_stays_there(tmp_path: Path) -> None:
    settings = tiny(steps=3).but(network={"shift_start": 0.0})
    network = DeFlow.fit(unpaired(), settings, **fitting(tmp_path)).network
    assert not network.cov_shift.any() and not network.split.cov_shift.any()
    assert network.mean_shift.any()


@pytest.mark.parametrize(
    "change",
    [{"halve_at": ()}, {"lr": 1e-4}, {"betas": (0.5, 0.9)}, {"matching": "measured"}, {"matching": "aim19"}],
    ids=str,
)
def test_every_switch_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    base = fitted(tmp_path / "a").network.state_dict()
    other = fitted(tmp_path / "b", **change).network.state_dict()
    assert any(not torch.equal(base[name], other[name]) for name in base)


def test_the_encoder_starts_from_a_file(tmp_path: Path) -> None:
    encoder = Encoder(4, 4, 2, 1, (0,))
    torch.save(encoder.state_dict(), tmp_path / "RRDB.pth")
    run = Likelihood(unpaired(), tiny(encoder_file=str(tmp_path / "RRDB.pth")), 0, "cpu")
    assert torch.equal(run.network.RRDB.conv_first.weight, encoder.conv_first.weight)
    torch.save(Encoder(4, 8, 2, 1, (0,)).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(CheckpointError, match=r"wide\.pth: layer 'conv_first\.weight'"):
        Likelihood(unpaired(), tiny(encoder_file=str(tmp_path / "wide.pth")), 0, "cpu")
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        Likelihood(unpaired(), tiny(encoder_file=str(tmp_path / "none.pth")), 0, "cpu")


@pytest.mark.parametrize(("scale", "settings", "matching"), [(4, DeFlowSettings(), None), (8, aim19(), AIM19)])
def test_published_files_are_told_apart_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: int, settings: DeFlowSettings, matching: Matching | None
) -> None:
    small = DeFlowNetwork(Encoder(scale, 4, 2, 1, (0,)), 1, 4, 0.0)
    torch.save(small.state_dict(), tmp_path / "DeFlow.pth")
    with pytest.raises(CheckpointError, match=r"DeFlow\.pth: layer 'RRDB\.conv_first\.weight' has shape"):
        DeFlow.from_published(tmp_path / "DeFlow.pth")
    empty = DeFlowNetwork(Encoder(scale, 4, 2, 1, (0,)), 1, 4, 0.0)
    monkeypatch.setattr("baselines.noise.deflow.model.build", lambda given: empty if given == settings else None)
    model = DeFlow.from_published(tmp_path / "DeFlow.pth")
    assert model.settings == settings and model.matching == matching
    assert all(torch.equal(a, b) for a, b in zip(model.network.parameters(), small.parameters(), strict=True))


def test_bad_input_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="multiple of 8"):
        DeFlowTraining(crop=60)
    with pytest.raises(SettingsError, match="block numbers of 0 to 1"):
        DeFlowSizes(blocks=2, stacked=(0, 2))
    with pytest.raises(SettingsError, match="scale"):
        DeFlowSizes(scale=2)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no noisy images"):
        DeFlow.fit(Domains(source=pool()), tiny(), **fitting(tmp_path / "a"))
    with pytest.raises(DataError, match="at least 32x32"):
        fitted(tmp_path / "b", crop=32)
    with pytest.raises(TrainingError, match="loss|gradient"):
        fitted(tmp_path / "c", lr=1e30, skip_limit=0, steps=4, halve_at=())
    model = fitted(tmp_path / "d", matching="measured")
    model.matching = None
    model.save(tmp_path / "saved")
    with pytest.raises(CheckpointError, match="lacks the statistics"):
        DeFlow.load(tmp_path / "saved", "cpu")


def test_the_flow_learns_that_a_domain_is_noisier(tmp_path: Path) -> None:
    """A likelihood that says which domain an image is from is what the shift of latents needs."""
    clean = pool(4, 32)
    settings = tiny(steps=40, batch=8, lr=3e-3, crop=16, log_every=20)
    network = DeFlow.fit(Domains(source=clean, target=with_noise(clean, 40)), settings, **fitting(tmp_path)).network
    batch = DomainCrops(
        Domains(source=clean, target=with_noise(clean, 40, seed=9)), batch=32, crop=16, scale=4, seed=5
    ).batch(0)
    with torch.no_grad():
        right = network(batch.image, batch.low, batch.degraded, draws())
        wrong = network(batch.image, batch.low, ~batch.degraded, draws())
    assert float(((wrong > right).float()).mean()) > 0.8

"""The objective: each dialect against its formula written out, annealing, the GAN terms, every switch has an effect."""

import math

import pytest
import torch
import torch.nn.functional as F

from senm.config import PAPER, LossSettings, NetworkSettings, PairedModelSettings, PairedNetworkSettings
from senm.data.domains import Batch
from senm.level import LevelNet, measured_level
from senm.losses import Critic, Draws, annealing, auxiliary_scale, paired_terms, relativistic, semi_terms
from senm.model import SeNMVAE
from senm.paired import PairedVAE
from senm.support.errors import CheckpointError, MachineError
from senm.training.perceptual import ALEXNET, Perceptual
from senm.training.rows import split
from tests.senm.test_model import SMALL, awake, batch_of, draws_for

AUTHORS_LOSS = LossSettings(lpips_weight=0, gan_weight=0, anneal_steps=10)
PAPER_LOSS = PAPER.loss.but(lpips_weight=0.0, gan_weight=0.0, anneal_steps=10)


@pytest.fixture
def model() -> SeNMVAE:
    return awake(SeNMVAE(SMALL))


@pytest.fixture
def net() -> LevelNet:
    return LevelNet().double()


def pieces(model: SeNMVAE, net: LevelNet, batch: Batch, draws: Draws):
    """Both passes as the objective runs them, and latent sizes by layer."""
    p = batch.paired
    level = torch.cat([measured_level(batch.x[:p], batch.y[:p]), net(batch.y)[p:]])
    clean, noisy = model(batch.x, batch.y, level, p, draws.coins, draws.noise_x, draws.noise_y)
    pixels = torch.tensor([float(h * w) for h, w in model.latent_shapes(16, 16)]).unsqueeze(1)
    return clean, noisy, SMALL.nf * pixels, SMALL.zn_dim * pixels


def test_authors_dialect_is_the_published_sum(model: SeNMVAE, net: LevelNet) -> None:
    batch = batch_of(2, 1, 2)
    draws = draws_for(model, batch)
    clean, noisy, z, zn = pieces(model, net, batch, draws)
    ramp = 1e-2 * 5 / 10
    kl_zn = (noisy.kl_zn / zn).sum(0).mean()
    kl_z = ((clean.kl_z / z).sum(0) + (noisy.kl_z / z).sum(0)).mean()
    level = (net(batch.y[:2]) - measured_level(batch.x[:2], batch.y[:2])).abs().mean()
    expected = (F.mse_loss(clean.image, batch.x) + F.mse_loss(noisy.image, batch.y)
                + ramp * kl_zn + ramp * 1e-7 * kl_z + level)
    torch.testing.assert_close(semi_terms(model, net, batch, draws, 5, AUTHORS_LOSS).total, expected)


def test_paper_dialect_is_equation_11(model: SeNMVAE, net: LevelNet) -> None:
    batch = batch_of(2, 1, 2)
    draws = draws_for(model, batch)
    draws.coins = (torch.zeros(2, dtype=torch.bool), torch.ones(2, dtype=torch.bool))
    clean, noisy, _, _ = pieces(model, net, batch, draws)
    log_x = 0.5 * (clean.image - batch.x).square().flatten(1).sum(1)
    log_y = 0.5 * (noisy.image - batch.y).square().flatten(1).sum(1)
    kl_zn, kl_z = noisy.kl_zn.sum(0), clean.kl_z.sum(0)
    ramp = 0.5
    loss_p = (0.5 * log_y[:2] + ramp * 0.5 * kl_zn[:2] + 0.5 * log_x[:2] + 1e-7 * kl_z).mean()
    loss_s = 0.5 * log_x[2:].mean()
    loss_t = (0.5 * log_y[2:] + ramp * 0.5 * kl_zn[2:]).mean()
    terms = semi_terms(model, net, batch, draws, 5, PAPER_LOSS)
    by_domain = {d: sum(v for k, v in terms.values.items() if k.startswith(d)) for d in ("paired", "source", "target")}
    torch.testing.assert_close(by_domain["paired"], loss_p)
    torch.testing.assert_close(by_domain["source"], loss_s)
    torch.testing.assert_close(by_domain["target"], loss_t)


def test_a_clean_pass_that_is_made_for_its_kl_alone_reconstructs_nothing(model: SeNMVAE, net: LevelNet) -> None:
    batch = batch_of(2, 1, 2)
    loss = AUTHORS_LOSS.but(reconstruct_x=False, kl_z_passes="from_y")
    terms = semi_terms(model, net, batch, draws_for(model, batch), 5, loss)
    assert float(terms.values["paired/kl_z"]) > 0
    assert not [name for name in terms.values if name.endswith("rec_x")]


@pytest.mark.parametrize("loss", [AUTHORS_LOSS, PAPER_LOSS], ids=["authors", "paper"])
def test_parts_of_a_batch_add_up_to_the_whole(model: SeNMVAE, net: LevelNet, loss: LossSettings) -> None:
    batch = batch_of(3, 2, 2)
    draws = draws_for(model, batch)
    counts = {"paired": 3, "source": 2, "target": 2}
    whole = semi_terms(model, net, batch, draws, 7, loss)
    parts = [semi_terms(model, net, b, d, 7, loss, counts) for b, d in split(batch, draws, 2)]
    for name, value in whole.values.items():
        torch.testing.assert_close(sum(part.values.get(name, 0.0) for part in parts), value)


@pytest.mark.parametrize("change", [
    {"lam": 1e-2}, {"kl_weight": 1.0}, {"anneal_steps": 0}, {"reconstruct_x": False}, {"level_weight": 0.0},
    {"reduction": "sum"}, {"p1": 0.5}, {"p2": 0.5}, {"kl_z_passes": "from_y"}, {"average_over": "domains"},
    {"anneal": "kl_zn"},
], ids=lambda change: next(iter(change)))
def test_every_switch_of_the_loss_has_an_effect(model: SeNMVAE, net: LevelNet, change: dict) -> None:
    batch = batch_of(2, 1, 2)
    base = AUTHORS_LOSS.but(lam=1.0)
    draws = draws_for(model, batch)
    before = semi_terms(model, net, batch, draws, 5, base)
    after = semi_terms(model, net, batch, draws, 5, base.but(**change))
    assert not torch.isclose(before.total, after.total, rtol=1e-9)


def test_without_reconstruction_the_source_domain_teaches_nothing(model: SeNMVAE, net: LevelNet) -> None:
    batch = batch_of(2, 3, 1)
    terms = semi_terms(model, net, batch, draws_for(model, batch), 5, AUTHORS_LOSS.but(reconstruct_x=False))
    assert not any("rec_x" in name or name.startswith("source") for name in terms.values)


def test_paired_objective_is_its_formula() -> None:
    model = awake(PairedVAE(PairedNetworkSettings(nf=8, nls=(1, 1), growth=8)))
    settings = PairedModelSettings().but(loss={"anneal_steps": 10})
    batch = batch_of(3, 0, 0)
    noise = model.draw_noise(3, 16, 16, torch.Generator().manual_seed(0))
    descent = model(batch.x, batch.y, noise)
    expected = F.mse_loss(descent.image, batch.y) + 1e-4 * 0.5 * descent.kl_zn.sum() / batch.x.numel()
    nothing = torch.zeros(3, dtype=torch.bool)
    terms = paired_terms(model, batch, Draws((nothing, nothing), {}, noise), 5, settings)
    torch.testing.assert_close(terms.total, expected)


def test_annealing_is_linear_and_ends_at_one() -> None:
    loss = LossSettings(anneal_steps=10)
    assert [annealing(step, loss) for step in (0, 5, 10, 99)] == [0.0, 0.5, 1.0, 1.0]
    assert annealing(0, LossSettings(anneal_steps=0)) == 1.0


def test_relativistic_loss_is_log_two_for_equal_logits_and_rewards_order() -> None:
    same = torch.full((2, 1, 3, 3), 0.7)
    assert abs(float(relativistic(same, same)) - math.log(2)) < 1e-6
    assert float(relativistic(same + 3, same)) < float(relativistic(same, same)) < float(relativistic(same, same + 3))


def test_critic_scores_patches_and_has_no_bias_before_a_norm() -> None:
    critic = Critic(8)
    assert critic(torch.rand(2, 3, 64, 64)).shape == (2, 1, 6, 6)
    convs = [m for m in critic.layers if isinstance(m, torch.nn.Conv2d)]
    assert [c.bias is None for c in convs] == [False, True, True, True, False]
    assert sum(p.numel() for p in Critic(64).parameters()) == 2_765_633


def test_auxiliary_terms_keep_their_balance_under_sums() -> None:
    image = torch.rand(2, 3, 4, 4)
    assert auxiliary_scale(LossSettings(), image) == 1.0
    assert auxiliary_scale(LossSettings(reduction="sum"), image) == 0.5 * 48


def test_perceptual_term_needs_weights_and_its_range_matters(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SENM_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MachineError, match=ALEXNET):
        Perceptual(True)
    from torchvision.models import alexnet

    torch.manual_seed(0)
    torch.save(alexnet(weights=None).state_dict(), tmp_path / ALEXNET)
    with pytest.raises(CheckpointError, match=r"has sha256 .*expected: 7be5be79"):
        Perceptual(True)
    monkeypatch.setattr("senm.training.perceptual.ALEXNET_SHA256", "")
    a, b = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    one, two = Perceptual(False), Perceptual(True)
    assert one(a, b).shape == (2,) and float(one(a, a).abs().max()) == 0
    assert not torch.allclose(one(a, b), two(a, b))
    torch.testing.assert_close(one(2 * a - 1, 2 * b - 1), two(a, b))


def test_network_settings_reach_the_network() -> None:
    assert len(SeNMVAE(NetworkSettings(nf=8, zn_dim=4, nls=(1, 2, 1), growth=8)).decode) == 6

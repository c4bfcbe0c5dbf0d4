"""The networks' structure: only what a domain needs is computed, gradients go where they should, levels matter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from senm.config import AUTHORS, PAPER, LossSettings, NetworkSettings, PairedNetworkSettings
from senm.data.domains import Batch
from senm.level import LevelNet, keep_mean, measured_level
from senm.losses import Draws, semi_terms
from senm.model import SeNMVAE
from senm.paired import PairedVAE

SMALL = NetworkSettings(nf=8, zn_dim=4, nls=(1, 1), growth=8)
PLAIN = LossSettings(lpips_weight=0, gan_weight=0, anneal_steps=0)


def awake(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The network with every parameter away from its silent start."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=g))
    return network.double()


def batch_of(p: int, s: int, t: int, side: int = 16) -> Batch:
    g = torch.Generator().manual_seed(1)
    x, y = (torch.rand(n, 3, side, side, generator=g, dtype=torch.float64) for n in (p + s, p + t))
    return Batch(x, y, p, s, t)


def draws_for(model: SeNMVAE, batch: Batch) -> Draws:
    g = torch.Generator().manual_seed(2)
    side = max(batch.x.shape[-1], batch.y.shape[-1])
    coins = tuple(torch.arange(batch.paired) % 2 == k for k in (0, 1))
    return Draws(coins, model.draw_noise(len(batch.x), side, side, g, ("z",)),
                 model.draw_noise(len(batch.y), side, side, g))


def test_sparse_pass_equals_computing_everything_and_masking() -> None:
    model = awake(SeNMVAE(SMALL))
    whole = batch_of(3, 0, 0)
    level, coins = measured_level(whole.x, whole.y), (torch.tensor([True, False, True]),) * 2
    noise = draws_for(model, whole)
    dense_x, dense_y = model(whole.x, whole.y, level, 3, coins, noise.noise_x, noise.noise_y)
    # Row 0 stays paired (its coin says x); row 1 becomes target (coin y) and row 2 source (coin x).
    rows_x, rows_y = [0, 2], [0, 1]
    part = {"x": {k: [e[rows_x] for e in v] for k, v in noise.noise_x.items()},
            "y": {k: [e[rows_y] for e in v] for k, v in noise.noise_y.items()}}
    one = (coins[0][:1],) * 2
    clean, noisy = model(whole.x[rows_x], whole.y[rows_y], level[rows_y], 1, one, part["x"], part["y"])
    torch.testing.assert_close(clean.image, dense_x.image[rows_x])
    torch.testing.assert_close(noisy.image, dense_y.image[rows_y])
    torch.testing.assert_close(noisy.kl_zn, dense_y.kl_zn[:, rows_y])
    torch.testing.assert_close(clean.kl_z, dense_x.kl_z[:, :1])


def test_equal_domains_need_about_six_tenths_of_the_work() -> None:
    model = SeNMVAE(NetworkSettings(nf=16, zn_dim=8, nls=(2, 4), growth=16)).double()

    def flops(p: int, s: int, t: int) -> int:
        batch = batch_of(p, s, t)
        d = draws_for(model, batch)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(batch.x, batch.y, torch.rand(p + t).double(), p, d.coins, d.noise_x, d.noise_y)
        return counter.get_total_flops()

    dense = flops(9, 0, 0)
    assert 0.54 < flops(3, 3, 3) / dense < 0.64


@pytest.mark.parametrize("counts", [(2, 1, 2), (2, 0, 0), (0, 1, 2), (3, 1, 0)])
def test_crossed_latents_need_less_work_for_the_same_numbers(counts: tuple[int, int, int]) -> None:
    model, (p, s, t) = awake(SeNMVAE(SMALL)), counts
    batch = batch_of(p, s, t)
    d, level = draws_for(model, batch), torch.rand(p + t).double()
    coins = torch.zeros(p, dtype=torch.bool), torch.ones(p, dtype=torch.bool)
    found, work = [], []
    for crossed in (False, True):
        with FlopCounterMode(display=False) as counter:
            found.append(model(batch.x, batch.y, level, p, coins, d.noise_x, d.noise_y, kl_z_in_noisy=False,
                               crossed=crossed))
        work.append(counter.get_total_flops())
    for (mine, other) in zip(*found, strict=True):
        for name, value in vars(mine).items():
            torch.testing.assert_close(value, vars(other)[name])
    assert work[1] < work[0] if p else work[1] == work[0]


TRAINED_BY = {
    "source": {"encode_x", "q_zx", "project_z", "decode", "output"},
    "target": {"encode_y", "encode_n", "q_zy", "q_zn", "p_zn", "project_z", "project_zn", "decode", "output"},
}
TRAINED_BY["paired"] = TRAINED_BY["source"] | TRAINED_BY["target"]


@pytest.mark.parametrize("domain", TRAINED_BY)
def test_gradients_reach_exactly_what_a_domain_trains(domain: str) -> None:
    model, net = awake(SeNMVAE(SMALL)), LevelNet().double()
    batch = batch_of(*(2 * (name == domain) for name in ("paired", "source", "target")))
    semi_terms(model, net, batch, draws_for(model, batch), 1, PLAIN).total.backward()
    for name, parameter in model.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        assert reached == (name.split(".")[0] in TRAINED_BY[domain]), name
    assert any(p.grad is not None for p in net.parameters()) == (domain == "paired")


def test_level_and_temperature_change_the_noise() -> None:
    model, x = awake(SeNMVAE(SMALL)), batch_of(0, 1, 0).x
    noise = draws_for(model, batch_of(1, 0, 0)).noise_y
    base = model.translate(x, 0.05, noise=noise)
    assert not torch.allclose(base, model.translate(x, 0.2, noise=noise))
    assert not torch.allclose(base, model.translate(x, 0.05, temperature=0.5, noise=noise))
    other = awake(PairedVAE(PairedNetworkSettings(nf=8, nls=(1, 1), growth=8)))
    paired_noise = other.draw_noise(1, 16, 16, torch.Generator().manual_seed(0))
    assert not torch.allclose(other.generate(x, 0.05, paired_noise), other.generate(x, 0.2, paired_noise))


def test_keep_mean_shifts_each_channel_to_the_clean_mean() -> None:
    x, y = batch_of(2, 0, 0).x, batch_of(2, 0, 0).y
    torch.testing.assert_close(keep_mean(y, x).mean((2, 3)), x.mean((2, 3)))


def test_full_size_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in SeNMVAE(AUTHORS.network).parameters()) == 19_955_739
    assert PAPER.network == AUTHORS.network and AUTHORS.network.layers == 7
    assert sum(p.numel() for p in PairedVAE().parameters()) == 17_043_011

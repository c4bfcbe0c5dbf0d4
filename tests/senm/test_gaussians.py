"""Closed forms against Monte Carlo, and the bound of proposition 1."""

import math

import torch

from senm.gaussians import Gaussian, kl, select


def random_gaussian(seed: int, shape: tuple[int, ...] = (1, 1, 1, 1)) -> Gaussian:
    g = torch.Generator().manual_seed(seed)
    return Gaussian(torch.randn(shape, generator=g, dtype=torch.float64),
                    0.4 * torch.randn(shape, generator=g, dtype=torch.float64))


def log_density(g: Gaussian, at: torch.Tensor) -> torch.Tensor:
    return -0.5 * ((at - g.mean) / g.log_std.exp()).square() - g.log_std - 0.5 * math.log(2 * math.pi)


def test_kl_is_what_monte_carlo_estimates() -> None:
    for seed in range(5):
        q, p = random_gaussian(2 * seed), random_gaussian(2 * seed + 1)
        eps = torch.randn(200_000, 1, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        draws = q.draw(eps)
        ratio = log_density(q, draws) - log_density(p, draws)
        assert abs(float(kl(q, p)) - float(ratio.mean())) < 5 * float(ratio.std()) / math.sqrt(len(eps))


def test_kl_of_equal_gaussians_is_zero_and_otherwise_positive() -> None:
    q = random_gaussian(0, (2, 3, 4, 4))
    assert float(kl(q, q).abs().max()) == 0
    assert float(kl(q, random_gaussian(1, (2, 3, 4, 4))).min()) > 0


def test_proposition_1_bounds_the_kl_of_the_mixture() -> None:
    at = torch.linspace(-14, 14, 20_001, dtype=torch.float64)
    width = float(at[1] - at[0])
    for seed in range(20):
        q_x, q_y = random_gaussian(2 * seed), random_gaussian(2 * seed + 1)
        density_x, density_y = (log_density(q, at.view(-1, 1, 1, 1)).exp().flatten() for q in (q_x, q_y))
        mixture = 0.5 * density_x + 0.5 * density_y
        exact = float((mixture * (mixture / density_x).log()).nan_to_num().sum()) * width
        assert 0 <= exact <= 0.5 * float(kl(q_y, q_x)) + 1e-9


def test_standardised_undoes_a_draw() -> None:
    q, eps = random_gaussian(3, (2, 3, 4, 4)), random_gaussian(4, (2, 3, 4, 4)).mean
    torch.testing.assert_close(q.standardised(q.draw(eps)), eps)


def test_select_takes_each_sample_from_its_side() -> None:
    a, b = random_gaussian(0, (3, 2, 1, 1)), random_gaussian(1, (3, 2, 1, 1))
    chosen = select(torch.tensor([True, False, True]), a, b)
    assert torch.equal(chosen.mean[1], b.mean[1]) and torch.equal(chosen.mean[0], a.mean[0])
    assert torch.equal(chosen.log_std[2], a.log_std[2])

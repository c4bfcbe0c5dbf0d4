"""The fitted prior, the level curve and the difference: closed forms, windows, and that each switch acts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from senm.config import PAIRED_SHORT, SHORT, SMOKE, NetworkSettings, PairedNetworkSettings
from senm.data.domains import Domains
from senm.data.levelled import levelled
from senm.data.pool import ArrayImages, Pairs
from senm.model import SeNMVAE
from senm.paired import PairedVAE
from senm.sampling import prior
from senm.sampling.afterwards import LevelCurve, calibrate
from senm.sampling.noise import Network, image_noise
from senm.sampling.trained import Trained
from senm.support.errors import CheckpointError, SettingsError

SEMI = SeNMVAE(NetworkSettings(nf=8, zn_dim=4, nls=(1, 1), growth=8))
FULL = PairedVAE(PairedNetworkSettings(nf=16, nls=(1, 1), growth=8))
CPU = torch.device("cpu")


def white(count: int, side: int = 64, channels: int = 2, seed: int = 0) -> list[list[torch.Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    return [[torch.randn(1, channels, side, side, generator=draw),
             torch.randn(1, channels, side // 2, side // 2, generator=draw)] for _ in range(count)]


@pytest.mark.parametrize("phase", [True, False])
def test_white_residuals_give_the_identity(phase: bool) -> None:
    fitted = prior.fit(white(24), phase)
    wanted = torch.zeros_like(fitted.filter)
    centre = prior.REACH
    wanted[:, :, centre, centre] = torch.eye(len(wanted))
    assert float((fitted.filter - wanted).abs().max()) < 0.03


def test_a_known_coloured_gaussian_is_recovered() -> None:
    taps = torch.tensor([[0.0, 0.2, 0.0], [0.2, 0.8, 0.3], [0.0, 0.1, 0.0]])

    def colour(layer: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(layer.transpose(0, 1), taps[None, None], padding=1).transpose(0, 1)

    known = [[colour(layers[0]), layers[1]] for layers in white(48)]
    fitted = prior.fit(known, phase=False)
    inner = torch.randn(1, 10, 128 + 2 * prior.REACH, 128 + 2 * prior.REACH,
                        generator=torch.Generator().manual_seed(1))
    made = prior.split(fitted.colour(inner), 2, [2, 1])[0][0, 0].numpy()
    full = np.convolve(taps.numpy().ravel(), [1])  # power of the filter: its variance
    assert made.var() == pytest.approx(float((full**2).sum()), rel=0.05)
    lag = float((made[:, 1:] * made[:, :-1]).mean())
    assert lag == pytest.approx(float((taps[:, 1:] * taps[:, :-1]).sum()), abs=0.03)


def test_lagged_products_by_hand() -> None:
    """Of 2 channels of 3 x 2 cells: for each lag, the sum over all pairs of cells that far apart, and their number."""
    cells = np.random.default_rng(0).normal(size=(2, 3, 2))
    sums, counts = prior.lagged(cells)
    side = 2 * prior.ZERO + 1
    for dy in range(-prior.ZERO, prior.ZERO + 1):
        for dx in range(-prior.ZERO, prior.ZERO + 1):
            pairs = [(cells[:, r + dy, c + dx], cells[:, r, c]) for r in range(3) for c in range(2)
                     if 0 <= r + dy < 3 and 0 <= c + dx < 2]
            place = prior.ZERO + dy, prior.ZERO + dx
            assert counts[place].item() == len(pairs)
            wanted = sum((np.outer(there, here) for there, here in pairs), np.zeros((2, 2)))
            np.testing.assert_allclose(sums[place], wanted, atol=1e-12)
    assert sums.shape == (side, side, 2, 2)


@pytest.mark.parametrize(("lag", "kept"), [(1, 1.0), (2, 1.0), (4, 0.5), (6, 0.0)])
def test_covariances_are_whole_up_to_two_cells_and_nothing_from_six(lag: int, kept: float) -> None:
    """One channel with a covariance of 0.2 at one lag: what the filter's own covariance is there."""
    covariances = np.zeros((2 * prior.ZERO + 1, 2 * prior.ZERO + 1, 1, 1))
    covariances[prior.ZERO, prior.ZERO] = 1
    for sign in (-1, 1):
        covariances[prior.ZERO, prior.ZERO + sign * lag] = 0.2
    taps = prior.square_root(covariances, None)[0, 0].astype(np.float64)
    wide = np.pad(taps, 8)
    made = float((wide * np.roll(wide, lag, 1)).sum())
    assert made == pytest.approx(0.2 * kept, abs=0.02)
    assert float((taps**2).sum()) == pytest.approx(1, abs=1e-5), "the variance is put right"


@pytest.mark.parametrize("rows", [True, False])
def test_without_phase_rows_and_columns_are_alike(rows: bool) -> None:
    """Noise that is strong in every second row, or column: the filter that knows no phase makes all of one strength."""
    strength = torch.tensor([0.5, 1.3]).repeat(32)
    scale = strength[:, None] if rows else strength[None]
    filter_ = prior.fit([[layers[0] * scale, layers[1]] for layers in white(24)], phase=False).filter
    inner = torch.randn(1, 10, 128 + 2 * prior.REACH, 128 + 2 * prior.REACH,
                        generator=torch.Generator().manual_seed(1))
    made = prior.split(torch.nn.functional.conv2d(inner, filter_), 2, [2, 1])[0][0, 0].numpy()
    found = [made[::2].var(), made[1::2].var()] if rows else [made[:, ::2].var(), made[:, 1::2].var()]
    assert found == pytest.approx([0.97, 0.97], rel=0.08)


def test_images_smaller_than_the_longest_lag_give_a_filter() -> None:
    assert bool(prior.fit(white(24, side=8), phase=True).filter.isfinite().all())


def test_without_phase_layers_keep_to_themselves() -> None:
    """The second layer is a copy of places of the first: seen with phase, not seen without."""
    copied = [[layers[0], layers[0][..., ::2, ::2].clone()] for layers in white(24)]
    for phase in (True, False):
        centre = prior.fit(copied, phase).filter[:, :, prior.REACH, prior.REACH].numpy()
        between = np.abs(centre[:8, 8:]).max()
        assert (between > 0.4 if phase else between < 1e-6) and np.abs(np.diag(centre)).min() > 0.4


def test_the_phase_is_kept_where_it_is_asked_for() -> None:
    scale = torch.tensor([[0.5, 1.3], [1.3, 0.5]]).repeat(32, 32)
    known = [[layers[0] * scale, layers[1]] for layers in white(24)]
    inner = torch.randn(1, 10, 128 + 2 * prior.REACH, 128 + 2 * prior.REACH,
                        generator=torch.Generator().manual_seed(1))
    for phase, wanted in ((True, (0.25, 1.69)), (False, (0.97, 0.97))):
        made = prior.split(prior.fit(known, phase).colour(inner), 2, [2, 1])[0][0, 0].numpy()
        assert made[::2, ::2].var() == pytest.approx(wanted[0], rel=0.08)
        assert made[::2, 1::2].var() == pytest.approx(wanted[1], rel=0.08)


def test_fitting_hardly_lowers_the_likelihood_of_held_out_white_draws() -> None:
    fitted = prior.fit(white(10), phase=True)
    taps = fitted.filter[:, :, prior.REACH, prior.REACH].double()
    held = prior.joined(white(1, seed=9)[0])[0].flatten(1).double()
    covariance = taps @ taps.T
    ours = -0.5 * (torch.logdet(covariance) + (held * torch.linalg.solve(covariance, held)).sum(0).mean())
    assert float(ours) > -0.5 * float((held**2).sum(0).mean()) - 0.02


def test_the_test_on_the_pairs_finds_a_phase_and_no_phase() -> None:
    draw = np.random.default_rng(0)
    plain = [draw.standard_normal((64, 64, 3)) for _ in range(8)]
    mosaic = np.tile(np.array([[1.0, 0.7], [0.7, 1.0]]), (32, 32))[..., None]
    assert not prior.follows_phase(plain)
    assert prior.follows_phase([noise * mosaic for noise in plain])
    assert not prior.follows_phase(plain[:2]), "two pairs show nothing"


def some_prior(network: Network) -> prior.FittedPrior:
    channels = {"semi": 4, "full": 4}["semi" if isinstance(network, SeNMVAE) else "full"]
    return prior.fit(white(4, channels=channels) if network is None else [
        [torch.randn(1, channels, *shape, generator=torch.Generator().manual_seed(i))
         for i, shape in enumerate(network.latent_shapes(32, 32))] for _ in range(3)], phase=True)


@pytest.mark.parametrize("network", [SEMI, FULL], ids=["semi", "full"])
def test_a_window_of_the_draws_is_the_draw_of_the_window(network: Network) -> None:
    fitted = some_prior(network)
    whole = image_noise(network, ["a"], (64, 48), 3, CPU, prior=fitted)["zn"]
    part = image_noise(network, ["a"], (64, 48), 3, CPU, (16, 8, 32, 24), prior=fitted)["zn"]
    for layer, shape in enumerate(network.latent_shapes(64, 48)):
        by = 64 // shape[0]
        mine = whole[layer][..., 16 // by: 48 // by, 8 // by: 32 // by]
        torch.testing.assert_close(part[layer], mine, atol=1e-5, rtol=0)


def test_the_identity_leaves_the_draws_as_they_are() -> None:
    channels = 4 * (4 + 1 + 1)
    taps = torch.zeros(channels, channels, 2 * prior.REACH + 1, 2 * prior.REACH + 1)
    taps[:, :, prior.REACH, prior.REACH] = torch.eye(channels)
    plain = image_noise(SEMI, ["a", "b"], (16, 16), 3, CPU)["zn"]
    same = image_noise(SEMI, ["a", "b"], (16, 16), 3, CPU, prior=prior.FittedPrior(taps, True))["zn"]
    for layer in range(3):
        torch.testing.assert_close(same[layer], plain[layer], atol=1e-6, rtol=0)


def pairs_of(level: float, count: int = 12, side: int = 32) -> Pairs:
    draw = np.random.default_rng(0)
    clean = draw.integers(60, 190, (count, side, side, 3)).astype(np.uint8)
    noise = draw.normal(0, 255 * level, clean.shape) * np.linspace(0.7, 1.3, count)[:, None, None, None]
    noisy = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
    names = [f"n{i}" for i in range(count)]
    return Pairs(ArrayImages(clean, names), ArrayImages(noisy, names))


def test_the_curve_undoes_noise_that_is_too_weak() -> None:
    def weak(images, level, seed):  # type: ignore[no-untyped-def]
        draw = np.random.default_rng(seed % 2**32)
        for i, name in enumerate(images.names):
            noise = 0.8 * level(name) ** 1.1 * 255 * draw.standard_normal(images[i].shape)
            yield np.clip(np.rint(images[i] + noise), 0, 255).astype(np.uint8)

    curve = calibrate(pairs_of(0.1), 2, 0, weak)
    for level in (0.08, 0.1, 0.12):
        assert 0.8 * curve(level) ** 1.1 == pytest.approx(level, rel=0.03)
    assert LevelCurve((0.0,), (0.1, 0.2))(0.15) == pytest.approx(0.15)
    assert curve(0.0) == 0.0 and curve(0.9) <= 1.0


def trained(kind: str = "semi") -> Trained:
    settings = SMOKE if kind == "semi" else PAIRED_SHORT
    torch.manual_seed(0)
    network: Network = SeNMVAE(settings.network) if kind == "semi" else PairedVAE(settings.network)
    with torch.no_grad():
        for name, weights in network.named_parameters():
            weights.add_((0.02 if "log_std" in name else 0.1) * torch.randn_like(weights))
    made = Trained(network, settings, [0.1], health={"skipped": 2})
    made.fit_afterwards(pairs_of(0.1), 0, _quiet())
    return made


def _quiet():  # type: ignore[no-untyped-def]
    from senm.support.progress import NullProgress

    return NullProgress()


@pytest.mark.parametrize("kind", ["semi", "full"])
def test_what_is_fitted_is_kept_and_every_switch_acts(kind: str, tmp_path: Path) -> None:
    model, pairs = trained(kind), pairs_of(0.1)
    clean = levelled(pairs)
    model.save(tmp_path / "model")
    again = Trained.load(tmp_path / "model")
    first = np.stack(list(model.sample(clean, seed=1)))
    np.testing.assert_array_equal(first, np.stack(list(again.sample(clean, seed=1))))
    assert again.health == {"skipped": 2}
    backwards = list(again.sample(clean.subset(range(len(clean) - 1, -1, -1)), seed=1, batch=1))[::-1]
    np.testing.assert_array_equal(first, np.stack(backwards))
    tiled = np.stack(list(again.sample(clean.subset([0]), seed=1, tile=8)))
    assert np.abs(tiled[0].astype(int) - first[0]).max() <= 1
    switches = {"prior": "standard", "level_curve": "none"} | ({"output": "direct"} if kind == "semi" else {})
    for name, value in switches.items():
        other = np.stack(list(model.sample(clean, seed=1, sampling={name: value})))
        assert not np.array_equal(first, other), name


def test_a_model_that_lacks_what_its_settings_ask_for_says_so(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "model")
    (tmp_path / "model" / "prior.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no prior\.safetensors"):
        Trained.load(tmp_path / "model")
    model.save(tmp_path / "model")
    (tmp_path / "model" / "curve.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"curve\.json"):
        Trained.load(tmp_path / "model")
    with pytest.raises(SettingsError, match="difference"):
        PAIRED_SHORT.but(sampling={"output": "difference"})


def test_without_pairs_nothing_is_fitted_and_the_settings_say_so() -> None:
    model = Trained(SeNMVAE(SMOKE.network), SHORT.but(network=SMOKE.network), [0.1])
    model.fit_afterwards(Domains().paired, 0, _quiet())
    assert model.prior is None and model.settings.sampling.prior == "standard"

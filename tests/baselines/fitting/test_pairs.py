"""Training crops: aligned, mixed as asked, and a function of seed and step only."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.fitting.pairs import PairSampler, UnpairedSampler, source_weights
from senm.data.domains import Domains
from senm.data.pool import ArrayImages, Pairs
from senm.support.errors import DataError, SettingsError
from tests.baselines.tiny import enlarged, pairs, pool, unpaired


def inverted(seed: int = 0) -> Pairs:
    """Random images whose noisy side is the negative, so that any misalignment shows."""
    image = np.random.default_rng(seed).integers(0, 256, (3, 20, 24, 3), dtype=np.uint8)
    return Pairs(ArrayImages(image, "abc"), ArrayImages(255 - image, "abc"))


def sampler(*sources: Pairs, **changes: object) -> PairSampler:
    values: dict[str, object] = {"mixing": "by_size", "batch": 6, "crop": 8, "seed": 1, **changes}
    return PairSampler(sources, **values)  # type: ignore[arg-type]


def test_both_sides_of_a_pair_are_cut_and_turned_alike() -> None:
    noisy, clean = sampler(inverted(), inverted(1)).batch(0)
    assert noisy.shape == clean.shape == (6, 3, 8, 8)
    assert torch.allclose(noisy + clean, torch.ones_like(clean))


def test_enlarged_targets_lie_over_their_inputs() -> None:
    low, high = sampler(enlarged(pool(side=16)), factor=4).batch(0)
    assert high.shape == (6, 3, 32, 32)
    assert torch.equal(high[..., ::4, ::4], low)
    assert torch.equal(high[..., 3::4, 3::4], low)


def test_a_batch_depends_on_seed_and_step_only() -> None:
    first = sampler(inverted())
    before = first.batch(5)
    first.batch(6)
    assert all(torch.equal(a, b) for a, b in zip(before, first.batch(5), strict=True))
    assert not torch.equal(before[0], sampler(inverted()).batch(6)[0])
    assert not torch.equal(before[0], sampler(inverted(), seed=2).batch(5)[0])


@pytest.mark.parametrize(
    ("mixing", "share"), [("by_size", 1 / 4), ("equal", 1 / 2), ((1.0, 3.0), 3 / 4), ((1.0, 0.0), 0.0)]
)
def test_mixing_decides_how_often_each_set_is_drawn(mixing: object, share: float) -> None:
    dark = Pairs(*(ArrayImages(np.full((6, 8, 8, 3), 10, np.uint8), "abcdef") for _ in range(2)))
    light = Pairs(*(ArrayImages(np.full((2, 8, 8, 3), 250, np.uint8), "gh") for _ in range(2)))
    noisy, _ = sampler(dark, light, mixing=mixing, batch=2000).batch(0)
    assert float((noisy[:, 0, 0, 0] > 0.5).float().mean()) == pytest.approx(share, abs=0.04)


def test_empty_sets_are_left_out() -> None:
    assert source_weights([0, 3], "equal").tolist() == [0.0, 1.0]
    assert source_weights([0, 3], (5.0, 1.0)).tolist() == [0.0, 1.0]


def test_wrong_mixing_and_missing_data_are_named() -> None:
    with pytest.raises(DataError, match="no pairs"):
        source_weights([0, 0], "equal")
    with pytest.raises(SettingsError, match="2 sets of pairs"):
        source_weights([1, 1], (1.0,))
    with pytest.raises(SettingsError, match="weight 0 to every set"):
        source_weights([1, 0], (0.0, 1.0))
    with pytest.raises(DataError, match="crop"):
        sampler(pairs(side=8), crop=9)
    with pytest.raises(DataError, match="clean side of 4 times"):
        sampler(pairs(side=32), factor=4)


def test_unpaired_sides_are_drawn_separately_from_their_domains() -> None:
    draw = UnpairedSampler(unpaired(), batch=5, crop=8, seed=0)
    clean, noisy = draw.batch("critic", 0)
    assert clean.shape == noisy.shape == (5, 3, 8, 8)
    assert not torch.equal(draw.batch("generator", 0)[0], clean)


def test_sides_of_pairs_join_the_unpaired_pools() -> None:
    data = inverted()
    clean, noisy = UnpairedSampler(Domains(paired=data), batch=40, crop=8, seed=0).batch("critic", 0)
    assert not torch.allclose(clean + noisy, torch.ones_like(clean))
    with pytest.raises(DataError, match="no noisy images"):
        UnpairedSampler(Domains(source=pool()), batch=1, crop=8, seed=0)

"""Crops and the three-domain sampler: pure batches, equal domains, one flip for both sides of a pair."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from senm.data import ArrayImages, Domains, DomainSampler, FileImages, Images, Pairs, RaggedImages, write_png
from senm.data.crops import CropReader, Positions, augment, random_crops
from senm.data.pool import empty_images, empty_pairs
from senm.support.errors import DataError, UsageError

RNG = np.random.default_rng(2)
PAIRED, SOURCE, TARGET = (RNG.integers(0, 64, (5, 20, 24, 3), dtype=np.uint8) + np.uint8(64 * k) for k in range(3))


def pool(array: np.ndarray, tag: str) -> ArrayImages:
    return ArrayImages(array, [f"{tag}{i}" for i in range(len(array))])


def domains(paired: bool = True, source: bool = True, target: bool = True) -> Domains:
    """Values tell the domain: paired clean 0-63 and noisy 255 - clean, source 64-127, target 128-191."""
    return Domains(Pairs(pool(PAIRED, "p"), pool(255 - PAIRED, "p")) if paired else empty_pairs(),
                   pool(SOURCE, "s") if source else empty_images(), pool(TARGET, "t") if target else empty_images())


def test_rows_are_in_the_agreed_order() -> None:
    batch = DomainSampler(domains(), 30, 16, seed=0).batch(0)
    p, s, t = batch.paired, batch.source, batch.target
    assert p + s + t == 30 == len(batch) and min(p, s, t) > 0
    assert batch.x.shape == (p + s, 3, 16, 16) and batch.y.shape == (p + t, 3, 16, 16)
    x, y = (255 * batch.x).round(), (255 * batch.y).round()
    assert batch.x.dtype == torch.float32 and batch.x.is_contiguous()
    assert x[:p].max() < 64 <= x[p:].min() and x[p:].max() < 128
    assert y[:p].min() >= 192 and y[p:].min() >= 128 and y[p:].max() < 192


def test_both_sides_of_a_pair_get_the_same_place_and_flip() -> None:
    batch = DomainSampler(domains(), 64, 8, seed=1).batch(5)
    total = batch.x[:batch.paired] + batch.y[:batch.paired]
    assert torch.allclose(total, torch.ones_like(total))


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    a, b = DomainSampler(domains(), 12, 8, seed=3), DomainSampler(domains(), 12, 8, seed=3)
    for step in range(6):
        a.batch(step)
    assert torch.equal(a.batch(2).x, b.batch(2).x) and torch.equal(a.batch(2).y, b.batch(2).y)
    assert not torch.equal(b.batch(2).x[:1], b.batch(3).x[:1])
    assert not torch.equal(DomainSampler(domains(), 12, 8, seed=4).batch(2).x[:1], b.batch(2).x[:1])


def test_domains_are_equally_likely_and_empty_ones_are_left_out() -> None:
    sampler = DomainSampler(domains(), 600, 4, seed=0)
    counts = np.sum([[b.paired, b.source, b.target] for b in (sampler.batch(i) for i in range(10))], axis=0)
    assert np.abs(counts / 6000 - 1 / 3).max() < 4 * np.sqrt(2 / 9 / 6000)
    only = DomainSampler(domains(paired=False), 400, 4, seed=0).batch(0)
    assert only.paired == 0 and abs(only.source - 200) < 60 and only.source + only.target == 400
    pairs = DomainSampler(domains(source=False, target=False), 7, 4, seed=0).batch(0)
    assert (pairs.paired, len(pairs.x), len(pairs.y)) == (7, 7, 7)
    noisy = DomainSampler(domains(paired=False, source=False), 7, 4, seed=0).batch(0)
    assert noisy.x.shape == (0, 3, 4, 4) and len(noisy.y) == 7


def test_weights_choose_domains() -> None:
    batch = DomainSampler(domains(), 50, 4, seed=0, weights=(0, 1, 0)).batch(0)
    assert (batch.paired, batch.source, batch.target) == (0, 50, 0)


def test_augmentation_can_be_switched_off() -> None:
    batch = DomainSampler(domains(), 20, 8, seed=0, augment=False).batch(0)
    first = (255 * batch.x[0].permute(1, 2, 0)).round().numpy().astype(np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(PAIRED, (8, 8), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    assert (windows == first).all(axis=(3, 4, 5)).any()


def test_the_eight_operations_are_the_symmetries_of_the_square() -> None:
    crop = np.arange(27, dtype=np.uint8).reshape(1, 3, 3, 3)
    seen = {augment(crop, np.array([k])).tobytes() for k in range(8)}
    assert len(seen) == 8 and augment(crop, np.array([0])).tobytes() == crop.tobytes()
    turned = augment(crop.repeat(2, 0), np.array([1, 4]))
    assert np.array_equal(turned[0], np.rot90(crop[0])) and np.array_equal(turned[1], crop[0, :, ::-1])


@pytest.mark.parametrize("kind", ["array", "subset", "ragged", "files"])
def test_crops_equal_slices_in_every_pool(kind: str, tmp_path: Path) -> None:
    images: Images = pool(PAIRED, "p")
    if kind == "subset":
        images = images.subset([4, 1])
    elif kind == "ragged":
        parts = [PAIRED[0], PAIRED[1, :16], PAIRED[2, :, :17]]
        images = RaggedImages(np.concatenate([p.reshape(-1) for p in parts]), np.array([p.shape[:2] for p in parts]),
                              "abc")
    elif kind == "files":
        for i in range(2):
            write_png(tmp_path / f"{i}.png", PAIRED[i])
        images = FileImages(tmp_path / f"{i}.png" for i in range(2))
    reader = CropReader(images, 9)
    where = reader.draw(np.random.default_rng(0), 40)
    for crop, i, r, c in zip(reader.read(where), where.image, where.row, where.column, strict=True):
        assert np.array_equal(crop, images[int(i)][r:r + 9, c:c + 9])


def test_the_last_place_occurs() -> None:
    """The authors' preparation never draws the last row or column; here every place is equally likely."""
    where = CropReader(pool(PAIRED[:1], "p"), 19).draw(np.random.default_rng(0), 600)
    assert set(where.row) == {0, 1} and set(where.column) == set(range(6))
    corner = CropReader(pool(PAIRED, "p"), 20).read(Positions(np.array([4]), np.array([0]), np.array([4])))
    assert np.array_equal(corner[0], PAIRED[4, :, 4:])


def test_a_whole_image_is_a_crop() -> None:
    square = PAIRED[:1, :, :20]
    assert np.array_equal(random_crops(pool(np.ascontiguousarray(square), "p"), 1, 20, RNG), square)


def test_wrong_use_is_explained() -> None:
    with pytest.raises(DataError, match="20x24 pixels"):
        DomainSampler(domains(), 4, 21, seed=0)
    with pytest.raises(DataError, match="no training data"):
        DomainSampler(Domains(), 4, 8, seed=0)
    with pytest.raises(DataError, match="no training data"):
        DomainSampler(domains(paired=False), 4, 8, seed=0, weights=(1, 0, 0))
    with pytest.raises(UsageError):
        DomainSampler(domains(), 0, 8, seed=0)
    with pytest.raises(UsageError):
        DomainSampler(domains(), 4, 8, seed=0, weights=(1, 1))
    with pytest.raises(DataError, match="pair p0"):
        DomainSampler(Domains(Pairs(pool(PAIRED, "p"), pool(PAIRED[:, :16].copy(), "p"))), 4, 8, seed=0)

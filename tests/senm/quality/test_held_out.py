"""Pairs kept back: how many, which, and that nothing of them reaches a fit, with the leak planted that would show."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import senm
from senm.__main__ import main
from senm.data.domains import Domains
from senm.data.images import write_png
from senm.data.pool import Pairs, empty_images, empty_pairs
from senm.quality import held_out
from senm.quality.held_out import MOST, also_seen, keep_back
from senm.sampling.trained import Trained
from tests.senm.training.test_train import domains

FITTED = ("model.safetensors", "level_net.safetensors", "prior.safetensors", "curve.json", "levels.json",
          "settings.json", "health.json")
SIDE = 64


def some(count: int) -> Pairs:
    return domains(1, 0, 0).paired.subset([0] * count)


@pytest.mark.parametrize(("count", "first", "trained", "kept"), [
    (7, 0, 7, 0), (8, 0, 7, 1), (30, 0, 27, 3), (12, 10, 10, 2), (300, 10, 10, MOST), (9, 20, 8, 1), (300, 0, 284, 16),
])
def test_how_many_are_kept_back(count: int, first: int, trained: int, kept: int) -> None:
    assert tuple(map(len, keep_back(some(count), first))) == (trained, kept)


def test_which_are_kept_back_is_the_seed_s_choice() -> None:
    pairs = domains(12, 0, 0).paired
    one, other = (keep_back(pairs, 0, seed)[1].names for seed in (0, 1))
    assert one == keep_back(pairs, 0, 0)[1].names and {one, other} != {one}
    for first in (0, 5):
        training, held = keep_back(pairs, first)
        assert not set(training.names) & set(held.names)


def test_the_same_photograph_among_the_training_images_is_noticed() -> None:
    data = domains(4, 4, 4)
    held = data.paired.subset([0, 1])
    assert also_seen(held, Domains(empty_pairs(), data.source, data.target)) == 0
    assert also_seen(held, Domains(empty_pairs(), empty_images(), data.paired.noisy.subset([1, 2]))) == 1


def photographs(folder: Path, odd: Callable[[str], bool]) -> None:
    """Nine pairs; those that `odd` names are of other content and of ten times the noise."""
    for i in range(9):
        rng = np.random.default_rng([i, odd(str(i))])
        clean = rng.integers(60, 190, (SIDE, SIDE, 3), dtype=np.uint8)
        noise = rng.normal(0, 40 if odd(str(i)) else 4, clean.shape)
        for kind, image in (("clean", clean), ("noisy", np.clip(clean + noise, 0, 255).astype(np.uint8))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            write_png(folder / kind / f"{i}.png", image)


def in_training(monkeypatch: pytest.MonkeyPatch, everything: Pairs) -> None:
    monkeypatch.setattr(held_out, "keep_back", lambda pairs, first, seed: (pairs, keep_back(pairs, first, seed)[1]))


def in_what_is_fitted_afterwards(monkeypatch: pytest.MonkeyPatch, everything: Pairs) -> None:
    fit = Trained.fit_afterwards
    monkeypatch.setattr(Trained, "fit_afterwards", lambda self, pairs, *rest: fit(self, everything, *rest))


@pytest.mark.parametrize("leak", [None, in_training, in_what_is_fitted_afterwards])
def test_nothing_is_fitted_on_pairs_kept_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leak: Callable[[pytest.MonkeyPatch, Pairs], None] | None
) -> None:
    photographs(tmp_path / "all", lambda name: False)
    held = keep_back(senm.pairs_in(tmp_path / "all"))[1].names
    assert len(held) == 1
    found = []
    for folder, odd in (("usual", False), ("odd", True)):
        photographs(tmp_path / folder, lambda name, odd=odd: odd and name in held)
        if leak is not None:
            leak(monkeypatch, senm.pairs_in(tmp_path / folder))
        assert main(["train", "--pairs", str(tmp_path / folder), "--out", str(tmp_path / f"{folder}-model"), "--preset",
                     "smoke", "--set", "train.iterations=2", "--set", "train.batch=3"]) == 0
        found.append([(tmp_path / f"{folder}-model" / name).read_bytes() for name in FITTED])
        monkeypatch.undo()
    differ = [name for name, one, other in zip(FITTED, *found, strict=True) if one != other]
    assert (differ == []) == (leak is None), differ
    if leak is in_what_is_fitted_afterwards:
        assert differ == ["prior.safetensors", "curve.json"]

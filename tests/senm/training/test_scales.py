"""The KL weight that follows the noise, and clipping that follows the gradients."""

import math
from pathlib import Path

import numpy as np
import pytest

from senm.config import PAIRED_SMOKE, PAPER, PRESETS, SMOKE, NoiseModelSettings, PairedModelSettings
from senm.data.pool import ArrayImages, Pairs, empty_pairs
from senm.sampling.trained import Trained
from senm.support.errors import SettingsError
from senm.support.progress import LineProgress
from senm.training.health import Health
from senm.training.scales import CLIP_AT, clip_bound, kl_weight, note_norm
from senm.training.train import Training
from tests.senm.training.test_train import TINY, domains, same

NOISE = {"kl_weight": "noise"}


def flat(level: int) -> Pairs:
    """Four pairs whose noise is +-level, half and half: its standard deviation is the level."""
    clean = np.full((4, 8, 8, 3), 128, np.uint8)
    noisy = clean + np.uint8(level)
    noisy[:, :, ::2] = 128 - level
    return Pairs(ArrayImages(clean, "abcd"), ArrayImages(noisy, "abcd"))


@pytest.mark.parametrize(("settings", "factor"), [
    (SMOKE, 2 * 4 / 3), (SMOKE.but(network={"zn_dim": 8}), 2 * 8 / 3), (SMOKE.but(loss={"reduction": "sum"}), 1.0),
    (PAIRED_SMOKE, 2.0),
])
def test_the_weight_is_that_of_the_distortion_allowed(
    settings: NoiseModelSettings | PairedModelSettings, factor: float
) -> None:
    for level in (3, 12):
        assert kl_weight(settings, flat(level)) == pytest.approx(factor * 0.01 * (level / 255) ** 2, rel=0.01)


def test_without_noise_there_is_no_weight() -> None:
    for pairs in (empty_pairs(), flat(0)):
        with pytest.raises(SettingsError, match="give pairs, or a number"):
            kl_weight(SMOKE, pairs)


@pytest.mark.parametrize("settings", [TINY, PAIRED_SMOKE.but(train=TINY.train)], ids=["semi", "paired"])
def test_the_number_is_said_kept_and_trained_with(
    tmp_path: Path, settings: NoiseModelSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    data = domains()
    number = kl_weight(settings, data.paired)
    trained = Trained.fit(data, settings.but(loss=NOISE), workdir=tmp_path / "a", progress=LineProgress())
    assert f"loss.kl_weight from the noise of the pairs: {number:.3g}" in capsys.readouterr().err
    assert trained.settings.loss.kl_weight == number == trained.health["kl_weight"]
    given, found = (Training(settings.but(loss=loss), data, seed=0) for loss in ({"kl_weight": number}, NOISE))
    given.run_step()
    found.run_step()
    assert same(given, found) and "kl_weight" not in Trained.fit(data, settings, workdir=tmp_path / "b").health


def test_paper_and_authors_have_a_number_and_a_fixed_bound() -> None:
    assert PAPER.loss.kl_weight == 1.0 and PAPER.train.clip_norm is None
    assert not any(isinstance(s.loss.kl_weight, str) or s.train.clip_norm == "running" for s in PRESETS.values())
    for bad in ("nois", -1.0):
        with pytest.raises(SettingsError, match="kl_weight"):
            SMOKE.but(loss={"kl_weight": bad})


def test_clipping_follows_the_norms_and_one_large_one_moves_it_little() -> None:
    t, health = SMOKE.but(train={"clip_norm": "running"}).train, Health()
    assert clip_bound(t, health) == math.inf
    for _ in range(5):
        note_norm(t, health, 0.1)
    assert clip_bound(t, health) == pytest.approx(CLIP_AT * 0.1)
    for norm in (math.nan, 1e6):
        note_norm(t, health, norm)
    assert clip_bound(t, health) == pytest.approx(CLIP_AT * 0.1 * (0.98 + 0.02 * CLIP_AT))
    fixed = Health()
    note_norm(SMOKE.train, fixed, 0.1)
    assert fixed == Health() and clip_bound(SMOKE.train, fixed) == 200.0


def test_running_clipping_acts_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    settings = TINY.but(train={"clip_norm": "running"})
    whole = Training(settings, domains(), seed=3).run(tmp_path / "whole")
    Training(settings.but(train={"iterations": 3}), domains(), seed=3).run(tmp_path / "broken")
    assert same(whole, Training(settings, domains(), seed=3).run(tmp_path / "broken"))
    norm = whole.health.typical_norm
    assert norm is not None and 0 < norm < 200
    tight = Training(settings, domains(), seed=3)
    loose = Training(TINY, domains(), seed=3)
    tight.health.typical_norm = 1e-9
    tight.run_step()
    loose.run_step()
    assert not same(tight, loose)

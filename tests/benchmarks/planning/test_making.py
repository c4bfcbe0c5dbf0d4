"""What each step is called and what it is told: numbers of images, crops, labels, word by word."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.core.scale import scale
from benchmarks.data.datasets import Data
from benchmarks.planning.making import StepMaker, limited, settings_of
from benchmarks.tables import Mix, Noise, Restoration, RowSpec

COUNTS = {"paired": 500, "source": 40, "target": 0, "train": 500, "validation": 8, "benchmark": 0}
DATA = Data("mine", "f" * 64, COUNTS, {10: 3, 96: 3, 960: 200})
SMALL = scale("smoke")
ROW = RowSpec("a", "A", "all")


def maker(**more: Any) -> StepMaker:
    return StepMaker(DATA, SMALL, "fd_random", **more)


@pytest.mark.parametrize(
    ("mix", "found"),
    [
        (Mix(10, 0, 0), Mix(10, 0, 0)),
        (Mix(96, 0, 0), Mix(10, 0, 0)),  # 3 pairs here, as for 10: one way of writing it
        (Mix(960, 0, 0), Mix(960, 0, 0)),
        (Mix(499, 39, 7), Mix(499, 39, 7)),  # of a role that has none at all, a number stays what it is
        (Mix(500, 40, 0), Mix(None, None, 0)),
        (Mix(None, None, None), Mix(None, None, None)),
        (Mix(0, 0, 0), Mix(0, 0, 0)),
    ],
)
def test_a_mix_has_one_way_of_writing_it(mix: Mix, found: Mix) -> None:
    assert limited(mix, DATA) == found


CROPS = [(0, 40), (400, 40), (40, 40), (39, 32), (33, 32), (32, 32), (31, 24), (5, 8)]


@pytest.mark.parametrize(("side", "crop"), CROPS)
def test_crops_are_cut_down_to_small_images_in_steps_of_eight(side: int, crop: int) -> None:
    assert settings_of("dncnn", "smoke", {}, side).training.crop == crop
    asked = settings_of("dncnn", "smoke", {"training.crop": 40}, side)
    assert asked.training.crop == 40, "what is asked for by name stands"


def test_changes_are_applied_on_top() -> None:
    changed = settings_of("senm-vae", "smoke", {"loss.kl_weight": 0.5, "train.iterations": 7})
    assert (changed.loss.kl_weight, changed.train.iterations) == (0.5, 7)


def test_trainings_are_named_by_what_they_see() -> None:
    made = maker()
    noise = Noise("senm-vae", Mix(10, None, 0), {"loss.kl_weight": 0.5})
    fit = made.fit(noise, 4)
    assert fit.label == "train senm-vae on 10 pairs, all source, kl_weight 0.5" and fit.seed == 4
    assert fit.params["domains"] == {"paired": 10, "source": None, "target": 0}
    assert fit.params["settings"]["loss"]["kl_weight"] == 0.5
    synthetic = "synthetic pairs of senm-vae on 10 pairs, all source, kl_weight 0.5"
    labels = [
        (Restoration("dncnn", pairs=None), "dncnn on all pairs"),
        (Restoration("dncnn", pairs=10), "dncnn on 10 pairs"),
        (Restoration("dncnn", pairs=10, pool="train"), f"dncnn on 10 pairs and {synthetic}"),
        (Restoration("dncnn", pool="source"), f"dncnn on {synthetic}"),
        (Restoration("apbsn", unpaired=Mix(0, None, None)), "apbsn on images without partners"),
        (Restoration("rrdb-psnr", pool="source", clean=True), "rrdb-psnr on clean source images"),
    ]
    for spec, label in labels:
        assert made.fit_restorer(spec, fit, 0).label == f"train {label}"


def test_restorers_are_told_what_they_may_read() -> None:
    made = maker()
    fit = made.fit(Noise("dasr", Mix(0, None, None)), 0)
    plain = made.fit_restorer(Restoration("dncnn", pool="train"), fit, 0)
    assert "domains" not in plain.params and "clean" not in plain.params and list(plain.inputs) == ["synthetic"]
    guided = made.fit_restorer(Restoration("esrgan-dasr", pool="source", guided=True), fit, 0)
    assert guided.params["domains"] == {"paired": 0, "source": None, "target": None}
    assert list(guided.inputs) == ["synthetic", "guide"] and guided.inputs["guide"] is fit
    alone = made.fit_restorer(Restoration("apbsn", unpaired=Mix(10, 0, 40)), None, 0)
    assert alone.params["domains"] == {"paired": 10, "source": 0, "target": 40} and alone.params["pairs"] == 0
    start = made.fit_restorer(Restoration("rrdb-psnr", pool="source", clean=True), fit, 0)
    assert start.params["clean"] == "source" and not start.inputs


@pytest.mark.parametrize(
    ("mix", "pool", "own"),
    [(Mix(10, None, None), "validation", True), (Mix(10, None, None), "train", False), (Mix(None, 0, 0), "train", True),
     (Mix(None, 0, 0), "source", False)],
)
def test_noise_is_as_strong_as_an_image_s_own_where_its_partner_was_seen(mix: Mix, pool: str, own: bool) -> None:
    made = maker()
    sample = made.sample(made.fit(Noise("senm-vae", mix), 0), pool, 0)
    assert (sample.params.get("levels") == "own") is own
    assert sample.label.startswith(f"noise for {min(COUNTS[pool], 16 if pool != 'validation' else 8)} {pool} images by")
    assert sample.cost == {"images": min(COUNTS[pool], 16 if pool != "validation" else 8)}


def test_measurements_are_named_by_what_is_measured() -> None:
    made = maker()
    fit = made.fit(Noise("c2n", Mix(0, None, None)), 0)
    names = ["fid", "kld_senm_official", "psnr_rgb_uint8"]
    noise = made.evaluate("noise", ROW, made.sample(fit, "validation", 0), names, 0)
    assert noise.label == "measure noise of c2n on all source, all target"
    assert noise.params["metrics"] == ["fd_random", "kld_senm_official"], "a noise model is judged by distributions"
    real = made.evaluate("noise", ROW, None, ["fid"], 0)
    assert real.label == "measure noise of the real images themselves" and not real.inputs
    network = made.fit_restorer(Restoration("dncnn", pairs=None), None, 0)
    judged = made.restoration(ROW, network, ["fid", "psnr_rgb_uint8", "blur_effect_skimage"], 0)
    assert judged.label == "measure restoration by dncnn on all pairs"
    assert judged.params["metrics"] == ["psnr_rgb_uint8", "blur_effect_skimage"] and judged.cost == {"images": 8}
    restored = judged.inputs["images"]
    assert restored.label == "restore 8 validation images with dncnn on all pairs" and restored.seed == network.seed
    assert "exact" not in restored.params
    fine = made.restoration(ROW, network, ["psnr_float_clamped"], 0).inputs["images"]
    assert fine.params["exact"] is True and fine.key != restored.key


def test_what_a_released_network_stands_for_is_said() -> None:
    fit = maker().fit(Noise("c2n", Mix(0, None, None)), 0)
    released = maker(released={fit.identity: "ab"}).fit(Noise("c2n", Mix(0, None, None)), 0)
    assert released.label == "released c2n on all source, all target" and released.released == "ab"
    assert released.key != fit.key and released.identity == fit.identity

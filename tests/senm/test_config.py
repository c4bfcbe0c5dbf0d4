"""Settings are frozen, refuse what they do not know, and know how the dialects differ."""

import pytest

from senm.config import (
    AUTHORS,
    PAIRED_SMOKE,
    PAPER,
    PRESETS,
    SHORT,
    SMOKE,
    LossSettings,
    Settings,
    differences,
    nested,
    preset,
    source_of,
)
from senm.support.errors import SettingsError


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'lpips_weight'"):
        LossSettings(lpips_wieght=1.0)
    with pytest.raises(SettingsError, match="did you mean 'iterations'"):
        AUTHORS.but(train={"iteration": 5})


def test_wrong_type_and_range_are_refused_with_the_field_named() -> None:
    with pytest.raises(SettingsError, match="TrainSettings.batch is 'many'"):
        AUTHORS.but(train={"batch": "many"})
    with pytest.raises(SettingsError, match="LossSettings.lam"):
        AUTHORS.but(loss={"lam": -1.0})


@pytest.mark.parametrize(("settings", "change", "sentence"), [
    (SMOKE, {"train": {"crop": 33}}, r"crop is 33; expected: a multiple of 2.*set train\.crop to 34"),
    (PAIRED_SMOKE, {"train": {"crop": 33}}, "a multiple of 2"),
    (SMOKE, {"network": {"nls": [1] * 7}}, "a multiple of 64"),
    (SMOKE, {"train": {"crop": 14}, "loss": {"gan_weight": 0}}, "at least 16 pixels for the level network"),
    (SMOKE, {"train": {"crop": 22}}, r"at least 24 pixels for the critic.*or loss\.gan_weight to 0"),
    (PAIRED_SMOKE, {"train": {"crop": 22}}, "at least 24 pixels for the critic"),
    (SMOKE, {"train": {"crop": 30}, "loss": {"lpips_weight": 0.1}}, "at least 31 pixels for LPIPS.*crop to 32"),
    (SMOKE, {"network": {"nf": 30}}, "nf is 30; expected: a multiple of 4"),
    *((settings, {"network": {"nls": nls}}, "the first at least 1")
      for settings in (SMOKE, PAIRED_SMOKE) for nls in ([], [0], [0, 1], [2, -1])),
])
def test_settings_that_no_network_can_be_trained_with_are_refused(
    settings: Settings, change: dict, sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        settings.but(**change)


@pytest.mark.parametrize(("settings", "change"), [
    (SMOKE, {"train": {"crop": 24}}),
    (SMOKE, {"train": {"crop": 16}, "loss": {"gan_weight": 0}}),
    (PAIRED_SMOKE, {"train": {"crop": 8}, "loss": {"gan_weight": 0}}),
    (SMOKE, {"train": {"crop": 33}, "network": {"nls": [1], "nf": 6}}),
    (SMOKE, {"network": {"nls": [1, 0]}}),
    (PAIRED_SMOKE, {"network": {"nf": 6}}),
])
def test_the_smallest_settings_make_a_step(settings: Settings, change: dict) -> None:
    from senm.training.train import Training
    from tests.senm.training.test_train import domains

    logged = Training(settings.but(**change), domains(), seed=0).run_step()
    assert logged["paired/rec_y"] > 0


def test_settings_are_frozen() -> None:
    with pytest.raises(Exception, match="frozen"):
        AUTHORS.loss.lam = 1.0  # type: ignore[misc]


def test_unknown_preset_suggests() -> None:
    with pytest.raises(SettingsError, match="did you mean 'authors'"):
        preset("author")


def test_differences_are_computed_and_each_has_a_source() -> None:
    rows = differences()
    assert {row["setting"] for row in rows} == {
        "loss.reduction", "loss.p1", "loss.p2", "loss.paired_latent", "loss.kl_z_passes", "loss.average_over",
        "loss.kl_weight", "loss.anneal", "loss.lpips_range", "train.clip_norm", "train.skip_norm",
    }
    assert all("code:" in row["source"] for row in rows)
    changed = PAPER.flat()
    assert all(changed[row["setting"]] == row["paper"] != row["authors"] for row in rows)


def test_defaults_are_the_facts_of_the_authors_code() -> None:
    flat = AUTHORS.flat()
    expected = {
        "network.nf": 64, "network.zn_dim": 16, "network.nls": (2, 4), "network.growth": 32, "loss.lam": 1e-7,
        "loss.kl_weight": 1e-2, "loss.anneal_steps": 10_000, "loss.lpips_weight": 1e-2, "loss.gan_weight": 0.1,
        "train.iterations": 300_000, "train.batch": 8, "train.crop": 64, "train.lr": 1e-4, "train.clip_norm": 200.0,
        "train.skip_norm": 150.0, "train.milestones": (150_000, 225_000, 270_000, 285_000),
    }
    assert {k: flat[k] for k in expected} == expected


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name: str) -> None:
    settings = PRESETS[name]
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings


def test_but_changes_only_what_it_names() -> None:
    changed = SHORT.but(loss={"lam": 1e-3}, normalize=False)
    before, after = SHORT.flat(), changed.flat()
    assert {k for k in before if before[k] != after[k]} == {"loss.lam", "normalize"}
    assert source_of(SHORT, "loss.p1").startswith("code: absent")


def test_changes_by_path_are_judged_together() -> None:
    changes = nested({"train.crop": 16, "loss.gan_weight": 0.0, "loss.lpips_weight": 0.0})
    assert AUTHORS.but(**changes).train.crop == 16
    with pytest.raises(SettingsError, match="'loss' is given"):
        nested({"loss": 1, "loss.lam": 2})

"""Models to start from: by name, adapted, carded, laid out for the hub; and the length of a training."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

import senm
from senm.__main__ import main
from senm.cli.options import with_changes
from senm.config import PAIRED_SMOKE, SHORT, SMOKE, NoiseModelSettings, of_length
from senm.sampling.hub import CONFIG
from senm.sampling.released import VARIABLE, released_models
from senm.sampling.trained import Trained
from senm.support.errors import CheckpointError, UsageError
from senm.training.start import Start
from senm.training.train import Training
from tests.senm.test_model import awake
from tests.senm.training.test_stopping import photographs
from tests.senm.training.test_train import TINY, domains, same

SCALED = TINY.but(network={"level_scale": 16.0}, level="measured")


def model(settings: NoiseModelSettings = SCALED) -> Trained:
    kind = senm.SeNMVAE if isinstance(settings, NoiseModelSettings) else senm.PairedVAE
    return Trained(awake(kind(settings.network)).float(), settings, [0.02, 0.05], health={"skipped": 3})


def test_released_models_are_listed_and_loaded_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [model.name for model in released_models()] and "embedded-10" in listed
    noisy = senm.sample(senm.load("embedded-10"), np.full((32, 32, 3), 128, np.uint8), level=0.1)
    assert 0.05 < noisy.std() / 255 < 0.2
    with pytest.raises(CheckpointError, match="did you mean 'embedded-10'"):
        senm.load("embeded-10")


def test_an_installation_without_checkpoints_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert main(["models"]) == 0
    assert "come with a checkout" in capsys.readouterr().out
    with pytest.raises(CheckpointError, match="no released models are at .*point SENM_MODELS"):
        senm.load("embedded-10")


@pytest.mark.parametrize("settings", [SCALED, PAIRED_SMOKE.but(train=TINY.train, network={"level_scale": 4.0})],
                         ids=["semi", "paired"])
def test_a_training_begins_with_the_function_of_the_model(tmp_path: Path, settings: NoiseModelSettings) -> None:
    first = model(settings)
    first.save(tmp_path)
    loaded = senm.load(tmp_path)
    training = Training(settings, domains(), seed=0, start=Start(loaded.network))
    assert training.model.settings.level_scale > 1 == loaded.network.settings.level_scale
    for a, b in zip(training.model.parameters(), first.network.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    anew = Training(settings, domains(), seed=0)
    assert anew.identity != training.identity != Training(settings, domains(), seed=0, start=Start(anew.model)).identity


def test_a_model_of_another_size_is_refused() -> None:
    with pytest.raises(CheckpointError, match="start from another model"):
        Training(TINY, domains(), seed=0, start=Start(senm.SeNMVAE(SMOKE.network.but(nf=12)), name="mine"))


def test_an_adapted_training_goes_on_from_its_own_state_only(tmp_path: Path) -> None:
    start, once = Start(model().network), SCALED.but(train={"iterations": 1})
    first = Training(once, domains(), seed=3, start=start).run(tmp_path)
    again = Training(once, domains(), seed=3, start=start)
    again.run_step = None  # type: ignore[assignment, method-assign]
    assert same(first, again.run(tmp_path))
    with pytest.raises(CheckpointError, match="another training"):
        Training(once, domains(), seed=3).run(tmp_path)


def test_the_command_adapts_and_says_so_in_the_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model().save(tmp_path / "base")
    photographs(tmp_path / "photos", 3, 64)
    line = f"train --pairs {tmp_path / 'photos'} --out {tmp_path / 'mine'} --init {tmp_path / 'base'}"
    assert main([*line.split(), "--fully-paired"]) == 2
    assert "drop --fully-paired" in capsys.readouterr().err
    assert main([*line.split(), "--set", "train.iterations=2"]) == 0
    settings = senm.load(tmp_path / "mine").settings
    assert settings.loss.anneal_steps == 0 and settings.train.lr == TINY.train.lr / 2
    card = (tmp_path / "mine" / "README.md").read_text()
    assert f"started from {tmp_path / 'base'}" in card and "3 pairs, 0 unpaired clean" in card and "denoising:" in card


def test_a_model_goes_to_the_hub_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model().save(tmp_path / "mine")
    line = ["export", "--model", str(tmp_path / "mine"), "--hub", str(tmp_path / "hub")]
    assert main(line) == 0
    card, config = ((tmp_path / "hub" / name).read_text() for name in ("README.md", CONFIG))
    assert card.startswith("---\nlicense: other\n") and "3 steps were skipped" in card and "0.0200 to 0.0500" in card
    assert json.loads(config)["architectures"] == ["SeNMVAE"] and json.loads(config)["train"]["iterations"] == 8
    again = senm.load(tmp_path / "hub")
    assert again.settings == senm.load(tmp_path / "mine").settings and again.levels == [0.02, 0.05]
    assert main(line) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main(["export", "--model", "embedded-all", "--hub", str(tmp_path / "all")]) == 0
    assert "license: apache-2.0" in (tmp_path / "all" / "README.md").read_text()


def test_a_length_moves_what_hangs_on_it_and_says_so() -> None:
    short, said = with_changes(SHORT, {"train": {"iterations": 700}})
    assert short == of_length(SHORT, 700) and short.loss.anneal_steps == 50
    assert "train.milestones [450, 550, 620, 660, 685] and loss.anneal_steps 50 go with it" in said
    for kept in ({"train": {"iterations": 700, "milestones": (5,)}},
                 {"train": {"iterations": 700}, "loss": {"anneal_steps": 3}}, {"train": {"iterations": 7000}}):
        assert with_changes(SHORT, kept) == (SHORT.but(**kept), "")


def test_a_finished_training_keeps_its_schedule_when_it_goes_on() -> None:
    longer, said = with_changes(SHORT, {"train": {"iterations": 9000}}, SHORT)
    assert longer == SHORT.but(train={"iterations": 9000}) and "goes on with its own milestones" in said
    assert with_changes(SHORT, {"train": {"iterations": 9000, "crop": 64}}, SHORT)[0].train.milestones[0] > 4500


def test_the_package_says_its_version_and_that_it_is_typed() -> None:
    assert senm.__version__ and (files("senm") / "py.typed").is_file()
    with pytest.raises(UsageError, match="--set"):
        from senm.cli.options import changes
        changes(["train.iterations"])

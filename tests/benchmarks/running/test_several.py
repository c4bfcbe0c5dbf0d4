"""One training of a step shared by two processes: the losses of one, a model that loads, and who may ask for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.cluster.resources import Resources, parse
from benchmarks.core.options import Options
from benchmarks.core.step import Step
from benchmarks.core.systems import get
from benchmarks.running import several
from benchmarks.running.steps import Bench, fit
from senm.config import PAIRED_PRESETS, SMOKE, Settings
from senm.support.errors import MachineError, TrainingError, UsageError
from senm.support.progress import NullProgress
from tests.benchmarks.tiny import write_tiny

FEW: dict[str, Any] = {"iterations": 3, "batch": 4, "crop": 24, "log_every": 1}
SETTINGS = {"senm-vae": SMOKE.but(train=FEW), "senm-paired": PAIRED_PRESETS["smoke"].but(train=FEW)}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return write_tiny(tmp_path_factory.mktemp("several") / "data", train=12, validation=2, side=32)


def step(system: str, data: Any, settings: Settings) -> Step:
    domains = {"paired": None, "source": 0, "target": 0} if system == "senm-paired" else dict.fromkeys(
        ("paired", "source", "target"))
    return Step("fit", f"train {system}", {"system": system, "settings": settings.model_dump(mode="json"),
                                           "domains": domains, "fingerprint": data.fingerprint}, 0)


@pytest.mark.parametrize("system", list(SETTINGS))
def test_two_processes_make_the_model_of_one(system: str, data: Any, tmp_path: Path) -> None:
    losses = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        folder.mkdir()
        bench = Bench("cpu", {data.fingerprint: data}, workdir=lambda key, at=devices: tmp_path / f"work{at}",
                      devices=devices)
        fit(step(system, data, SETTINGS[system]), {}, folder, bench)
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        losses.append([{k: v for k, v in line.items() if not k.startswith("seconds")} for line in lines])
        assert get(system).load(folder / "model", "cpu").settings.network == SETTINGS[system].network
    torch.set_num_threads(threads)
    assert len(losses[0]) == len(losses[1]) == 3
    for one, two in zip(*losses, strict=True):
        assert two == pytest.approx(one, rel=1e-4, abs=1e-7)


def test_what_ends_a_process_is_said_in_a_sentence(data: Any, tmp_path: Path) -> None:
    settings = SMOKE.but(train={**FEW, "batch": 1})
    with pytest.raises(TrainingError, match="2 processes share batches of 1 crops"):
        several.fit(step("senm-vae", data, settings), data.folder, tmp_path, tmp_path / "w", "cpu", 2, NullProgress())


def test_gpus_that_are_not_there_are_named(data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(MachineError, match="was given 4 GPUs, and 1 are here"):
        several.fit(step("senm-vae", data, SMOKE), data.folder, tmp_path, tmp_path, "cuda", 4, NullProgress())


def test_only_trainings_that_can_share_are_given_several_gpus() -> None:
    wanted = Resources("cuda", "smoke", parse(["fit=gpu:4"]))
    steps = [Step(kind, "", {"system": system}) for kind, system in
             (("fit", "senm-vae"), ("fit", "senm-paired"), ("fit", "c2n"), ("fit-restorer", "dncnn"))]
    assert [wanted.of(each).gpu for each in steps] == [4, 4, 1, 1]
    for wrong in ("fit/c2n=gpu:2", "fit-restorer=gpu:2", "fit=gpu:2.5"):
        with pytest.raises(UsageError, match="a whole number for the trainings of senm-vae"):
            parse([wrong])


def test_workers_of_one_machine_are_not_given_several_gpus(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from benchmarks.cluster.run import side_by_side

    asked = Options(workers=2, device="cuda", resources=("fit=gpu:2",))
    plan: Any = SimpleNamespace(steps=lambda: [Step("fit", "train senm-vae", {"system": "senm-vae"})])
    with pytest.raises(UsageError, match="--on ray"):
        side_by_side(plan, None, None, asked, None, False)  # type: ignore[arg-type]

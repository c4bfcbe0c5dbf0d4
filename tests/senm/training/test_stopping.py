"""Stopping: after the step, with its state, and as if it had never been; real signals to real programs too."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import senm
from senm.checkpoint import load_state
from senm.config import PAIRED_SMOKE, SMOKE
from senm.data.images import write_png
from senm.sampling.trained import Trained
from senm.support.progress import LineProgress
from senm.support.stopping import noted_interrupts
from senm.training import states
from senm.training.states import STATE, STOPPED
from senm.training.train import Training
from tests import ROOT
from tests.senm.training.test_train import TINY, domains, log_of, same


def stopped_at(training: Training, step: int) -> Training:
    """The training, to which Ctrl-C comes in the middle of a step."""
    run_step = training.run_step

    def interrupted() -> dict[str, float]:
        if training.step == step:
            signal.raise_signal(signal.SIGINT)
        return run_step()

    training.run_step = interrupted  # type: ignore[method-assign]
    return training


@pytest.mark.parametrize("settings", [TINY, PAIRED_SMOKE.but(train=TINY.train)], ids=["semi", "paired"])
def test_a_stopped_training_ends_as_if_never_stopped(
    tmp_path: Path, settings: senm.SeNMVAE, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Training(settings, domains(), seed=3).run(tmp_path / "whole")
    for step in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            stopped_at(Training(settings, domains(), seed=3), step).run(tmp_path / "broken", LineProgress())
        assert load_state(tmp_path / "broken" / STOPPED)["step"] == step + 1
        assert f"stopped after step {step + 1} of 8" in capsys.readouterr().err
    assert same(whole, Training(settings, domains(), seed=3).run(tmp_path / "broken"))
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "broken")
    assert not (tmp_path / "broken" / STOPPED).exists()


def test_the_clock_decides_what_a_kill_costs_and_not_where_a_blown_up_training_goes_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "SECONDS", 0.0)
    noted: list[int] = []
    note = states.States.note
    monkeypatch.setattr(states.States, "note", lambda self, state: noted.append(state["step"]) or note(self, state))
    training = Training(TINY.but(train={"max_skipped": 1}), domains(), seed=3)
    run_step, blown = training.run_step, []

    def blows_up_once() -> dict[str, float]:
        if training.step == 5 and not blown:
            blown.append(load_state(tmp_path / STOPPED)["step"])
            training.settings = training.settings.but(train={"skip_norm": 1e-12})
            try:
                return run_step()
            finally:
                training.settings = training.settings.but(train={"skip_norm": 150.0})
        return run_step()

    training.run_step = blows_up_once  # type: ignore[method-assign]
    training.run(tmp_path)
    assert blown == [5] and noted == [1, 2, 3, 4, 5, 4, 5, 6, 7] and training.health.setbacks == 1
    assert load_state(tmp_path / STATE)["step"] == 8


def test_a_second_interrupt_does_not_wait() -> None:
    with noted_interrupts() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signals_of_the_embedding_program_are_left_alone() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with noted_interrupts():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    seen = []
    thread = threading.Thread(target=lambda: noted_interrupts().__enter__() and seen.append("fine"))
    thread.start()
    thread.join()
    assert seen == ["fine"]


def photographs(folder: Path, count: int, side: int) -> None:
    rng = np.random.default_rng(0)
    for i in range(count):
        clean = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        for kind in ("clean", "noisy"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            write_png(folder / kind / f"{i:03d}.png", clean ^ np.uint8(kind == "noisy"))


def run_and_stop(line: str, here: Path, number: int, sign: str) -> tuple[int, str]:
    """Exit code and error output of a program that gets a signal once files like `sign` are there."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    program = subprocess.Popen([sys.executable, "-m", "senm", *line.split()], cwd=here, env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 120
    while not list(here.glob(sign)) and program.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    program.send_signal(number)
    said = program.communicate(timeout=60)[1]
    return program.returncode, said


def test_a_scheduler_s_signal_ends_a_training_with_its_state(tmp_path: Path) -> None:
    photographs(tmp_path / "photos", 3, 64)
    code, said = run_and_stop("train --pairs photos --out model --preset smoke --set train.iterations=100000",
                              tmp_path, signal.SIGTERM, "model/training/log.jsonl")
    assert code == 130 and "its state is saved" in said and "the same command goes on" in said
    assert "Traceback" not in said
    state = load_state(tmp_path / "model/training" / STOPPED)
    assert state is not None and state["step"] > 0


def test_ctrl_c_ends_sampling_with_whole_images(tmp_path: Path) -> None:
    photographs(tmp_path / "photos", 400, 64)
    Trained(senm.SeNMVAE(SMOKE.network), SMOKE.but(level="measured"), [0.05]).save(tmp_path / "model")
    code, said = run_and_stop("sample --model model --clean photos/clean --out synthetic", tmp_path, signal.SIGINT,
                              "synthetic/*.png")
    assert code == 130 and "the same command goes on" in said and "Traceback" not in said
    made = list((tmp_path / "synthetic").glob("*.png"))
    assert 0 < len(made) < 400 and all(senm.images_in(tmp_path / "synthetic")[i].shape == (64, 64, 3)
                                       for i in range(len(made)))

"""The supervised loop: resume, skipped steps, memory, schedule, losses, and that every switch does something."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from baselines.fitting.restorer import weights_hash
from baselines.fitting.training import LOSSES, TrainingSettings, learning_rate, train
from senm.support.errors import CheckpointError, MachineError, TrainingError
from senm.support.files import only_one
from senm.training.tensorboard import VARIABLE
from tests.baselines.tiny import QUIET, Interrupt, pairs

TINY = TrainingSettings(steps=6, batch=4, crop=12, lr=1e-2, log_every=2, checkpoint_every=2)


def network(norm: bool = False) -> nn.Module:
    torch.manual_seed(0)
    middle: list[nn.Module] = [nn.BatchNorm2d(4)] if norm else []
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), *middle, nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))


def run(
    folder: Path, settings: TrainingSettings, net: nn.Module | None = None, progress: Any = QUIET,
    sources: Any = None, origin: str = "",
) -> dict[str, Any]:
    sources = sources or [pairs(4), pairs(2, seed=9, prefix="other")]
    trained = train(
        net or network(), sources, settings, seed=1, device="cpu", workdir=folder, progress=progress, label="train",
        origin=origin,
    )
    return {name: value.clone() for name, value in trained.state_dict().items()}


def log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_resume_equals_an_uninterrupted_run_bit_for_bit(tmp_path: Path) -> None:
    settings = TINY.but(ema=0.5, steps=7, log_every=3)
    whole = run(tmp_path / "whole", settings, network(norm=True))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", settings, network(norm=True), Interrupt(5))
    assert torch.load(tmp_path / "parts" / "state.pt", weights_only=True)["step"] == 4
    assert same(whole, run(tmp_path / "parts", settings, network(norm=True)))
    assert log(tmp_path / "whole") == log(tmp_path / "parts")
    assert [entry["step"] for entry in log(tmp_path / "whole")] == [3, 6, 7]


def test_the_log_goes_to_tensorboard_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "events"))
    run(tmp_path / "work", TINY.but(log_every=1))
    found = reader.EventAccumulator(str(tmp_path / "events" / "work"))
    found.Reload()
    expected = [(entry["step"], entry["loss"]) for entry in log(tmp_path / "work")]
    assert [(each.step, each.value) for each in found.Scalars("loss")] == [
        (step, pytest.approx(loss, rel=1e-6)) for step, loss in expected]


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    first = run(tmp_path, TINY)
    assert same(first, run(tmp_path, TINY, progress=Interrupt(7)))


def test_a_folder_of_another_training_is_refused(tmp_path: Path) -> None:
    run(tmp_path, TINY)
    with pytest.raises(CheckpointError, match="another training"):
        run(tmp_path, TINY.but(lr=1e-3))


def test_other_images_of_the_same_names_are_another_training(tmp_path: Path) -> None:
    run(tmp_path, TINY, sources=[pairs(4)])
    run(tmp_path, TINY, sources=[pairs(4)])
    with pytest.raises(CheckpointError, match="another training"):
        run(tmp_path, TINY, sources=[pairs(4, seed=5)])


def test_other_weights_to_start_from_are_another_training(tmp_path: Path) -> None:
    for shift in (0.0, 1.0):
        (tmp_path / str(shift)).mkdir()
        save_file({name: value + shift for name, value in network().state_dict().items()},
                  tmp_path / str(shift) / "model.safetensors")
    run(tmp_path / "work", TINY, origin=weights_hash(tmp_path / "0.0"))
    with pytest.raises(CheckpointError, match="another training"):
        run(tmp_path / "work", TINY, origin=weights_hash(tmp_path / "1.0" / "model.safetensors"))


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    with only_one(tmp_path / "lock", "here"), pytest.raises(MachineError, match="another process is training"):
        run(tmp_path, TINY)


def test_a_broken_state_is_named(tmp_path: Path) -> None:
    run(tmp_path, TINY)
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(CheckpointError, match=r"state\.pt is broken"):
        run(tmp_path, TINY)


class Faulty(nn.Module):
    """Returns NaN in chosen calls."""

    def __init__(self, calls: set[int]) -> None:
        super().__init__()
        self.inner, self.calls, self.count = network(), calls, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        out: torch.Tensor = self.inner(x)
        return out * float("nan") if self.count in self.calls else out


def test_a_single_bad_step_is_skipped_and_counted(tmp_path: Path) -> None:
    trained = run(tmp_path, TINY.but(skip_limit=1), Faulty({3}))
    assert all(torch.isfinite(value).all() for value in trained.values())
    assert log(tmp_path)[-1]["skipped"] == 1


def test_lasting_bad_steps_stop_with_term_and_step(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"term 'l1' is nan at step 3, the 2\. such step in a row"):
        run(tmp_path, TINY.but(skip_limit=1), Faulty({3, 4, 5, 6}))


class Greedy(nn.Module):
    """Runs out of memory on more than `most` crops at a time."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.inner, self.most = network(), most

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.inner(x)


@pytest.mark.parametrize("loss", ["l1", "psnr"])
def test_out_of_memory_halves_the_micro_batch_and_keeps_the_batch(tmp_path: Path, loss: str) -> None:
    settings = TINY.but(loss=loss, batch=5)
    whole = run(tmp_path / "whole", settings, Greedy(5))
    split = run(tmp_path / "split", settings, Greedy(2))
    assert all(torch.allclose(whole[name], split[name], atol=1e-5) for name in whole)
    assert log(tmp_path / "split")[0]["micro_batch"] == 2
    assert log(tmp_path / "whole")[0]["micro_batch"] == 5


def test_out_of_memory_with_one_crop_is_a_machine_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="memory ran out at step 0"):
        run(tmp_path, TINY, Greedy(0))


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "mse"}, {"loss": "charbonnier"}, {"loss": "psnr"}, {"optimiser": "adamw", "weight_decay": 0.5},
        {"weight_decay": 0.5}, {"betas": (0.5, 0.9)}, {"schedule": "steps", "milestones": (2,)}, {"schedule": "cosine"},
        {"schedule": "cosine", "final_lr": 5e-3}, {"warmup": 3}, {"clip_norm": 1e-9}, {"augment": False},
        {"mixing": "equal"}, {"mixing": (0.0, 1.0)}, {"ema": 0.9}, {"precision": "bf16"}, {"batch": 3}, {"crop": 13},
    ],
    ids=str,
)
def test_every_switch_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    assert not same(run(tmp_path / "a", TINY), run(tmp_path / "b", TINY.but(**change)))


def test_losses_against_closed_forms() -> None:
    output = torch.tensor([0.1, 0.5])[:, None, None, None].expand(2, 3, 4, 4)
    target = torch.zeros_like(output)
    assert float(LOSSES["l1"](output, target)) == pytest.approx(0.3)
    assert float(LOSSES["mse"](output, target)) == pytest.approx((0.01 + 0.25) / 2)
    assert float(LOSSES["charbonnier"](target, target)) == pytest.approx(1e-3)
    psnr = [-10 * math.log10(error + 1e-8) for error in (0.01, 0.25)]
    assert float(LOSSES["psnr"](output, target)) == pytest.approx(-sum(psnr) / 2, rel=1e-5)


def test_learning_rate_schedules() -> None:
    steps = TINY.but(lr=1.0, schedule="steps", milestones=(3, 5), gamma=0.1, warmup=2)
    assert [round(learning_rate(steps, n), 6) for n in range(6)] == [0.5, 1.0, 1.0, 0.1, 0.1, 0.01]
    cosine = TINY.but(lr=1.0, schedule="cosine", steps=10, final_lr=0.2)
    assert learning_rate(cosine, 0) == 1.0
    assert learning_rate(cosine, 5) == pytest.approx(0.6)
    assert learning_rate(cosine, 10) == pytest.approx(0.2)

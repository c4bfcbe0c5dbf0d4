"""The training loop: exact resume, empty domains, skipped steps, schedules, micro-batches, logs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from senm.checkpoint import load_state, save_state
from senm.config import AUTHORS, PAIRED_SMOKE, PAPER, SMOKE, NoiseModelSettings
from senm.data.domains import Domains
from senm.data.pool import ArrayImages, Pairs
from senm.support.errors import CheckpointError, DataError, MachineError, TrainingError
from senm.support.files import only_one
from senm.training.health import MOST_SETBACKS
from senm.training.train import LOG, STATE, Training, learning_rate

TINY = SMOKE.but(train={"iterations": 8, "batch": 5, "milestones": (4, 6), "checkpoint_every": 3, "log_every": 1})


def domains(p: int = 4, s: int = 4, t: int = 4, shift: int = 0) -> Domains:
    rng = np.random.default_rng(0)
    clean = rng.integers(40, 200, (12, 40, 40, 3), dtype=np.uint8) + np.uint8(shift)
    noisy = np.clip(clean + rng.normal(0, 12, clean.shape), 0, 255).astype(np.uint8)
    names = [f"image{i}" for i in range(12)]
    c, n = ArrayImages(clean, names), ArrayImages(noisy, names)
    return Domains(Pairs(c, n).subset(range(p)), c.subset(range(4, 4 + s)), n.subset(range(8, 8 + t)))


def weights(training: Training) -> dict[str, torch.Tensor]:
    parts = {"model": training.model, "level": training.level_net, "critic": training.critic}
    return {f"{name}.{k}": v for name, part in parts.items() for k, v in part.state_dict().items()}


def same(a: Training, b: Training) -> bool:
    return all(torch.equal(v, weights(b)[k]) for k, v in weights(a).items())


def log_of(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@pytest.mark.parametrize("settings", [TINY, PAIRED_SMOKE.but(train=TINY.train)], ids=["semi", "paired"])
def test_resumed_training_equals_the_uninterrupted_one_bit_for_bit(
    tmp_path: Path, settings: NoiseModelSettings
) -> None:
    whole = Training(settings, domains(), seed=3).run(tmp_path / "whole")
    broken = Training(settings, domains(), seed=3)
    (tmp_path / "broken").mkdir()
    for _ in range(5):
        line = {"step": broken.step, **broken.run_step(), "lr": 0.0, "skipped": 0, "seconds": 0.0}
        with (tmp_path / "broken" / LOG).open("a") as log:
            log.write(json.dumps(line) + "\n")
        if broken.step == 3:
            save_state(tmp_path / "broken" / STATE, broken.state())
    resumed = Training(settings, domains(), seed=3).run(tmp_path / "broken")
    assert resumed.step == 8 and same(whole, resumed)
    assert log_of(tmp_path / "whole")[3:] == log_of(tmp_path / "broken")[3:]
    assert [line["step"] for line in log_of(tmp_path / "broken")] == list(range(8))


def test_finished_training_is_not_repeated(tmp_path: Path) -> None:
    first = Training(TINY, domains(), seed=3).run(tmp_path)
    again = Training(TINY, domains(), seed=3)
    again.run_step = None  # type: ignore[assignment, method-assign]
    assert same(first, again.run(tmp_path))


def test_a_finished_training_goes_on_to_more_iterations_as_if_never_stopped(tmp_path: Path) -> None:
    Training(TINY.but(train={"iterations": 5}), domains(), seed=3).run(tmp_path / "longer")
    longer = Training(TINY.but(train={"log_every": 3}), domains(), seed=3)
    longer.run(tmp_path / "longer")
    assert longer.step == 8 and same(longer, Training(TINY, domains(), seed=3).run(tmp_path / "whole"))


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    with only_one(tmp_path / "lock", "here"), pytest.raises(MachineError, match="another process is training"):
        Training(TINY, domains(), seed=3).run(tmp_path)


def test_a_state_of_other_settings_or_a_broken_one_is_not_taken_over(tmp_path: Path) -> None:
    Training(TINY, domains(), seed=3).run(tmp_path)
    kept = (tmp_path / STATE).read_bytes()
    others = [Training(TINY.but(loss={"lam": 1e-3}), domains(), seed=3), Training(TINY, domains(), seed=4),
              Training(TINY, domains(p=3), seed=3), Training(TINY, domains(shift=1), seed=3),
              Training(TINY.but(train={"iterations": 7}), domains(), seed=3)]
    for other in others:
        with pytest.raises(CheckpointError, match="remove"):
            other.run(tmp_path)
    assert (tmp_path / STATE).read_bytes() == kept
    (tmp_path / STATE).write_bytes((tmp_path / STATE).read_bytes()[:1000])
    assert load_state(tmp_path / STATE) is None


def test_seeds_give_different_trainings_and_equal_seeds_equal_ones(tmp_path: Path) -> None:
    runs = [Training(TINY, domains(), seed=seed) for seed in (1, 1, 2)]
    for run in runs:
        run.run_step()
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])


@pytest.mark.parametrize("counts", [(4, 0, 0), (4, 4, 0), (4, 0, 4), (0, 4, 4)], ids=str)
def test_any_domain_may_be_empty(counts: tuple[int, int, int]) -> None:
    training = Training(TINY, domains(*counts), seed=0)
    before = {k: v.clone() for k, v in weights(training).items()}
    for _ in range(3):
        training.run_step()
    assert not all(torch.equal(v, before[k]) for k, v in weights(training).items() if k.startswith("model"))


def test_no_data_at_all_is_an_error() -> None:
    with pytest.raises(DataError):
        Training(TINY, domains(0, 0, 0), seed=0)


@pytest.mark.parametrize(("step", "rate"), [
    (0, 1e-4), (149_999, 1e-4), (150_000, 5e-5), (225_000, 2.5e-5), (299_999, 6.25e-6),
])
def test_rate_is_halved_at_each_milestone(step: int, rate: float) -> None:
    assert learning_rate(AUTHORS.train, step) == pytest.approx(rate, rel=1e-12)
    assert PAPER.train.milestones == AUTHORS.train.milestones


def test_steps_of_large_gradient_change_nothing_but_the_critic_and_are_counted() -> None:
    training = Training(TINY.but(train={"skip_norm": 1e-9}), domains(), seed=0)
    before = {k: v.clone() for k, v in weights(training).items()}
    training.run_step()
    after = weights(training)
    assert training.health.skipped == 1
    assert all(torch.equal(before[k], after[k]) for k in before if not k.startswith("critic"))
    learnt = {f"critic.{name}" for name, _ in training.critic.named_parameters()}
    assert any(not torch.equal(before[k], after[k]) for k in learnt), "the critic has moments that change by themselves"


def test_too_many_skipped_steps_stop_the_run_and_name_the_term(tmp_path: Path) -> None:
    training = Training(TINY.but(train={"max_skipped": 2}), domains(), seed=0)
    with torch.no_grad():
        training.model.encode_y.stem.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"2 steps in a row.*'(paired|target)/rec_[xy]' is not finite"):
        training.run(tmp_path)


def test_a_network_that_blew_up_goes_back_to_its_saved_state_at_half_the_rate(tmp_path: Path) -> None:
    settings = TINY.but(train={"max_skipped": 2})
    training = Training(settings, domains(), seed=3)
    run_step, blown = training.run_step, []

    def run_or_blow_up() -> dict[str, float]:
        if training.step == 5 and not blown:
            blown.append(5)
            with torch.no_grad():
                training.model.encode_y.stem.weight.fill_(float("nan"))
        return run_step()

    training.run_step = run_or_blow_up  # type: ignore[method-assign]
    training.run(tmp_path / "blown")
    assert training.step == 8 and training.health.setbacks == 1
    log = log_of(tmp_path / "blown")
    assert [line["step"] for line in log] == list(range(8))
    assert [line["lr"] / learning_rate(settings.train, line["step"]) for line in log] == [1] * 3 + [0.5] * 5
    other = Training(settings, domains(), seed=3)
    for _ in range(3):
        other.run_step()
    other.health.setbacks = 1
    save_state(tmp_path / "other" / STATE, other.state())
    assert same(training, Training(settings, domains(), seed=3).run(tmp_path / "other"))
    assert any("blew up once" in alarm for alarm in training.health.alarms())


def test_a_network_that_blows_up_again_and_again_stops_the_run(tmp_path: Path) -> None:
    training = Training(TINY.but(train={"max_skipped": 1}), domains(), seed=3)
    run_step = training.run_step

    def blow_up_after_four() -> dict[str, float]:
        if training.step == 4:
            with torch.no_grad():
                training.model.encode_y.stem.weight.fill_(float("nan"))
        return run_step()

    training.run_step = blow_up_after_four  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="not finite"):
        training.run(tmp_path)
    assert training.health.setbacks == MOST_SETBACKS and load_state(tmp_path / STATE)["step"] == 3


def test_clipping_bounds_the_update() -> None:
    free = Training(TINY.but(train={"clip_norm": None}), domains(), seed=0)
    clipped = Training(TINY.but(train={"clip_norm": 1e-6}), domains(), seed=0)
    free.run_step()
    clipped.run_step()
    norm = sum(float(p.grad.square().sum()) for p in clipped.model.parameters() if p.grad is not None) ** 0.5
    assert norm <= 1.01e-6 and not same(free, clipped)


def test_micro_batches_give_the_gradient_of_the_whole_batch() -> None:
    settings = TINY.but(loss={"gan_weight": 0.0})
    whole, parts = Training(settings, domains(), seed=0), Training(settings, domains(), seed=0)
    parts.health.micro_batches = 3
    logged = whole.run_step(), parts.run_step()
    for name in ("paired/rec_x", "source/rec_x", "target/rec_y"):
        if name in logged[0]:
            assert logged[0][name] == pytest.approx(logged[1][name], rel=1e-5)
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-7)


def test_out_of_memory_halves_the_micro_batch_and_says_so() -> None:
    training = Training(TINY, domains(), seed=0)
    terms, sizes = training.terms, []

    def small_machine(batch, *rest):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return terms(batch, *rest)

    training.terms = small_machine  # type: ignore[method-assign]
    training.run_step()
    assert sizes[0] == 5 and sum(sizes[1:]) == 5 and training.health.micro_batches == 2


def test_collapsed_layers_are_noted(tmp_path: Path) -> None:
    training = Training(TINY.but(train={"iterations": 2}, loss={"anneal_steps": 1}), domains(), seed=0)
    with torch.no_grad():
        for q, p in zip(training.model.q_zn, training.model.p_zn, strict=True):
            q.load_state_dict(p.state_dict())
            for part in (*q.parameters(), *p.parameters()):
                part.zero_()
    training.settings = training.settings.but(train={"lr": 1e-12})
    training.run(tmp_path)
    assert training.health.collapsed_layers == [0, 1, 2]


@pytest.mark.parametrize(("settings", "logged"), [
    (TINY, 1.0), (TINY.but(loss={"reduction": "sum"}), 4 * 32 * 32), (PAIRED_SMOKE, 2 / 3),
], ids=["means", "sums", "paired"])
def test_a_layer_collapses_by_its_mean_over_elements(settings: NoiseModelSettings, logged: float) -> None:
    training = Training(settings.but(loss={"anneal_steps": 0}), domains(), seed=0)
    for per_element, found in ((1.01e-5, []), (0.99e-5, [0])):
        training.check_collapse({"kl_zn/layer0": per_element * logged})
        assert training.health.collapsed_layers == found

"""Estimates: hours from measured speeds and the machine they come from, disk from images and networks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import baselines
from benchmarks.cli.endless import refuse_too_large
from benchmarks.cli.session import command
from benchmarks.core.options import Options
from benchmarks.core.scale import scale
from benchmarks.core.step import Step
from benchmarks.data.datasets import OFFICIAL_COUNTS, Data
from benchmarks.planning.making import iterations, settings_of, work
from benchmarks.planning.plan import Plan, Planner
from benchmarks.profiling.costs import shortened
from benchmarks.profiling.throughput import NOISE, RESTORERS, line, write
from benchmarks.running.estimate import Estimate, Rate, Throughput
from benchmarks.store.store import Store
from benchmarks.tables import table
from senm.support.errors import DataError, MachineError, UsageError
from senm.support.memory import allowed_memory

RATES = [
    Rate(kind="fit", system="senm-vae", scale="paper", unit="iterations", per_second=10.0),
    Rate(kind="sample", system="senm-vae", scale="paper", unit="images", per_second=100.0),
]
FIT = Step("fit", "", {"system": "senm-vae"}, cost={"iterations": 300_000})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "linux-big-gpu").mkdir()
    write(tmp_path / "linux-big-gpu" / "throughput.json", RATES, {"gpu": "Big GPU"})
    (tmp_path / "linux-x86_64-cpu").mkdir()
    slow = [rate.model_copy(update={"per_second": 0.1, "scale": "smoke"}) for rate in RATES]
    write(tmp_path / "linux-x86_64-cpu" / "throughput.json", slow, {"processor": "Small"})
    return tmp_path


def test_times_are_work_over_speed(root: Path) -> None:
    estimate = Estimate.load("cpu", "paper", root=root)
    assert estimate.machine == "linux-big-gpu", "paper scale is estimated for a GPU"
    assert estimate.seconds(FIT) == pytest.approx(30_000)
    assert estimate.words(FIT) == "8h20m"
    assert Estimate.load("cpu", "smoke", root=root).machine == "linux-x86_64-cpu"


def test_what_was_never_measured_is_not_guessed(root: Path) -> None:
    estimate = Estimate.load("cpu", "paper", root=root)
    other = Step("fit", "", {"system": "c2n"}, cost={"iterations": 10})
    assert estimate.seconds(other) is None and estimate.words(other) == "?"
    assert Estimate.load("cpu", "paper", root=root / "none").seconds(FIT) is None


def test_released_checkpoints_and_closed_forms_take_no_time(root: Path) -> None:
    estimate = Estimate.load("cpu", "paper", root=root)
    assert estimate.seconds(Step("fit", "", {"system": "senm-vae"}, released="ab", cost={"iterations": 9})) == 0
    assert estimate.seconds(Step("fit", "", {"system": "gaussian"}, cost={"iterations": 0})) == 0


def test_an_unknown_machine_and_a_broken_file_are_named(root: Path) -> None:
    with pytest.raises(UsageError, match="linux-big-gpu"):
        Estimate.load("cpu", "paper", "linux-bog-gpu", root)
    (root / "linux-big-gpu" / "throughput.json").write_text("{")
    with pytest.raises(DataError, match=r"throughput\.json"):
        Estimate.load("cpu", "paper", root=root)


def test_totals_say_hours_machine_and_what_is_unknown(root: Path, tmp_path: Path) -> None:
    data = Data("sidd", "f", OFFICIAL_COUNTS["sidd"])
    spec = table("table1")
    planned = Planner(data, scale("paper")).table(spec, [spec.row("senm-10")], (0,))
    plan = Plan((planned,), scale("paper"), (0,))
    disk, time = Estimate.load("cuda", "paper", root=root).totals(plan, Store(tmp_path / "store"))
    assert "18." in disk and "GiB" in disk, "96000 + 2 * 1280 images of 256 x 256 x 3 bytes, and two networks"
    assert "8.6 hours" in time and "linux-big-gpu" in time and "Big GPU" in time and "of unknown speed" in time


def test_paper_settings_count_their_iterations() -> None:
    assert iterations(settings_of("senm-vae", "paper", {})) == 300_000
    assert iterations(settings_of("dncnn", "paper", {})) == 300_000
    assert iterations(settings_of("gaussian", "paper", {})) == 0


@pytest.mark.parametrize("system", ["senm-vae", "senm-paired", "c2n", "dncnn", "esrgan"])
def test_a_run_to_time_is_short_and_otherwise_the_same(system: str) -> None:
    settings = settings_of(system, "paper", {})
    short = shortened(settings, 5)
    assert 0 < iterations(short) <= 10
    changed = {path for path, value in short.flat().items() if value != settings.flat()[path]}
    assert {path.rpartition(".")[2] for path in changed} <= {"iterations", "steps", "milestones"}


def test_new_speeds_replace_old_ones_of_the_same_system_only(tmp_path: Path) -> None:
    path = tmp_path / "throughput.json"
    write(path, RATES, {"gpu": "a"})
    write(path, [RATES[0].model_copy(update={"per_second": 20.0})], {"gpu": "b"})
    found = Throughput.model_validate_json(path.read_text())
    assert {(r.kind, r.per_second) for r in found.rates} == {("fit", 20.0), ("sample", 100.0)}


def test_speeds_are_taken_from_finished_runs(tmp_path: Path) -> None:
    from benchmarks.profiling.throughput import from_store

    store = Store(tmp_path)
    for seed, seconds in ((0, 10.0), (1, 30.0)):
        found = {"kind": "fit", "system": "c2n", "scale": "short", "cost": {"iterations": 200}, "seconds": seconds}

        def write_it(folder: Path, found: dict[str, object] = found) -> None:
            (folder / "provenance.json").write_text(json.dumps(found))

        store.make(Step("fit", "", {"system": "c2n"}, seed), write_it)
        store.make(Step("fit", "", {"system": "c2n"}, seed, released="copied in no time"), write_it)
    assert [(r.system, r.unit, r.per_second) for r in from_store(tmp_path)] == [("c2n", "iterations", 10.0)]


def test_the_speed_of_a_training_of_two_stages_counts_both(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.profiling import costs
    from senm.support.progress import NullProgress

    settings = settings_of("esrgan", "smoke", {})
    clock = iter((0.0, 2.0, 10.0, 16.0))
    trained = SimpleNamespace(restore=lambda part, device, progress: [])
    system = SimpleNamespace(
        capabilities=SimpleNamespace(factor=4, needs_pairs=True, uses_unpaired=False),
        default_settings=lambda scale: settings,
        fit=lambda *args, **more: trained,
    )
    monkeypatch.setattr("baselines.get", lambda name: system)
    monkeypatch.setattr(costs, "_images", lambda *args: RATES[1])
    monkeypatch.setattr(costs, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    fit, _ = costs.measure_restorer("esrgan", "smoke", "cpu", (5, 25), NullProgress())
    assert fit.per_second == 10.0, "40 more steps of two stages in four more seconds"


def test_a_system_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    from benchmarks.profiling.costs import measure

    fit, images = measure("dncnn", "smoke", "cpu", (1, 3))
    assert (fit.about, images.about) == (("fit-restorer", "dncnn", "smoke", "iterations"),
                                         ("restore", "dncnn", "smoke", "images"))
    settings = settings_of("dncnn", "smoke", {})
    weights = sum(p.numel() for p in baselines.get("dncnn").build(settings).parameters() if p.ndim == 4)
    pixels = settings.training.batch * settings.training.crop**2
    assert images.gflop == pytest.approx(2 * weights * 256**2 / 1e9, rel=0.01), "two operations a weight and pixel"
    assert fit.gflop == pytest.approx(3 * 2 * weights * pixels / 1e9, rel=0.15), "forward, and twice that backward"
    assert 100 < fit.memory_mib < 8000
    with pytest.raises(MachineError, match="could not be measured: unknown"):
        measure("dncn", "smoke", "cpu", (1, 3))


def test_operations_and_memory_outlive_speeds_taken_from_a_store(tmp_path: Path) -> None:
    path, counted = tmp_path / "throughput.json", RATES[0].model_copy(update={"gflop": 2.5, "memory_mib": 2048})
    write(path, [counted], {}, peak=0.1)
    write(path, [RATES[0].model_copy(update={"per_second": 20.0})], {})
    (rate,), peak = (found := Throughput.model_validate_json(path.read_text())).rates, found.peak
    assert (rate.per_second, rate.gflop, rate.memory_mib, peak) == (20.0, 2.5, 2048, 0.1)
    assert "50% of the limit" in line(rate, peak) and "2.0 GiB" in line(rate, peak)
    assert "limit" not in line(RATES[0], peak), "not counted"


def test_a_plan_says_memory_and_estimates_a_gpu(tmp_path: Path) -> None:
    rates = [each.model_copy(update={"gflop": 1.0, "memory_mib": 5120}) for each in RATES]
    (tmp_path / "linux-x86_64-cpu").mkdir()
    write(tmp_path / "linux-x86_64-cpu" / "throughput.json", rates, {"processor": "Small"}, peak=1.56)
    estimate = Estimate.load("cpu", "paper", root=tmp_path)
    spec = table("table1")
    planner = Planner(Data("sidd", "f", OFFICIAL_COUNTS["sidd"]), scale("paper"))
    planned = planner.table(spec, [spec.row("senm-10")], (0,))
    plan, store = Plan((planned,), scale("paper"), (0,)), Store(tmp_path / "store")
    said = "\n".join(estimate.totals(plan, store))
    assert "5.0 GiB at most (train senm-vae" in said and "steps were not measured" in said
    assert "estimate for a GPU, not measured: at least 0 hours on one A100" in said, "8.6 hours at a hundredth"
    assert any(each["memory_mib"] == 5120 for each in estimate.as_json(plan, store)["steps"])


def test_a_step_that_this_machine_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    estimate = Estimate("linux-x86_64-cpu", "paper", (RATES[0].model_copy(update={"memory_mib": 15 * 1024}),))
    monkeypatch.setattr("senm.support.memory.allowed_memory", lambda: 8 * 2**30)
    with pytest.raises(MachineError, match=r"took 15\.0 GiB .* allows 8\.0 GiB"):
        refuse_too_large(Options(), [FIT], estimate)
    refuse_too_large(Options(yes=True), [FIT], estimate)
    refuse_too_large(Options(on="ray:host:1"), [FIT], estimate)
    refuse_too_large(Options(), [dataclasses.replace(FIT, released="ab")], estimate)
    refuse_too_large(Options(), [Step("fit", "", {"system": "c2n"}, cost={"iterations": 1})], estimate)


def test_memory_is_that_of_the_machine_or_of_its_container(tmp_path: Path) -> None:
    whole = allowed_memory(tmp_path)
    (tmp_path / "memory.max").write_text("max\n")
    assert allowed_memory(tmp_path) == whole > 2**28
    (tmp_path / "memory.max").write_text(f"{2**28}\n")
    assert allowed_memory(tmp_path) == 2**28


def test_a_recorded_command_names_no_folder_of_the_user() -> None:
    assert command(["/opt/run.py", "--data", "folder:/home/me/x,_a,_b", "--external", "a=/b/c"]) == (
        "run.py --data folder:x,_a,_b --external a=c"
    )


def test_speed_is_measured_without_lpips_where_its_weights_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.profiling.costs import without_missing_lpips
    from senm.config import AUTHORS, SMOKE

    monkeypatch.setattr("senm.training.perceptual.find_weights", lambda name: None)
    assert without_missing_lpips(AUTHORS).loss == AUTHORS.loss.but(lpips_weight=0.0)
    assert without_missing_lpips(SMOKE) is SMOKE
    monkeypatch.setattr("senm.training.perceptual.find_weights", lambda name: "here")
    assert without_missing_lpips(AUTHORS) is AUTHORS


@pytest.mark.parametrize("system", [*NOISE, *RESTORERS])
@pytest.mark.parametrize("scale", ["short", "paper"])
def test_every_training_has_a_length_that_a_timing_can_cut(system: str, scale: str) -> None:
    """A training of unknown or no length would be planned as nothing, or timed for days."""
    settings = baselines.get(system).default_settings(scale)
    if system in ("gaussian", "heteroscedastic", "impressionism"):
        assert not iterations(settings)
        return
    ((unit, amount),) = work(settings).items()
    assert amount > 100 and unit == ("epochs" if (system, scale) == ("neca-w", "paper") else "iterations")
    cut = shortened(settings, 5)
    assert 0 < iterations(cut) <= 15 and getattr(cut, "network", 0) == getattr(settings, "network", 0)

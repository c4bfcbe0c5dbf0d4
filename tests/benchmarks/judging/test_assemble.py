"""From records to cells: states, spread over replicates, intervals over images, reasons, substitutes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.core.record import Cell, EvaluationRecord, Measurement, Provenance, TableResult
from benchmarks.core.scale import scale
from benchmarks.data.datasets import ROLES, Data
from benchmarks.judging.assemble import Assembly, assemble, portable
from benchmarks.planning.plan import Planner, TablePlan
from benchmarks.running.measure import RECORD
from benchmarks.running.runner import Outcome
from benchmarks.store.store import Store
from benchmarks.tables import table
from senm.support.errors import TrainingError

DATA = Data("folder", "f", dict(zip(ROLES, (20, 12, 12, 20, 6, 0), strict=True)))


def planned(name: str, rows: tuple[str, ...], seeds: tuple[int, ...] = (0,)) -> TablePlan:
    spec = table(name)
    return Planner(DATA, scale("smoke"), "fid").table(spec, [spec.row(r) for r in rows], seeds)


def store_records(store: Store, plan: TablePlan, value: float = 1.0, metrics: tuple[str, ...] | None = None,
                  health: dict[str, Any] | None = None) -> None:
    """A made-up record for every evaluate step; values grow with the seed."""
    for row in plan.rows:
        for kind, step in row.evaluations.items():
            names = metrics if metrics is not None else step.params["metrics"]
            found = tuple(
                Measurement(
                    metric=name,
                    value=value + row.seed,
                    split="validation",
                    images=2,
                    per_image={} if name == "fid" else {"a": value + row.seed - 0.5, "b": value + row.seed + 0.5},
                )
                for name in names
            )
            record = EvaluationRecord(
                kind=kind,  # type: ignore[arg-type]
                system="x",
                data="folder",
                scale="smoke",
                seed=row.seed,
                measurements=found,
                description={"missing": {"lpips_alex": "LPIPS has no weights"}},
                health=health or {},
            )

            def write(folder: Path, record: EvaluationRecord = record) -> None:
                (folder / RECORD).write_text(record.model_dump_json())

            store.make(step, write)


def result(
    store: Store,
    plan: TablePlan,
    outcome: Outcome | None = None,
    scores: dict[tuple[str, str], float] | None = None,
    fd: str = "fid",
) -> TableResult:
    seeds = tuple(sorted({row.seed for row in plan.rows}))
    given = Assembly(plan, scale("smoke"), seeds, store, outcome or Outcome(), scores or {}, fd)
    return assemble(given, Provenance())


def cell(found: TableResult, row: str, column: str) -> Cell:
    the_cell = found.cell(row, column)
    assert the_cell is not None
    return the_cell


def test_mean_and_spread_are_over_replicates_and_the_interval_over_images(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), planned("table6", ("with-recon-x",), (0, 1, 2))
    store_records(store, plan, 10.0)
    psnr = cell(result(store, plan), "with-recon-x", "psnr")
    assert psnr.values == (10.0, 11.0, 12.0)
    assert (psnr.mean, psnr.spread, psnr.images) == (11.0, 1.0, 2)
    assert psnr.interval is not None and 9.5 <= psnr.interval[0] <= psnr.interval[1] <= 10.5
    assert psnr.paper == 36.73 and psnr.verdict == "not comparable"
    assert cell(result(store, plan), "with-recon-x", "fid").interval is None


def test_a_row_that_failed_says_why_and_takes_no_other_row_with_it(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), planned("table6", ("with-recon-x", "without-recon-x"))
    good, bad = plan.rows
    store_records(store, TablePlan(plan.spec, plan.data, (good,)))
    assert bad.fit is not None
    outcome = Outcome(failed={bad.fit.key: TrainingError("the loss is not finite at step 7")})
    found = result(store, plan, outcome)
    assert cell(found, "with-recon-x", "kld").state == "measured"
    assert cell(found, "without-recon-x", "kld").state == "not run"
    assert "not finite at step 7" in cell(found, "without-recon-x", "kld").reason
    assert {row.id: row.filled for row in found.rows} == {"with-recon-x": "trained", "without-recon-x": "none"}


def test_missing_replicates_are_said(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), planned("table6", ("with-recon-x",), (0, 1))
    store_records(store, TablePlan(plan.spec, plan.data, plan.rows[:1]))
    assert cell(result(store, plan), "with-recon-x", "psnr").reason == "1 of 2 replicates"


def test_a_measurement_that_no_seed_changes_is_no_replicate(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), planned("table6", ("with-recon-x",), (0, 1))
    first, second = plan.rows
    same = TablePlan(plan.spec, plan.data, (first, replace(second, evaluations=first.evaluations)))
    store_records(store, same)
    psnr = cell(result(store, same), "with-recon-x", "psnr")
    assert psnr.values == (1.0,) and psnr.spread is None and not psnr.reason


def test_server_columns_wait_for_the_server_and_then_show_its_score(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), planned("table2", ("senm-10", "n2v"))
    store_records(store, plan)
    waiting = cell(result(store, plan), "senm-10", "bench-psnr")
    assert waiting.state == "needs server" and "submit sidd" in waiting.reason
    scored = cell(result(store, plan, scores={("senm-10", "bench-psnr"): 37.9}), "senm-10", "bench-psnr")
    assert scored.state == "server score" and scored.mean == 37.9
    assert cell(result(store, plan), "n2v", "bench-psnr").state == "needs server"
    assert cell(result(store, plan), "n2v", "val-psnr").paper == 29.35


def test_random_features_take_the_columns_place_under_their_own_name(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), planned("table6", ("with-recon-x",))
    found = result(store, plan, fd="fd_random")
    column = found.columns[0]
    assert (column.id, column.metric, column.label) == ("fid", "fd_random", "FD-random")
    assert any("column fid: fd_random" in line for line in found.deviations)


def test_a_metric_without_weights_is_not_run_with_the_reason(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), planned("table4", ("esrgan",))
    store_records(store, plan, metrics=("psnr_rgb_uint8",))
    lpips = cell(result(store, plan), "esrgan", "lpips")
    assert lpips.state == "not run" and lpips.reason == "LPIPS has no weights"


def test_deviations_come_from_the_settings_of_the_steps(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), planned("table6", ("with-recon-x", "without-recon-x"))
    lines = "\n".join(result(store, plan).deviations)
    assert "data: folder instead of sidd" in lines
    assert "network.nf 8 instead of 64" in lines
    assert "loss.kl_z_passes both instead of from_y" in lines
    assert "reconstruct_x" not in lines, "what a row changes on purpose is no deviation"
    assert "checkpoint_every" not in lines


def test_claims_are_judged_on_our_cells(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), planned("table6", ("with-recon-x", "without-recon-x"))
    store_records(store, TablePlan(plan.spec, plan.data, plan.rows[:1]), 1.0)
    claim = next(c for c in result(store, plan).claims if c.id == "t6-recon")
    assert (claim.ours, claim.printed) == ("undecided", "holds")


def test_what_trainings_noted_stands_below_the_table(tmp_path: Path) -> None:
    store, plan = Store(tmp_path), planned("table6", ("with-recon-x",))
    store_records(store, plan, health={"training": {"collapsed_layers": [2], "skipped": 5}})
    notes = result(store, plan).notes
    for whose in ("its noise model", "its restorer"):
        assert any(f"{whose}: 5 steps were skipped" in line for line in notes)
        assert any(f"{whose}: posterior collapse: zn of layer 2 carries nothing" in line for line in notes)


@pytest.mark.parametrize("text", ["curl -o ~/x", "nothing"])
def test_a_portable_sentence_has_no_home_folder(text: str) -> None:
    assert portable(text.replace("~", str(Path.home()))) == text

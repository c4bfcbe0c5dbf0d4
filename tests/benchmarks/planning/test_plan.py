"""Plans: shared steps, limits of the data, seeds, released checkpoints, published weights."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from baselines.published.weights import Found, release
from benchmarks.cli.session import prepare
from benchmarks.core.options import Options
from benchmarks.core.record import Cell
from benchmarks.core.scale import scale
from benchmarks.core.step import closure
from benchmarks.data.datasets import ROLES, Data, fits, parse
from benchmarks.judging.assemble import _row
from benchmarks.metrics import chosen
from benchmarks.planning.deviations import deviations
from benchmarks.planning.making import limited, settings_of
from benchmarks.planning.plan import Plan, Planner, RowPlan
from benchmarks.tables import NAMES, Mix, RowSpec, table
from senm.support.errors import SettingsError, UsageError
from senm.support.progress import NullProgress

BIG = Data("sidd", "f", dict(zip(ROLES, (96_000, 48_000, 48_000, 96_000, 1280, 1280), strict=True)))
SMALL = Data("embedded", "g", dict(zip(ROLES, (20, 12, 12, 20, 6, 0), strict=True)), {10: 2, 96: 8, 960: 20})


def plans(*names: str, data: Data = BIG, size: str = "smoke", seeds: tuple[int, ...] = (0,), **more: object) -> Plan:
    planner = Planner(data, scale(size), "fid", **more)  # type: ignore[arg-type]
    return Plan(tuple(planner.table(table(n), table(n).rows, seeds) for n in names), scale(size), seeds)


def row(plan: Plan, name: str, seed: int = 0) -> RowPlan:
    return next(r for t in plan.tables for r in t.rows if r.row.id == name and r.seed == seed)


def test_ten_pairs_and_all_unpaired_images_are_one_training_for_four_tables() -> None:
    plan = plans("table1", "table2", "table6", "table7")
    key = row(plan, "senm-10").fit.key
    assert row(plan, "with-recon-x").fit.key == row(plan, "10-all-all").fit.key == key
    assert plan.users()[key] == ["table1", "table2", "table6", "table7"]


def test_the_default_lambda_of_figure_7_is_the_training_of_table_1() -> None:
    plan = plans("table1", "figure7")
    assert row(plan, "lambda-1e-7").fit.key == row(plan, "senm-10").fit.key
    assert row(plan, "lambda-1e-6").fit.key != row(plan, "senm-10").fit.key


def test_every_table_plans_and_every_printed_row_is_there() -> None:
    from benchmarks.judging.compare import printed

    for name in NAMES:
        plan = plans(name)
        ids = {r.row.id for r in plan.tables[0].rows}
        assert {row_id for row_id, _ in printed().table(name)} <= ids
        assert plan.steps()


def test_columns_of_the_tables_are_those_of_the_printed_cells_in_an_accepted_convention() -> None:
    from benchmarks.judging.compare import printed

    for name in NAMES:
        columns = {column.id: column for column in table(name).columns}
        for (_, column), cell in printed().table(name).items():
            assert columns[column].split in (cell.split, "bench", "dnd")
            assert columns[column].better == cell.better


def test_a_number_that_reaches_all_there_is_means_all() -> None:
    assert limited(Mix(960, 96, 0), SMALL) == Mix(None, None, 0)
    assert limited(Mix(10, 96, 48_000), BIG) == Mix(10, 96, None)
    plan = plans("table7", data=SMALL)
    assert row(plan, "10-96-96").fit.key == row(plan, "10-960-960").fit.key == row(plan, "10-all-all").fit.key


def test_images_get_noise_at_their_own_level_where_the_model_saw_their_partners() -> None:
    steps = [step for step in plans("table1").steps() if step.kind == "sample"]
    pairs = [step.inputs["model"].params["domains"]["paired"] for step in steps]
    assert {(s.params["pool"], n is None, s.params.get("levels")) for s, n in zip(steps, pairs, strict=True)} == {
        ("validation", True, "own"), ("validation", False, "own"), ("train", True, "own"), ("train", False, None)}


def test_a_row_with_the_standard_prior_shares_the_training_and_not_the_noise() -> None:
    plan = plans("table1")
    for name in ("senm-10", "senm-all"):
        ours, standard = row(plan, name), row(plan, f"{name}-standard")
        assert ours.fit is not None and standard.fit is not None and ours.fit.key == standard.fit.key
        assert ours.evaluations["noise"].key != standard.evaluations["noise"].key


def test_replicates_and_data_have_their_own_steps() -> None:
    plan = plans("table6", seeds=(0, 1))
    assert row(plan, "with-recon-x", 0).fit.key != row(plan, "with-recon-x", 1).fit.key
    assert row(plans("table6", data=SMALL), "with-recon-x").fit.key != row(plan, "with-recon-x").fit.key


def test_only_what_ran_here_makes_a_row_trained() -> None:
    plan = plans("table1")
    assert {planned.filled for each in plan.tables for planned in each.rows} == {"trained"}
    bare = Planner(SMALL, scale("smoke")).row(table("table1"), RowSpec("other", "Other"), 0)
    assert bare.filled == "quoted" and not bare.evaluations


def test_a_released_checkpoint_stands_in_for_its_training_and_changes_what_follows() -> None:
    plan = plans("table6")
    fit = row(plan, "with-recon-x").fit
    assert fit is not None
    again = plans("table6", released={fit.identity: "cafe"})
    stand_in = row(again, "with-recon-x").fit
    assert stand_in is not None and stand_in.released == "cafe"
    assert stand_in.key != fit.key
    assert row(again, "with-recon-x").evaluations["noise"].key != row(plan, "with-recon-x").evaluations["noise"].key
    assert row(again, "without-recon-x").fit.key == row(plan, "without-recon-x").fit.key


def test_a_row_is_filled_by_checkpoints_only_if_no_training_is_left() -> None:
    fit = row(plans("table6"), "with-recon-x").fit
    assert fit is not None
    half = plans("table6", released={fit.identity: "cafe"})
    assert row(half, "with-recon-x").filled == "trained"
    network = row(half, "with-recon-x").network
    assert network is not None
    whole = plans("table6", released={fit.identity: "cafe", network.identity: "beef"})
    assert row(whole, "with-recon-x").filled == "released checkpoint"


def test_published_weights_fill_a_quoted_row() -> None:
    release = SimpleNamespace(name="restormer-sidd", file="real_denoising.pth",
                              maker="baselines.restorers.restormer.model:Restormer")
    found = SimpleNamespace(release=release, sha256="ab", path="there")
    plan = plans("table3", weights={("table3", "restormer"): found})
    assert row(plan, "restormer").filled == "released weights"
    assert row(plan, "restormer").network.kind == "weights"


STARTS = {system: Found(release(name), Path("there"), "abcdef0123456789")
          for system, name in (("nafnet-finetune", "nafnet-sidd"), ("esrgan", "rrdb-psnr"))}  # fmt: skip


def test_published_starts_take_the_place_of_the_trainings_that_make_starts() -> None:
    plan = plans("table3", size="paper", starts=STARTS)
    tuned = row(plan, "senm-nafnet")
    assert tuned.network.inputs["start"].kind == "weights" and tuned.filled == "trained"
    assert tuned.start.params["release"] == "nafnet-sidd"
    said = deviations(plan.tables[0], scale("paper"))
    assert any("SeNM-VAE: its restorer goes on from nafnet (published weights NAFNet-SIDD" in line for line in said)
    assert row(plans("table3", size="paper"), "senm-nafnet").network.inputs["start"].kind == "fit-restorer"
    enlarged = plans("table4", size="paper", starts=STARTS)
    for name in ("esrgan", "senm"):
        assert row(enlarged, name).start.params["release"] == "rrdb-psnr"
        assert row(enlarged, name).network.cost == {"iterations": 60_000}, "no PSNR stage is left to train"
    alone = plans("table4", size="paper")
    starts = {name: row(alone, name).network.inputs.get("start") for name in ("fssr", "deflow", "esrgan", "senm")}
    assert len({start.key for start in starts.values()}) == 1, "one start for all"
    assert starts["senm"].cost == {"iterations": 200_000} and starts["senm"].params["clean"] == "source"
    assert "start" not in row(alone, "dasr").network.inputs, "DASR begins from nothing"
    assert not any("psnr." in line for line in deviations(plans("table4", size="short").tables[0], scale("short")))


def test_a_folder_of_published_weights_gives_the_starts(tmp_path: Path) -> None:
    (tmp_path / "RRDB_PSNR_x4.pth").write_bytes(b"weights")
    options = Options(scale="paper", data=("aim19:absent",), weights=tmp_path, store=tmp_path / "store")
    ready = prepare(["table4"], options, NullProgress(), run=False)
    assert row(ready.plan, "senm").start.local["file"] == str(tmp_path / "RRDB_PSNR_x4.pth")
    shown = _row([row(ready.plan, "senm")], (Cell(row="senm", column="psnr", state="measured"),))
    assert shown.note == "goes on from published weights" and shown.filled == "trained"


def test_published_starts_are_left_alone_where_networks_have_another_size() -> None:
    for name in ("table3", "table4"):
        with_files, without = plans(name, size="short", starts=STARTS), plans(name, size="short")
        assert [step.key for step in with_files.steps()] == [step.key for step in without.steps()]
        assert not any(r.start for r in with_files.tables[0].rows)


def test_a_metric_is_measured_once_its_weights_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("SENM_WEIGHTS", str(tmp_path))
    before = row(plans("table4"), "esrgan").evaluations["restoration"]
    assert before.params["lacking"][0] == "lpips_alex"
    (tmp_path / "alexnet-owt-7be5be79.pth").write_bytes(b"")
    after = row(plans("table4"), "esrgan").evaluations["restoration"]
    assert after.key != before.key and "lpips_alex" not in after.params.get("lacking", [])
    assert after.inputs["images"].key == before.inputs["images"].key
    assert "lacking" not in row(plans("table2"), "drunet-10").evaluations["restoration"].params


def test_keys_follow_the_code_that_measures_and_the_code_that_reads_published_weights() -> None:
    measured = closure(row(plans("table4"), "esrgan").evaluations["restoration"].sources)
    wanted = {"benchmarks.running.measure", "benchmarks.metrics", "benchmarks.running.steps",
              "benchmarks.metrics.pairwise"}
    assert wanted <= set(measured)
    found = Found(release("c2n-sidd"), Path("there"), "ab")
    assert "baselines.noise.c2n.model" in closure(Planner(SMALL, scale("smoke")).published(found).sources)


def test_the_frechet_distance_is_the_one_that_can_be_computed() -> None:
    planner = Planner(SMALL, scale("smoke"), "fd_random")
    step = planner.row(table("table1"), table("table1").row("gaussian"), 0).evaluations["noise"]
    assert "fd_random" in step.params["metrics"] and "fid" not in step.params["metrics"]


def test_random_features_can_be_asked_for_where_fid_could_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENM_WEIGHTS", str(tmp_path))
    (tmp_path / "weights-inception-2015-12-05-6726825d.pth").write_bytes(b"")
    monkeypatch.delenv("SENM_FRECHET", raising=False)
    assert chosen.chosen() == "fid"
    monkeypatch.setenv("SENM_FRECHET", "fd_random")
    options = Options(scale="smoke", data=("sidd:absent",), rows=("gaussian",), store=tmp_path / "store")
    ready = prepare(["table1"], options, NullProgress(), run=False)
    assert ready.fd == "fd_random"
    assert "fd_random" in row(ready.plan, "gaussian").evaluations["noise"].params["metrics"]
    said = deviations(ready.plan.tables[0], scale("smoke"), {"fid": "fd_random"})
    assert "column fid: fd_random, because it was asked for" in said
    assert "SENM_FRECHET asked for FD-random" in chosen.why_random()
    monkeypatch.setenv("SENM_FRECHET", "fd-random")
    with pytest.raises(UsageError, match="fid or fd_random"):
        prepare(["table1"], options, NullProgress(), run=False)


def test_changes_reach_nested_settings_and_unknown_ones_are_refused() -> None:
    assert settings_of("senm-vae", "smoke", {"loss.lam": 0.5}).flat()["loss.lam"] == 0.5
    with pytest.raises(SettingsError, match="lamda"):
        settings_of("senm-vae", "smoke", {"loss.lamda": 0.5})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("embeded", "embedded"),
        ("folder", "names no folder"),
        ("embedded:here", "gives a path"),
        ("sidd:a,b,c", "suffixes"),
        ("folder:a,b", "1 suffixes"),
    ],
)
def test_a_data_option_that_makes_no_sense_is_refused(text: str, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        parse(text)


def test_data_sets_fit_their_tables() -> None:
    spec = parse("folder:some/where,_noisy,_clean")
    assert spec.suffixes == ("_noisy", "_clean")
    assert fits(spec, "noise") and not fits(parse("aim19:x"), "noise") and fits(parse("aim19:x"), "sr")

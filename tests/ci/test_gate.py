"""The gate: drift, vanished, new and empty numbers fail it; what varies within its margins passes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.core.record import (
    Cell,
    Column,
    EvaluationRecord,
    Frozen,
    GoldenRecord,
    Measurement,
    Provenance,
    Row,
    SpeedCase,
    SpeedRecord,
    TableResult,
    read,
)
from benchmarks.judging.compare import compare_table
from ci import gate
from ci.accepted import AcceptedTable, Margin, margins
from ci.judge import series_problem

MACHINE = "linux-x86_64-cpu"
REASON = "first measurement of the smoke run"
COLUMNS = (
    Column(id="psnr", label="PSNR", metric="psnr_rgb_uint8", split="validation", better="higher", digits=2),
    Column(id="kld", label="KLD", metric="kld_senm_official", split="validation", better="lower"),
)
ROWS = tuple(Row(id=f"row{i}", label=f"row {i}", filled="trained") for i in range(10))


def table(seeds: range, shift: float = 0.0, drop: str = "", **changes: object) -> TableResult:
    """A table whose cells are normal over seeds: PSNR 30 + row with spread 0.5, KLD 0.2 with spread 0.02."""
    cells = []
    for i, row in enumerate(ROWS):
        for column in COLUMNS:
            if f"{row.id}/{column.id}" == drop:
                cells.append(Cell(row=row.id, column=column.id, state="not run", reason="it failed"))
                continue
            psnr = column.id == "psnr"
            draws = [np.random.default_rng([seed, i, psnr]).normal() for seed in seeds]
            values = [30 + i + 0.5 * d if psnr else 0.2 + 0.02 * d for d in draws]
            if row.id == "row3" and psnr:
                values = [value + shift for value in values]
            cells.append(Cell(row=row.id, column=column.id, state="measured", values=tuple(values), images=8))
    base = {
        "table": "table1",
        "caption": "",
        "data": "embedded",
        "scale": "smoke",
        "seeds": tuple(seeds),
        "rows": ROWS,
        "columns": COLUMNS,
        "cells": tuple(cells),
    }
    return TableResult.model_validate({**base, **changes})


def golden(value: float = 0.5, platform: str = "py311-torch2.11.0-x86_64-avx512") -> GoldenRecord:
    return GoldenRecord(platform=platform, cases={"train senm-vae": {"level": (1.0, value, 0.25)}})


def speed(ratio: float = 1.7, fast_flops: float = 6e9) -> SpeedRecord:
    case = SpeedCase(
        slow="dense", fast="sparse", ratios=(ratio, ratio + 0.1, ratio - 0.1), slow_flops=1e10, fast_flops=fast_flops
    )
    return SpeedRecord(cases={"training step": case})


def by_this_code(record: Frozen) -> Frozen:
    return record.model_copy(update={"provenance": Provenance(git=gate.code())})


def evaluations(result: TableResult) -> dict[str, EvaluationRecord]:
    """The records that a table is made of, one for each row and seed."""
    columns = {column.id: column for column in result.columns}
    found = {}
    for row in result.rows:
        for i, seed in enumerate(result.seeds):
            cells = [c for c in result.cells if c.row == row.id and len(c.values) > i]
            measured = tuple(
                Measurement(
                    metric=columns[c.column].metric, value=c.values[i], split=columns[c.column].split, images=c.images,
                    per_image={f"i{n}": c.values[i] + n - (c.images - 1) / 2 for n in range(c.images)},
                )
                for c in cells
            )
            found[f"{row.id}-{seed}-noise"] = EvaluationRecord(
                kind="noise", system=row.label, data=result.data, scale=result.scale, seed=seed, measurements=measured
            )
    return found


class Bench:
    """A folder of runs and one of accepted records."""

    def __init__(self, root: Path) -> None:
        self.runs, self.accepted = root / "runs", root / "accepted"

    def measured(
        self, record: TableResult | None, gold: GoldenRecord | None = None, fast: SpeedRecord | None = None
    ) -> None:
        files: dict[str, Frozen] = {"gate/golden.json": gold or golden(), "gate/speed.json": fast or speed()}
        if record is not None:
            record, records = compare_table(record), evaluations(record)
            names = {name: f"records/{name}.json" for name in records}
            files["table1/embedded-smoke/table.json"] = record.model_copy(update={"records": names})
            files |= {f"table1/embedded-smoke/{names[name]}": each for name, each in records.items()}
        files = {name: each if isinstance(each, EvaluationRecord) else by_this_code(each)
                 for name, each in files.items()}
        for name, each in files.items():
            (self.runs / name).parent.mkdir(parents=True, exist_ok=True)
            (self.runs / name).write_text(each.model_dump_json())

    def run(self, *arguments: str) -> int:
        places = ["--runs", str(self.runs), "--accepted", str(self.accepted), "--machine", MACHINE, "--scale", "smoke"]
        return gate.main([*arguments, *places])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Records of ten seeds, accepted; then one fresh seed measured."""
    made = Bench(tmp_path)
    made.measured(table(range(10)))
    assert made.run("accept", "--reason", REASON) == 0
    made.measured(table(range(50, 51)))
    return made


def test_a_fresh_seed_passes(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run() == 0
    assert "gate passed" in capsys.readouterr().out


def test_a_hundred_fresh_seeds_hardly_ever_fail(bench: Bench) -> None:
    alarms = 0
    for seed in range(100, 200):
        bench.measured(table(range(seed, seed + 1)))
        alarms += bench.run()
    assert alarms <= 5, "one in a hundred is asked for"


@pytest.mark.parametrize("shift", [6.0, -6.0])
def test_drift_fails_in_both_directions(bench: Bench, shift: float, capsys: pytest.CaptureFixture[str]) -> None:
    bench.measured(table(range(50, 51), shift))
    assert bench.run() == 1
    out = capsys.readouterr().out
    assert "row3 | psnr | psnr_rgb_uint8 | validation is" in out and "over 10 seeds" in out


def test_more_replicates_see_a_smaller_drift(bench: Bench) -> None:
    bench.measured(table(range(50, 51), 2.2))
    assert bench.run() == 0
    bench.measured(table(range(50, 60), 2.2))
    assert bench.run() == 1


def test_a_vanished_number_fails_and_says_why(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.measured(table(range(50, 51), drop="row2/kld"))
    assert bench.run() == 1
    assert "row2 | kld | kld_senm_official | validation vanished (not run: it failed)" in capsys.readouterr().out


def test_another_convention_is_a_vanished_and_a_new_number(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    other = (COLUMNS[0].model_copy(update={"metric": "psnr_float_clamped"}), COLUMNS[1])
    bench.measured(table(range(50, 51), columns=other))
    assert bench.run() == 1
    out = capsys.readouterr().out
    assert "psnr_rgb_uint8 | validation vanished" in out and "psnr_float_clamped | validation is new" in out


def test_empty_measurements_fail(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    good = table(range(50, 51))
    for change in (
        {"values": ()},
        {"images": 0},
        {"values": (float("nan"),)},
        {"values": (float("inf"),)},
        {"images": 4},
    ):
        cells = (good.cells[0].model_copy(update=change), *good.cells[1:])
        record = good.model_copy(update={"cells": cells})
        from benchmarks.core.record import without_time
        from ci.accepted import AcceptedTable
        from ci.judge import judge_table

        old = AcceptedTable(accepted="", reason="", margins=margins(table(range(10))), record=table(range(10)))
        assert any(f.kind == "failure" for f in judge_table(record, old)), without_time(change)
    nothing = tuple(c.model_copy(update={"state": "not run", "values": ()}) for c in good.cells)
    bench.measured(good.model_copy(update={"cells": nothing}))
    assert bench.run() == 1
    assert "nothing was measured" in capsys.readouterr().out


def test_missing_records_fail(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    for name, words in (
        ("gate/golden.json", "no golden numbers"),
        ("gate/speed.json", "no speed record"),
        ("table1/embedded-smoke/table.json", "table1-embedded vanished"),
    ):
        bench.measured(table(range(50, 51)))
        (bench.runs / name).unlink()
        assert bench.run() == 1
        assert words in capsys.readouterr().out


def test_nothing_accepted_is_an_error_not_a_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = Bench(tmp_path)
    empty.measured(table(range(1)))
    assert empty.run() == 3
    assert "gate accept" in capsys.readouterr().err


def test_an_accepted_table_that_was_deleted_fails(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    (bench.accepted / MACHINE / "smoke" / "table1-embedded.json").unlink()
    assert bench.run() == 1
    assert "no accepted record of table1" in capsys.readouterr().out


def test_golden_numbers_must_be_equal_to_the_last_bit(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.measured(table(range(50, 51)), golden(float(np.nextafter(0.5, 1))))
    assert bench.run() == 1
    assert "train senm-vae: level differs first at 1" in capsys.readouterr().out


def test_an_unknown_platform_is_compared_within_a_tolerance_and_says_so(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    near = "py311-torch2.12.0-x86_64-avx2"
    bench.measured(table(range(50, 51)), golden(0.5 + 1e-7, near))
    assert bench.run() == 0
    assert f"no golden file for {near}" in capsys.readouterr().out
    bench.measured(table(range(50, 51)), golden(0.51, near))
    assert bench.run() == 1


def test_an_accepted_record_of_version_1_still_loads(tmp_path: Path) -> None:
    found = table(range(3))
    kept = AcceptedTable(accepted="2026-01-01", reason=REASON, margins=margins(found), record=found)
    old = kept.model_dump(mode="json")
    old["version"] = old["record"]["version"] = 1
    del old["record"]["provenance"]["deterministic"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old))
    assert read(path, AcceptedTable) == kept


def test_series_of_other_length_empty_or_not_finite_differ() -> None:
    assert "has no values" in series_problem((), (1.0,), 0.0)
    assert "has 1 values, accepted 2" in series_problem((1.0,), (1.0, 2.0), 0.1)
    assert "nan" in series_problem((float("nan"),), (1.0,), 0.1)
    assert series_problem((1.0, 0.0), (1.0, 1e-9), 1e-6) == ""


def test_lost_speed_fails_and_gained_speed_passes(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.measured(table(range(50, 51)), fast=speed(1.4))
    assert bench.run() == 1
    assert "at least 1.53 is asked" in capsys.readouterr().out
    bench.measured(table(range(50, 51)), fast=speed(2.5))
    assert bench.run() == 0
    bench.measured(table(range(50, 51)), fast=speed(1.7, fast_flops=1e10))
    assert bench.run() == 1, "all of the work is done again although the clock did not notice"


def test_margins_hold_what_they_were_made_from() -> None:
    made = margins(table(range(10)))["row0 | psnr | psnr_rgb_uint8 | validation"]
    assert made.replicates == 10 and made.images == 8 and 0.2 < made.spread < 1.0
    assert made.width(1) > made.width(10) > 0
    constant = Margin(mean=30.0, spread=0.0, replicates=3, quantile=9.0, floor=0.005, images=8)
    assert constant.width(1) == 0.005


def test_accepting_needs_a_reason_and_replicates_and_keeps_the_past(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run("accept", "--reason", "short") == 2
    assert bench.run("accept", "--reason", REASON) == 2, "one seed measures no spread"
    assert "at least 3" in capsys.readouterr().err
    bench.measured(table(range(10, 20)))
    assert bench.run("accept", "--reason", "the learning rate was doubled") == 0
    folder = bench.accepted / MACHINE / "smoke"
    assert "the learning rate was doubled" in (folder / "table1-embedded.json").read_text()
    assert REASON in (folder / "earlier" / "table1-embedded-001.json").read_text()


def test_the_report_reads_accepted_records(bench: Bench) -> None:
    history = pytest.importorskip("benchmarks.report.parts.history", reason="the report writer is not installed")
    entries = history.history(bench.accepted)
    assert [(e.table, e.scale, e.reason, e.machine) for e in entries] == [("table1", "smoke", REASON, MACHINE)]


TABLE = "table1/embedded-smoke/table.json"
RECORD = "table1/embedded-smoke/records/row0-50-noise.json"


def edit(path: Path, **changes: object) -> None:
    """Change the first cell of a table, or the first measurement of a record, as by hand."""
    text = json.loads(path.read_text())
    (text.get("cells") or text["measurements"])[0].update(changes)
    path.write_text(json.dumps(text))


@pytest.mark.parametrize(("file", "changes", "said"), [
    (TABLE, {"values": [30.1]}, "row0 psnr: the table has the values (30.1), its records"),
    (TABLE, {"mean": 77.0}, "row0 psnr: the mean is 77, of its values"),
    (TABLE, {"spread": 0.1}, "row0 psnr: the spread is 0.1, of its values 0"),
    (TABLE, {"interval": [1.0, 2.0]}, "row0 psnr: the interval is (1, 2), over its images"),
    (TABLE, {"verdict": "match"}, "row0 psnr: the verdict is match"),
    (TABLE, {"paper": 1.0}, "row0 psnr: the verdict is not comparable of 1.0"),
    (TABLE, {"images": 9}, "row0 psnr: 9 images, in its record 8"),
])
def test_a_table_edited_by_hand_is_named(
    bench: Bench, capsys: pytest.CaptureFixture[str], file: str, changes: dict[str, object], said: str
) -> None:
    edit(bench.runs / file, **changes)
    assert bench.run() == 1
    assert said in capsys.readouterr().out
    assert bench.run("accept", "--reason", REASON) in (2, 3), "nor can it be accepted"


def test_a_record_that_its_own_images_contradict_is_named(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    edit(bench.runs / RECORD, value=99.0)
    assert bench.run() == 1
    assert "psnr_rgb_uint8 is 99, but" in capsys.readouterr().out


def test_a_claim_edited_by_hand_is_named(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    path = bench.runs / TABLE
    text = json.loads(path.read_text())
    text["claims"] = [{"id": "t1-unpaired", "place": "", "text": "", "printed": "holds", "ours": "holds"}]
    path.write_text(json.dumps(text))
    assert bench.run() == 1
    assert "claim t1-unpaired is said to be holds, by its cells undecided" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["gate/golden.json", "gate/speed.json", TABLE])
def test_records_of_another_version_of_the_code_fail(
    bench: Bench, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    text = json.loads((bench.runs / file).read_text())
    text["provenance"]["git"] = "0123456789ab"
    (bench.runs / file).write_text(json.dumps(text))
    assert bench.run() == 1
    assert "was made by 0123456789ab, this is" in capsys.readouterr().out


def test_a_table_without_records_or_with_one_from_elsewhere_fails(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.loads((bench.runs / TABLE).read_text())
    for records, said in (({}, "its records ()"), ({"row0-50-noise": "../../../x.json"}, "outside its folder")):
        (bench.runs / TABLE).write_text(json.dumps({**text, "records": records}))
        assert bench.run() == 1
        assert said in capsys.readouterr().out

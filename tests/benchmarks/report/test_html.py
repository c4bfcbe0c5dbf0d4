"""The page: what it shows, what it escapes, what it says about absent parts, and that it stands alone."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from benchmarks.core.record import TableResult
from benchmarks.report.context import ReportContext, collect, read_log, sweeps
from benchmarks.report.html import page, write_html
from benchmarks.report.parts.history import history
from benchmarks.report.parts.index import runs_in, sides, write_index
from benchmarks.report.parts.profiles import profile_view
from benchmarks.report.strips import save_strip
from benchmarks.report.view import table_view
from benchmarks.tables import NAMES
from senm.support.errors import DataError
from tests.benchmarks.report_cases import PLANTED, context, profile, result, results, strips

VOID = {"meta", "link", "img", "input", "br"}


class Outline(HTMLParser):
    """Checks that elements nest, and collects ids, text and the attributes of every element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.ids: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.stack and self.stack.pop() == tag, tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] not in ("style", "script"):
            self.text += data + " "

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def whole() -> str:
    return page(results("paper"), context())


def test_the_page_is_well_formed_and_its_ids_are_unique(whole):
    outline = Outline(whole)
    assert outline.stack == []
    assert len(outline.ids) == len(set(outline.ids))
    targets = {a["href"][1:] for a in outline.all("a") if (a.get("href") or "").startswith("#")}
    assert targets <= set(outline.ids)
    used = set(re.findall(r"url\(#([^)]+)\)", whole)) | {u["href"][1:] for u in outline.all("use")}
    assert used and used <= set(outline.ids)


def test_nothing_is_loaded_from_outside(whole):
    outline = Outline(whole)
    for tag, attributes in outline.elements:
        for name in ("src", "href", "action", "srcset", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    assert "@import" not in whole and not re.search(r"url\((?!#)", whole)
    policy = next(m["content"] for m in outline.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and re.search(r"script-src 'sha256-[^' ]+';", policy)


def test_every_table_has_its_rows_columns_and_semantics(whole):
    outline = Outline(whole)
    tables = [t for t in outline.all("table") if "main" in (t.get("class") or "")]
    assert [t["id"] for t in tables] == [f"{name}-data" for name in NAMES]
    assert whole.count("<caption") == len(outline.all("table"))
    assert all("scope" in th for th in outline.all("th"))
    for made in results("paper"):
        for row in made.rows:
            assert row.label in outline.text


def test_names_are_text_everywhere():
    made = result("table1", "smoke", PLANTED)
    rows = tuple(row.model_copy(update={"label": row.label + PLANTED, "note": PLANTED}) for row in made.rows)
    cells = tuple(c.model_copy(update={"reason": PLANTED, "verdict_reason": '"><b id=x>'}) for c in made.cells)
    made = made.model_copy(update={"rows": rows, "cells": cells, "caption": PLANTED, "deviations": (PLANTED,)})
    given = context(PLANTED)
    given = ReportContext(
        strips=given.strips,
        noise_stats=tuple(s.model_copy(update={"label": PLANTED}) for s in given.noise_stats),
        curves={PLANTED: [{"step": 0, PLANTED: 1.0}, {"step": 1, PLANTED: 2.0}]},
        profile={"model": PLANTED, "arms": [{"name": PLANTED, "status": "failed", "reason": PLANTED}]},
    )
    outline = Outline(page([made], given))
    assert len(outline.all("script")) == 1 and outline.all("b") == []
    assert outline.text.count(PLANTED) > 20


def test_small_scales_are_never_shown_as_the_papers_numbers():
    smoke, paper = Outline(page([result("table1", "smoke", "embedded")])), Outline(page([result("table1")]))
    assert "Smoke scale on embedded data" in " ".join(smoke.text.split())
    assert "none is compared with one" in " ".join(smoke.text.split())
    verdicts = [s["class"] for s in smoke.all("span") if "verdict" in (s.get("class") or "").split()]
    assert verdicts and set(verdicts) == {"verdict not-comparable"}
    assert "banner" not in [p.get("class") for p in paper.all("p")]


def test_absent_parts_are_named():
    text = " ".join(Outline(page([result("table6")])).text.split())
    for sentence in ("No photographs were kept", "No generated noise was kept", "not part of this run",
                     "No training logs", "was not profiled", "No run of this project has been accepted"):
        assert sentence in text
    assert "No photographs were kept" not in " ".join(Outline(page([result("table6")], context())).text.split())


def test_the_page_is_the_same_each_time():
    assert page([result("table6")], context()) == page([result("table6")], context())


def test_writing_replaces_the_page_whole(tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    assert write_html([result("table6")], target) == target
    assert target.read_text().startswith("<!doctype html>") and [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(ValueError, match="at least one"):
        write_html([], target)
    assert target.read_text().startswith("<!doctype html>")


def test_a_view_keeps_the_printed_number_apart_from_ours():
    view = table_view(result("table1", "paper"))
    c2n, deflow = view.rows[0].cells[0], view.rows[1].cells[0]
    assert (c2n.ours, c2n.paper, c2n.printed) == (view.result.cell("c2n", "fid").mean, 33.97, "33.97")
    assert (deflow.ours, deflow.main, deflow.beside, deflow.printed) == (None, "39.45", "quoted", "")
    assert [row.row.id for row in view.rows if row.rule] == ["senm-10", "danet", "senm-10-standard"]
    assert [c.id for c in view.columns if c.extra] == [c.id for c in view.columns][3:]


def test_a_shared_reason_is_said_once_and_single_ones_are_footnotes():
    made = result("table6", "smoke", "embedded")
    assert [word for word, _ in table_view(made).remarks] == ["not comparable"]
    first = made.cells[0].model_copy(update={"state": "not run", "mean": None, "values": (), "reason": "it broke"})
    view = table_view(made.model_copy(update={"cells": (first, *made.cells[1:])}))
    assert view.footnotes == (("a", "it broke"),)
    assert view.rows[0].cells[0].marks == ("a",)
    assert [row.marks for row in view.rows] == [(), ()] and set(view.heads.values()) == {()}


def test_a_reason_moves_to_the_row_or_column_that_shares_it():
    made = result("table1", "smoke", "embedded")
    quoted = {"deflow": "no code", "danet": "no licence"}
    cells = []
    for cell in made.cells:
        if cell.row in quoted:
            cell = cell.model_copy(update={"reason": quoted[cell.row]})
        if cell.column == "fid" and cell.verdict == "not comparable":
            cell = cell.model_copy(update={"verdict_reason": "measured as fd_random; " + cell.verdict_reason})
        cells.append(cell)
    view = table_view(made.model_copy(update={"cells": tuple(cells)}))
    notes, marked = dict(view.footnotes), {row.row.id: row.marks for row in view.rows}
    assert [notes[mark] for mark in view.heads["fid"]] == ["measured as fd_random"]
    assert [notes[mark] for mark in marked["deflow"]] == ["not built here", "no code"]
    assert [notes[mark] for mark in marked["danet"]] == ["not built here", "no licence"]
    assert all(cell.marks == () for row in view.rows for cell in row.cells)
    assert dict(view.remarks)["not comparable"].startswith("measured on embedded")


def test_deviations_are_grouped_by_the_system_they_name():
    lines = ("senm-vae: nf 8 instead of 64", "measured on 8 images", "senm-vae: lr", "column fid: fd_random")
    view = table_view(result("table6").model_copy(update={"deviations": lines}))
    assert view.deviations == (
        ("", ("measured on 8 images", "column fid: fd_random")), ("senm-vae", ("nf 8 instead of 64", "lr")),
    )


def test_not_finite_numbers_are_words():
    made = result("table6")
    broken = made.cells[0].model_copy(update={"mean": float("nan"), "values": (float("nan"),), "spread": None})
    view = table_view(made.model_copy(update={"cells": (broken, *made.cells[1:])}))
    assert view.rows[0].cells[0].main == "not finite"


@pytest.fixture
def run_folder(tmp_path):
    made = result("figure7", "smoke", "embedded")
    noise, restoration = strips()
    images = {}
    for strip in (noise, restoration):
        key, name = save_strip(tmp_path / "images", strip.kind, strip.image, strip.panels)
        images[key] = f"images/{name}"
    (tmp_path / "curves").mkdir()
    (tmp_path / "curves" / "a.jsonl").write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "lo')
    made = made.model_copy(update={"images": images, "curves": {"run a": "curves/a.jsonl"}})
    (tmp_path / "table.json").write_text(made.model_dump_json())
    return tmp_path


def test_a_run_folder_is_gathered(run_folder):
    (run_folder / "profile.json").write_text('{"model": "senm"}')
    found = collect(run_folder)
    assert [s.kind for s in found.strips] == ["noise", "restoration"]
    assert found.noise_stats[0].real and found.noise_stats[0].label == "real noise"
    assert len(found.noise_stats) == len(found.strips[0].panels) - 1
    assert found.curves == {"run a": [{"step": 1, "loss": 2.5}]}, "a line cut short by a kill is passed over"
    assert [s.label for s in found.figure7][:3] == ["FID", "KLD", "PSNR"]
    assert found.profile == {"model": "senm"} and found.table == "figure7"


def test_the_profile_of_the_checkout_stands_in_for_that_of_the_run(run_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    assert collect(run_folder, root / "accepted").profile is None
    (root / "profile").mkdir()
    (root / "profile" / "profile.json").write_text('{"model": "paired"}')
    assert collect(run_folder, root / "accepted").profile == {"model": "paired"}
    (root / "profile" / "profile.json").write_text("{")
    with pytest.raises(DataError, match=r"profile\.json is not JSON"):
        collect(run_folder, root / "accepted")


def test_stored_noise_statistics_win_over_those_of_the_strips(run_folder):
    stored = collect(run_folder).noise_stats[0].model_copy(update={"images": 1280})
    (run_folder / "noise_stats.json").write_text(json.dumps([stored.model_dump()]))
    assert collect(run_folder).noise_stats == (stored,)


@pytest.mark.parametrize("path", ["../elsewhere.npz", "images/missing.npz"])
def test_files_outside_or_missing_are_refused(run_folder, path):
    made = TableResult.model_validate_json((run_folder / "table.json").read_text())
    (run_folder / "table.json").write_text(made.model_copy(update={"images": {"x": path}}).model_dump_json())
    with pytest.raises(DataError):
        collect(run_folder)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no table\.json"):
        collect(tmp_path)
    with pytest.raises(DataError, match=r"cannot read the log"):
        read_log(tmp_path / "log.jsonl")


def test_the_sweep_is_ordered_by_weight():
    figure = result("figure7")
    theirs = figure.rows[0].model_copy(update={"label": "Model v2", "paper": False})
    assert sweeps(figure.model_copy(update={"rows": (theirs, *figure.rows[1:])}))[0].points == (
        sweeps(figure.model_copy(update={"rows": figure.rows[1:]}))[0].points
    ), "a row of the user's has no weight"
    found = sweeps(figure)
    assert [weight for weight, _ in found[0].points] == [10.0**-e for e in range(9, 2, -1)]
    assert all(len(values) == 3 for _, values in found[0].points)


def test_merged_contexts_keep_runs_of_one_name_apart():
    one = ReportContext(curves={"a": [{"step": 1, "loss": 1.0}]}, table="table1")
    same = ReportContext(curves={"a": [{"step": 1, "loss": 1.0}]}, table="table6")
    other = ReportContext(curves={"a": [{"step": 1, "loss": 2.0}]}, table="table2")
    assert list(one.merged(same).merged(other).curves) == ["a", "a, table2"]


def test_history_reads_accepted_tables_only(tmp_path):
    folder = tmp_path / "linux-x86_64-cpu" / "smoke"
    folder.mkdir(parents=True)
    for name, when in (("b", "2026-05-02"), ("a", "2026-05-03")):
        record = json.loads(result("table6").model_dump_json())
        if name == "b":
            record["version"] = 1
            del record["provenance"]["deterministic"]
        body = {"accepted": when, "reason": f"reason {name}", "record": record}
        (folder / f"{name}.json").write_text(json.dumps(body))
    (folder / "speed.json").write_text('{"ratios": {}}')
    (folder / "broken.json").write_text("{")
    found = history(tmp_path)
    assert [(e.when, e.reason, e.machine, e.table) for e in found] == [
        ("2026-05-02", "reason b", "linux-x86_64-cpu", "table6"),
        ("2026-05-03", "reason a", "linux-x86_64-cpu", "table6"),
    ]
    assert len(found[0].values) == len(result("table6").cells)
    assert history(tmp_path / "none") == ()


def test_history_names_the_largest_change():
    text = " ".join(Outline(page([result("table6")], context())).text.split())
    assert "1 cell; most: senm-10 / kld: 0.0330 to 0.0340" in text and "first of its kind" in text


def test_a_profile_becomes_facts_tables_and_plots():
    view = profile_view(profile())
    facts = dict(view.facts)
    assert (facts["Size"], facts["Machine"], facts["Peak conv float32"]) == ("128 × 128", "Example CPU", "1 TFLOP/s")
    arms, parts, _ = view.tables
    assert arms.columns[:2] == ("arm", "ms") and arms.rows[0][1] == "500" and arms.rows[1][-1] == "no bf16 here"
    assert "status" not in parts.columns and parts.bars == pytest.approx((100 * 35 / 65, 100))
    assert dict(zip(parts.columns, parts.rows[0], strict=True))["share"] == "35.0 %"
    assert len(view.plots) == 2 and view.failures == ("memory: out of time",)
    assert profile_view({"version": 1}).tables == ()


def test_a_cell_that_a_table_lacks_is_left_empty():
    made = result("table6")
    view = table_view(made.model_copy(update={"cells": made.cells[1:]}))
    assert view.rows[0].cells[0].main == ""


def test_columns_for_which_there_is_no_room_stand_below():
    view = table_view(result("table1", "short", "embedded"))
    shown, below = [c.label for c in view.columns if c.extra], view.more.columns
    assert shown == ["KLD residual", "correlation error", "variance error"]
    assert below[2:] == ("KLD residual, 256 bins ↓", "KLD residual, 4-level bins ↓", "KS ↓", "AKLD, 1 draw ↓")
    assert {len(line) for line in view.more.rows} == {len(below)}
    assert table_view(result("table3")).more is None
    text = page([result("table1", "short", "embedded")])
    assert "AKLD, 1 draw" in text and "no cost is known" in text


def test_an_index_over_runs_sets_those_of_one_table_side_by_side(tmp_path):
    made = (result("table1", "short", "embedded"), result("table1", "short", "polyu", seeds=(0,)), result("table6"))
    for each in made:
        folder = tmp_path / each.table / f"{each.data}-{each.scale}"
        folder.mkdir(parents=True)
        (folder / "table.json").write_text(each.model_dump_json())
    (tmp_path / "table2" / "broken-short").mkdir(parents=True)
    (tmp_path / "table2" / "broken-short" / "table.json").write_text("{")
    assert [run.page for run in runs_in(tmp_path)] == [
        "table1/embedded-short/report.html", "table1/polyu-short/report.html", "table6/sidd-paper/report.html",
    ]
    (side,) = sides(runs_in(tmp_path))
    assert side.title == "Table 1" and [run.name for run in side.runs] == ["embedded, short", "polyu, short"]
    _, paired, texts = next(line for line in side.lines if line[0] == "C2N")
    assert paired == "0" and len(texts) == 2 * len(side.columns) == 6
    assert texts[0].startswith(f"{made[0].cell('c2n', 'fid').mean:.2f} ±") and "±" not in texts[3]
    assert not [line for line in side.lines if line[0] == "DeFlow"], "a quoted row has no number of ours"
    text = write_index(tmp_path).read_text()
    assert PLANTED not in text and 'href="table1/polyu-short/report.html"' in text
    assert write_index(tmp_path / "nothing") is None

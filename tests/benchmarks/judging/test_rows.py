"""Two rows of one run: pairs of images and of replicates, and who may decide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from benchmarks.core.record import Column, EvaluationRecord, Measurement, Row, TableResult
from benchmarks.judging.rows import compare_rows, corrected
from benchmarks.run import main
from senm.support.errors import UsageError

IMAGES = 24
COLUMN = Column(id="psnr", label="PSNR", metric="psnr_rgb_uint8", split="validation", better="higher", digits=2)


def run(folder: Path, means: dict[str, list[float]], steady: bool = True) -> Path:
    """A run folder whose rows have these PSNRs by replicate; images differ alike in every row."""
    around = np.random.default_rng(0).normal(0, 1, IMAGES)
    records = {}
    for row, values in means.items():
        for seed, value in enumerate(values):
            own = around if steady else np.random.default_rng((seed, len(row))).normal(0, 1, IMAGES)
            by_image = {f"i{k}": float(value + d) for k, d in enumerate(own - own.mean())}
            mean = float(np.mean(list(by_image.values())))
            record = EvaluationRecord(
                kind="restoration", system=row, data="embedded", scale="short", seed=seed,
                measurements=(Measurement(metric=COLUMN.metric, value=mean, split="validation", images=IMAGES,
                                          per_image=by_image),))
            name = f"{row}-{seed}-restoration"
            (folder / "records").mkdir(exist_ok=True, parents=True)
            (folder / "records" / f"{name}.json").write_text(record.model_dump_json())
            records[name] = f"records/{name}.json"
    table = TableResult(table="table1", caption="", data="embedded", scale="short", seeds=(0, 1, 2), columns=(COLUMN,),
                        rows=tuple(Row(id=row, label=row, filled="trained") for row in means), cells=(),
                        records=records)
    (folder / "table.json").write_text(table.model_dump_json())
    return folder


def test_a_steady_gain_over_replicates_is_decided_with_student_s_interval(tmp_path: Path) -> None:
    a, b = [30.0, 30.5, 29.5], [31.0, 31.6, 30.4]
    (found,) = compare_rows(run(tmp_path, {"senm-10": a, "real": b}), "senm-10", "real")
    gaps = np.subtract(b, a)
    expected = ttest_1samp(gaps, 0.0)
    assert found.verdict == "the second is better" and found.seeds == (0, 1, 2)
    assert found.replicates is not None and found.replicates.p == pytest.approx(expected.pvalue)
    assert found.replicates.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.images is not None and found.images.images == IMAGES
    (other,) = compare_rows(tmp_path, "real", "senm-10")
    assert other.verdict == "the second is worse" and other.difference == pytest.approx(-found.difference)


def test_one_replicate_decides_nothing_however_many_images_agree(tmp_path: Path) -> None:
    (found,) = compare_rows(run(tmp_path, {"a": [30.0, 30.1], "b": [35.0]}), "a", "b")
    assert found.seeds == (0,) and found.replicates is None and found.image_p <= 0.05
    assert found.verdict == "undecided: one replicate decides nothing"


def test_replicates_that_contradict_each_other_show_no_difference(tmp_path: Path) -> None:
    (found,) = compare_rows(run(tmp_path, {"a": [30.0, 31.0, 30.0], "b": [31.0, 30.0, 30.2]}), "a", "b")
    assert found.verdict == "no difference shown"


def test_several_metrics_are_corrected_together(tmp_path: Path) -> None:
    (found,) = compare_rows(run(tmp_path, {"a": [30.0, 30.5, 29.5], "b": [31.0, 31.6, 30.4]}), "a", "b")
    assert found.replicates is not None
    alone = found.replicates.p
    assert [each.replicates.p for each in corrected([found] * 4) if each.replicates] == pytest.approx([4 * alone] * 4)


@pytest.mark.parametrize(("rows", "word"), [(("a", "c"), "did you mean"), (("a", "a"), "twice")])
def test_rows_that_cannot_be_compared_are_refused(tmp_path: Path, rows: tuple[str, str], word: str) -> None:
    with pytest.raises(UsageError, match=word if word == "twice" else "measured row"):
        compare_rows(run(tmp_path, {"a": [30.0], "b": [31.0]}), *rows)


def test_rows_without_a_common_replicate_are_refused(tmp_path: Path) -> None:
    folder = run(tmp_path, {"a": [30.0, 31.0], "b": [31.0, 30.0]})
    text = (folder / "table.json").read_text()
    for gone in ("a-0", "b-1"):
        text = text.replace(f'"{gone}-restoration":', f'"other-{gone}-restoration":')
    (folder / "table.json").write_text(text)
    with pytest.raises(UsageError, match="no replicate in common"):
        compare_rows(folder, "a", "b")


def test_the_page_draws_every_interval_with_its_values_and_escapes_names(tmp_path: Path, capsys) -> None:
    folder = run(tmp_path / "run", {"a": [30.0, 30.5, 29.5], "<b>": [31.0, 31.6, 30.4]})
    page = tmp_path / "page.html"
    assert main(["compare", str(folder), "--rows", "a", "<b>", "--page", str(page)]) == 0
    text = page.read_text()
    assert "over 3 replicates" in text and "over 24 images" in text and text.count("<title>") == 1 + 4
    assert "<b>" not in text and "&lt;b&gt;" in text and "http" not in text.replace("http-equiv", "")
    assert main(["compare", str(folder), str(folder), "--page", str(page)]) == 0
    assert "no difference shown" in page.read_text()
    capsys.readouterr()
    assert main(["compare", str(folder)]) == UsageError.exit_code
    assert "RUN --rows A B" in capsys.readouterr().err

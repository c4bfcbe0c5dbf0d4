"""Spread, intervals and paired tests against closed forms; comparing two runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.core.means import finite_mean
from benchmarks.core.record import EvaluationRecord, Measurement, TableResult
from benchmarks.core.statistics import holm, interval, mean_and_spread, paired, sign_flip_p
from benchmarks.judging.differences import compare_files, compare_records, corrected
from senm.support.errors import DataError, UsageError


def test_spread_is_the_sample_standard_deviation() -> None:
    mean, spread = mean_and_spread([2.0, 4.0, 9.0])
    assert mean == 5.0 and spread == pytest.approx(np.sqrt(13.0))


def test_interval_is_near_the_normal_one_for_many_values_and_repeats_exactly() -> None:
    values = np.random.default_rng(0).normal(30, 2, 400)
    low, high = interval(values) or (0, 0)
    half = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert interval(values) == (low, high)


def test_interval_of_few_values() -> None:
    assert interval([3.0]) is None and interval([]) is None
    assert interval([3.0, 3.0, 3.0]) == (3.0, 3.0)
    low, high = interval([1.0, 2.0]) or (0, 0)
    assert 1.0 <= low <= high <= 2.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[np.inf, np.inf], [np.inf, 30.0, 31.0], [np.nan, 1.0]])
def test_values_that_are_not_finite_have_no_interval_and_no_spread(values: list[float]) -> None:
    assert interval(values) is None
    assert mean_and_spread(values)[1] is None
    assert sign_flip_p(values) == 1.0


def test_images_that_both_restore_without_any_error_are_ties() -> None:
    found = paired({"a": np.inf, "b": 30.0}, {"a": np.inf, "b": 30.5})
    assert (found.difference, found.ties, found.wins, found.infinite) == (0.5, 1, 1, 1) and found.p == 1.0
    assert finite_mean([np.inf, 30.0, 31.0]) == (30.5, 1)
    assert finite_mean([np.inf, np.inf]) == (np.inf, 2) and np.isnan(finite_mean([np.nan, 1.0])[0])


def test_infinite_values_are_counted_beside_the_mean_of_the_finite_ones() -> None:
    whole = record()
    (psnr, *_) = whole.measurements
    exact = {**psnr.per_image, "photo0": float("inf")}
    value = finite_mean(list(exact.values()))[0]
    one = whole.model_copy(update={"measurements": (psnr.model_copy(update={"per_image": exact, "value": value}),)})
    same, changed = compare_records(one, one)[0], compare_records(whole, one)[0]
    assert "(+0.0000)" in same.sentence() and "equal on 8" in same.sentence() and "nan" not in same.sentence()
    assert "larger on 1 of 8 images" in changed.sentence() and "1 image of an infinite value" in changed.sentence()


def test_holm_is_that_of_statsmodels_and_compare_says_its_correction() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.7, 0.9]) == [1.0, 1.0]
    lines = corrected([*compare_records(record(), record(0.5))] * 3)
    assert [line.p for line in lines if line.test] == pytest.approx([3 * 2 / 2**8] * 3)
    assert "corrected 0.0234: differs" in lines[0].sentence() and "rough 95 %" in lines[0].sentence()


def test_records_of_other_images_are_not_compared() -> None:
    one, other = (record(description={"params": {"fingerprint": text * 20}}) for text in "ab")
    assert compare_records(one, one)
    with pytest.raises(UsageError, match="of other images: fingerprints 'aaaaaaaaaaaa' and 'bbbbbbbbbbbb'"):
        compare_records(one, other)


def test_sign_flip_p_is_exact_for_few_and_close_for_many() -> None:
    assert sign_flip_p([1.0] * 5) == 2 / 2**5
    assert sign_flip_p([1.0, -1.0]) == 1.0
    assert sign_flip_p([]) == 1.0
    many = np.random.default_rng(1).normal(0.2, 1, 50)
    from scipy.stats import ttest_1samp

    assert sign_flip_p(many) == pytest.approx(ttest_1samp(many, 0).pvalue, abs=0.02)


def test_sign_flip_p_is_uniform_without_a_difference() -> None:
    draws = np.random.default_rng(2).normal(0, 1, (200, 10))
    below = np.mean([sign_flip_p(d) < 0.1 for d in draws])
    assert 0.04 < below < 0.17


def test_pairing_sees_what_means_alone_do_not() -> None:
    rng = np.random.default_rng(3)
    a = {f"i{i}": v for i, v in enumerate(rng.normal(30, 5, 40))}
    b = {name: v + 0.1 + 0.02 * rng.normal() for name, v in a.items()}
    found = paired(a, b)
    assert found.p < 0.001 and found.difference == pytest.approx(0.1, abs=0.02) and found.wins == 40
    assert found.interval is not None and found.interval[0] > 0.08


def test_images_of_one_side_only_are_named_and_left_out() -> None:
    found = paired({"a": 1.0, "b": 2.0}, {"b": 2.5, "c": 100.0})
    assert found.images == 1 and found.missing == ("a", "c") and found.difference == 0.5


def record(shift: float = 0.0, **changes: object) -> EvaluationRecord:
    per_image = {f"photo{i}": 30.0 + i + shift for i in range(8)}
    measured = (
        Measurement(metric="psnr_rgb_uint8", value=33.5 + shift, split="validation", images=8, per_image=per_image),
        Measurement(metric="fd_random", value=4.0 - shift, split="validation", images=8),
    )
    base = {"kind": "noise", "system": "s", "data": "embedded", "scale": "smoke", "seed": 0, "measurements": measured}
    return EvaluationRecord.model_validate({**base, **changes})


def test_comparing_two_records_tests_per_image_values_and_only_those() -> None:
    psnr, fd = compare_records(record(), record(0.5))
    assert psnr.test is not None and psnr.test.p == 2 / 2**8 and "larger on 8 of 8" in psnr.sentence()
    assert fd.test is None and "no test over images" in fd.sentence() and "-0.5000" in fd.sentence()


@pytest.mark.parametrize("change", [{"data": "sidd"}, {"scale": "paper"}, {"kind": "restoration"}])
def test_records_of_different_things_are_not_compared(change: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=f"differ in {next(iter(change))}"):
        compare_records(record(), record(**change))


def test_run_folders_are_compared_row_by_row(tmp_path: Path) -> None:
    for name, rows in (("a", ("x/0", "y/0")), ("b", ("x/0", "z/0"))):
        folder = tmp_path / name
        (folder / "records").mkdir(parents=True)
        files = {row: f"records/{row.replace('/', '-')}.json" for row in rows}
        for file in files.values():
            (folder / file).write_text(record(0.25 if name == "b" else 0.0).model_dump_json())
        table = TableResult(
            table="table1",
            caption="",
            data="embedded",
            scale="smoke",
            seeds=(0,),
            rows=(),
            columns=(),
            cells=(),
            records=files,
        )
        (folder / "table.json").write_text(table.model_dump_json())
    differences, alone = compare_files(tmp_path / "a", tmp_path / "b")
    assert [d.row for d in differences] == ["x/0", "x/0"]
    assert [line.split(":")[0] for line in alone] == ["y/0", "z/0"]
    with pytest.raises(DataError, match="no record at"):
        compare_files(tmp_path / "a", tmp_path / "nowhere")

"""Returned server scores: stored with date and source, the latest one shown, impossible ones refused."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from benchmarks.servers.scores import Score, add, known_scores, read_scores
from senm.support.errors import DataError, UsageError

GOOD = Score(
    table="table2", row="senm-10", column="bench-psnr", value=37.5, date="2026-05-04", source="the server's page"
)


def test_the_latest_score_of_a_cell_is_shown_and_older_ones_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    add(GOOD, path)
    add(GOOD.model_copy(update={"value": 36.0, "date": "2026-01-01"}), path)
    add(GOOD.model_copy(update={"value": 38.0, "date": "2026-06-01"}), path)
    assert known_scores("table2", "sidd", "paper", path) == {("senm-10", "bench-psnr"): 38.0}
    assert len(read_scores(path)) == 3


def test_scores_of_another_scale_or_data_set_are_not_shown(tmp_path: Path) -> None:
    add(GOOD, tmp_path / "s.json")
    assert not known_scores("table2", "sidd", "short", tmp_path / "s.json")
    assert not known_scores("table2", "embedded", "paper", tmp_path / "s.json")
    assert not known_scores("table3", "sidd", "paper", tmp_path / "s.json")


def test_a_score_of_data_named_with_its_folder_is_shown(tmp_path: Path) -> None:
    add(GOOD.model_copy(update={"data": "sidd:some/where"}), tmp_path / "s.json")
    assert known_scores("table2", "sidd", "paper", tmp_path / "s.json") == {("senm-10", "bench-psnr"): 37.5}
    assert "where" not in (tmp_path / "s.json").read_text()


def test_dates_are_compared_as_dates_however_they_are_written(tmp_path: Path) -> None:
    for value, day in ((39.0, "2024-12-31"), (38.0, "20240101"), (37.0, "2024-W01-1")):
        add(GOOD.model_copy(update={"value": value, "date": day}), tmp_path / "s.json")
    assert known_scores("table2", "sidd", "paper", tmp_path / "s.json") == {("senm-10", "bench-psnr"): 39.0}
    assert [score.date for score in read_scores(tmp_path / "s.json")] == ["2024-12-31", "2024-01-01", "2024-01-01"]


def add_some(path: Path, first: int) -> None:
    for value in range(first, first + 5):
        add(GOOD.model_copy(update={"value": float(value)}), path)


def test_scores_added_by_processes_at_once_are_all_kept(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=add_some, args=(tmp_path / "s.json", first)) for first in (1, 11, 21)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    values = sorted(score.value for score in read_scores(tmp_path / "s.json"))
    assert values == [first + i for first in (1, 11, 21) for i in range(5)]
    assert {path.name for path in tmp_path.iterdir()} == {"s.json", ".s.json.lock"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"row": "senm-11"}, "senm-10"),
        ({"column": "val-psnr"}, "bench-psnr"),
        ({"column": "bench-ssim"}, "between 0 and 1"),
        ({"date": "4 May"}, "a date such as"),
        ({"source": " "}, "no source"),
        ({"table": "table9"}, "table"),
        ({"scale": "papr"}, "did you mean 'paper'"),
        ({"data": "sid"}, "did you mean 'sidd'"),
        ({"data": "aim19"}, "data set of table2"),
        ({"value": -3.0}, "between"),
        ({"value": float("nan")}, "between"),
    ],
)
def test_what_cannot_be_a_score_is_refused(tmp_path: Path, change: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        add(GOOD.model_copy(update=change), tmp_path / "s.json")
    assert not (tmp_path / "s.json").exists()


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("[{]")
    with pytest.raises(DataError, match=r"s\.json"):
        read_scores(tmp_path / "s.json")


@pytest.mark.parametrize("text", ['{"a": 1}', "7", "null", "[" * 9999, '[{"date": 3}]'])
def test_what_is_no_list_of_scores_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(DataError, match=r"s\.json"):
        read_scores(tmp_path / "s.json")


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.json").mkdir()
    with pytest.raises(DataError, match=r"s\.json"):
        add(GOOD, tmp_path / "s.json")

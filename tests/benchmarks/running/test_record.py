"""Records: old versions load, newer and broken ones say so, and time fields can be told from the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.core.record import VERSION, EvaluationRecord, Measurement, Provenance, read, without_time
from senm.support.errors import DataError

VERSION_1: dict[str, Any] = {
    "version": 1,
    "kind": "noise",
    "system": "measure noise of senm-vae",
    "description": {"params": {"metrics": ["kld_senm_official"]}},
    "data": "embedded",
    "scale": "smoke",
    "seed": 3,
    "measurements": [
        {"metric": "kld_senm_official", "value": 0.12, "split": "validation", "images": 8, "per_image": {}}
    ],
    "health": {},
    "provenance": {
        "started": "2026-01-01T00:00:00+00:00",
        "wall_seconds": 1.5,
        "git": "abc",
        "versions": {"torch": "2"},
        "machine": {"cores": "2"},
        "command": "run.py table1",
    },
}


def write(folder: Path, data: Any) -> Path:
    path = folder / "record.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_a_record_of_version_1_still_loads_with_every_value(tmp_path: Path) -> None:
    record = read(write(tmp_path, VERSION_1), EvaluationRecord)
    assert record.version == VERSION and record.measurements[0].value == 0.12 and record.seed == 3
    assert record.provenance.deterministic is False and record.provenance.wall_seconds == 1.5


def test_a_record_without_a_version_is_of_version_1(tmp_path: Path) -> None:
    old = {k: v for k, v in VERSION_1.items() if k != "version"}
    assert read(write(tmp_path, old), EvaluationRecord) == read(write(tmp_path, VERSION_1), EvaluationRecord)


def test_what_is_written_reads_back_equal(tmp_path: Path) -> None:
    record = EvaluationRecord(
        kind="restoration",
        system="dncnn",
        data="embedded",
        scale="smoke",
        seed=0,
        measurements=(
            Measurement(metric="psnr_rgb_uint8", value=30.1, split="validation", images=1, per_image={"a": 30.1}),
        ),
        provenance=Provenance(deterministic=True),
    )
    path = write(tmp_path, record.model_dump_json())
    assert read(path, EvaluationRecord) == record


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({**VERSION_1, "version": VERSION + 1}, "update this project"),
        ({**VERSION_1, "version": "two"}, "has version two"),
        ("{ half", "not JSON"),
        ("[1]", "not a record"),
        ({**VERSION_1, "sed": 3}, "sed"),
        ({**VERSION_1, "seed": "three"}, "seed"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, data: Any, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(write(tmp_path, data), EvaluationRecord)
    assert "record.json" in str(caught.value)


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no record at .*nowhere\.json"):
        read(tmp_path / "nowhere.json", EvaluationRecord)


def test_only_time_fields_are_dropped_and_only_in_provenance() -> None:
    record = read_version_1()
    data = without_time(record)
    assert data["provenance"] == {"versions": {"torch": "2"}, "deterministic": False}
    later = record.model_copy(
        update={"provenance": Provenance(**{**record.provenance.model_dump(), "wall_seconds": 9.0})}
    )
    assert without_time(later) == data
    assert without_time(record.model_copy(update={"seed": 4})) != data
    assert without_time({"machine": "kept"}) == {"machine": "kept"}
    assert without_time({"rows": [{"provenance": {"git": "x"}}]}) == {"rows": [{"provenance": {}}]}


def read_version_1() -> EvaluationRecord:
    from benchmarks.core.record import MIGRATIONS

    return EvaluationRecord.model_validate({**MIGRATIONS[1](VERSION_1), "version": 2})


def test_hours_may_differ_and_parameters_may_not() -> None:
    price = {"row": "a", "parameters": 5, "training_hours": 1.0, "trained_on": "x"}
    one, two = ({"prices": [{**price, "training_hours": hours}]} for hours in (1.0, 2.0))
    assert without_time(one) == without_time(two) == {"prices": [{"row": "a", "parameters": 5}]}
    assert without_time({"prices": [{**price, "parameters": 6}]}) != without_time(one)

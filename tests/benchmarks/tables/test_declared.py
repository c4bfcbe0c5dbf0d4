"""Tables as data: ids, labels, what each row is made of."""

from __future__ import annotations

import pytest

from benchmarks.tables import NAMES, Mix, table
from senm.support.errors import UsageError


@pytest.mark.parametrize("name", NAMES)
def test_ids_are_unique_and_metrics_exist(name: str) -> None:
    from benchmarks.metrics import METRICS

    spec = table(name)
    assert spec.id == name
    assert len({row.id for row in spec.rows}) == len(spec.rows)
    assert len({column.id for column in spec.columns}) == len(spec.columns)
    for column in spec.columns:
        if not column.metric.endswith("_server"):
            assert METRICS[column.metric].better == column.better


@pytest.mark.parametrize("name", NAMES)
def test_every_system_of_a_row_can_be_had(name: str) -> None:
    from benchmarks.core.systems import get

    for row in table(name).rows:
        for part in (row.noise, row.restorer):
            if part is not None and part.system != "real":
                assert get(part.system).default_settings("paper")


def test_the_unpaired_model_sees_no_pairs_and_the_full_one_nothing_else() -> None:
    rows = {row.id: row for row in table("table1").rows}
    assert rows["c2n"].noise.mix == Mix(0, None, None)
    assert rows["senm-all"].noise.mix == Mix(None, 0, 0)
    assert rows["senm-all"].noise.system != rows["senm-960"].noise.system
    assert rows["real"].restorer.pool == "", "the real row trains on real pairs"


def test_table_7_mixes_are_the_printed_ones() -> None:
    mixes = [row.noise.mix for row in table("table7").rows]
    assert mixes == [
        Mix(10, 0, 0),
        Mix(10, 96, 96),
        Mix(10, 960, 960),
        Mix(10, None, 0),
        Mix(10, 0, None),
        Mix(10, None, None),
    ]


def test_figure_7_covers_the_paper_s_range() -> None:
    values = [row.noise.changes["loss.lam"] for row in table("figure7").rows]
    assert values == sorted(values) and values[0] <= 1e-9 and values[-1] >= 1e-3 and {1e-7, 1e-6} <= set(values)


def test_table_3_fine_tunes_the_very_network_of_its_own_row() -> None:
    rows = {row.id: row for row in table("table3").rows}
    assert rows["senm-nafnet"].restorer.start == rows["nafnet"].restorer


@pytest.mark.parametrize(("wrong", "right"), [("tabel1", "table1"), ("figure", "figure7")])
def test_an_unknown_table_gets_the_nearest_name(wrong: str, right: str) -> None:
    with pytest.raises(UsageError, match=right):
        table(wrong)


def test_an_unknown_row_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="senm-960"):
        table("table1").row("senm-96O")

"""Every bad input of docs/bad-inputs.md gets exactly the message printed there and leaves nothing behind."""

import pytest

from tests.bad_inputs import CASES, DOC, message

ROWS = {tuple(cell.strip() for cell in line.split("|")[1:3]): line.split("|")[3].strip()
        for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith("| ")}


@pytest.mark.parametrize(("data", "title", "build"), CASES, ids=[f"{d}: {t}" for d, t, _ in CASES])
def test_message_is_the_documented_one(tmp_path, data, title, build):
    said = message(build, tmp_path)
    assert said and said.replace("|", "/") == ROWS[data, title]


def test_page_lists_all_cases_and_no_other():
    assert set(ROWS) - {("data", "input")} == {(data, title) for data, title, _ in CASES}
    assert len(CASES) >= 25

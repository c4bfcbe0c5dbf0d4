"""`compare`: two runs of a table, or two rows of one run, in the terminal and as a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.report.parts.compared import Line


def compare_runs(a: Path, b: Path, page: Path | None = None) -> int:
    """Print how two runs of one table differ, metric by metric, with a paired test over photographs."""
    from benchmarks.judging.differences import compare_files
    from benchmarks.report.parts.compared import of_runs

    found, alone = compare_files(a, b)
    for line in found:
        print(line.sentence())
    tested = sum(line.test is not None for line in found)
    remark = f"{tested} comparisons were tested; p-values are corrected over all of them (Holm), differences at 5 %"
    print(remark)
    for name in alone:
        print(name)
    _write(of_runs(found), "first run", "second run", remark, page)
    return 0


def compare_rows(run: Path, a: str, b: str, page: Path | None = None) -> int:
    """Print how two rows of one run differ, over images and over replicates."""
    from benchmarks.judging import rows
    from benchmarks.report.parts.compared import of_rows

    found = rows.compare_rows(run, a, b)
    print(f"{a} -> {b}")
    for each in found:
        print("\n".join(each.lines()))
    remark = "p-values are corrected over all metrics (Holm); replicates decide, at 5 %, and one decides nothing"
    print(remark)
    _write(of_rows(found), a, b, remark, page)
    return 0


def _write(lines: Sequence[Line], a: str, b: str, remark: str, page: Path | None) -> None:
    if page is not None:
        from benchmarks.core.options import writable
        from benchmarks.report.parts.compared import write_page

        writable("--page", page.parent)
        print(f"written: {write_page(lines, a, b, remark, page)}", file=sys.stderr)

"""Two runs side by side, image by image: the logic of `run compare A B`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.core.means import finite_mean
from benchmarks.core.record import EvaluationRecord, Measurement, TableResult, read
from benchmarks.core.statistics import ENOUGH, Paired, holm, paired
from benchmarks.core.units import counted
from senm.support.errors import DataError, UsageError

LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """One metric of one row in both runs. `test` is None where the metric has no per-image values.

    `p` is that of the test by Holm's correction over all comparisons of the two runs.
    """

    row: str
    metric: str
    split: str
    a: float
    b: float
    test: Paired | None
    note: str = ""
    p: float = 1.0

    def sentence(self) -> str:
        """The difference in one line; a corrected p of 0.05 and less is called a difference."""
        text = f"{self.row or '-'}  {self.metric} ({self.split}): {self.a:.4f} -> {self.b:.4f} ({self.b - self.a:+.4f})"
        if self.a == self.b:
            text = text.replace("(+nan)", "(+0.0000)")
        if self.test is None:
            return f"{text}; {self.note}"
        t = self.test
        rough = "rough " if t.images - t.infinite < ENOUGH else ""
        between = f", {rough}95 % interval {t.interval[0]:+.4f} to {t.interval[1]:+.4f}" if t.interval else ""
        word = "differs" if self.p <= LEVEL else "no difference shown"
        counts = f"larger on {t.wins} of {counted(t.images, 'image')}" + (f", equal on {t.ties}" if t.ties else "")
        note = f"; {self.note}" if self.note else ""
        return f"{text}{between}; paired sign-flip p = {t.p:.3g}, corrected {self.p:.3g}: {word}; {counts}{note}"


def compare_records(a: EvaluationRecord, b: EvaluationRecord, row: str = "") -> list[Difference]:
    """Every metric that both records hold.

    Raises:
        UsageError: the records are of different data, scale or kind, so that a difference would mean nothing.
    """
    for what in ("kind", "data", "scale"):
        if getattr(a, what) != getattr(b, what):
            raise UsageError(
                f"the records differ in {what}: {getattr(a, what)!r} and {getattr(b, what)!r}", "two runs of the same"
            )
    prints = [_fingerprint(each) for each in (a, b)]
    if prints[0] != prints[1]:
        found = " and ".join(repr(each[:12] or "unknown") for each in prints)
        raise UsageError(f"the records are of other images: fingerprints {found}", "two runs on the same data")
    second = {(m.metric, m.split): m for m in b.measurements}
    shared = [m for m in a.measurements if (m.metric, m.split) in second]
    return [_difference(row, m, second[m.metric, m.split]) for m in shared]


def _fingerprint(record: EvaluationRecord) -> str:
    """Of the data that a record was measured on, '' in a record that does not keep it."""
    return str(record.description.get("params", {}).get("fingerprint", ""))


def corrected(found: list[Difference]) -> list[Difference]:
    """The differences with p-values by Holm's correction over all that were tested."""
    tested = [i for i, each in enumerate(found) if each.test is not None]
    chances = dict(zip(tested, holm([found[i].test.p for i in tested]), strict=True))  # type: ignore[union-attr]
    return [replace(each, p=chances.get(i, 1.0)) for i, each in enumerate(found)]


def _difference(row: str, a: Measurement, b: Measurement) -> Difference:
    if a.per_image and b.per_image:
        test = paired(a.per_image, b.per_image)
        notes = [f"{counted(len(test.missing), 'image')} only in one of them"] if test.missing else []
        if test.infinite:
            notes.append(f"{counted(test.infinite, 'image')} of an infinite value not in the means")
        if test.images:
            mean, other = (finite_mean(list(each.per_image.values()))[0] for each in (a, b))
            return Difference(row, a.metric, a.split, mean, other, test, "; ".join(notes), test.p)
        return Difference(row, a.metric, a.split, a.value, b.value, None, "no image in common")
    note = "a value of the whole set: no test over images"
    if a.images != b.images:
        note += f"; {a.images} against {b.images} images"
    return Difference(row, a.metric, a.split, a.value, b.value, None, note)


def load(path: str | Path) -> dict[str, EvaluationRecord]:
    """Evaluation records by row and replicate from a record file, a table.json or a run folder.

    Raises:
        DataError: there is no record at this path.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "table.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise DataError(f"no record at {path}", "a run folder, a table.json or a record") from None
    except ValueError:
        raise DataError(f"{path} is not JSON", "a record") from None
    if isinstance(data, dict) and "measurements" in data:
        return {"": read(path, EvaluationRecord)}
    table: TableResult = read(path, TableResult)
    found = {name: read(path.parent / file, EvaluationRecord) for name, file in table.records.items()}
    if not found:
        raise DataError(f"{path} names no records", "a run that measured something")
    return found


def compare_files(a: str | Path, b: str | Path) -> tuple[list[Difference], list[str]]:
    """All differences between two runs, and what only one of them has.

    Args:
        a, b: record files, table.json files or run folders; two single records are compared whatever their names.
    """
    first, second = load(a), load(b)
    if len(first) == len(second) == 1:
        second = dict(zip(first, second.values(), strict=True))
    found = corrected(
        [line for name in first if name in second for line in compare_records(first[name], second[name], name)]
    )
    alone = [f"{name}: only in {a}" for name in first if name not in second]
    return found, alone + [f"{name}: only in {b}" for name in second if name not in first]

"""How a bad input is declared, tried and printed."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.data.prepare import prepare
from senm.data.formats import dnd, rwsr, sidd
from senm.data.formats.sidd_blocks import BlockShape
from senm.support.errors import SenmError
from tests import ROOT
from tests import fixtures_official as fx

DOC = ROOT / "docs" / "bad-inputs.md"
SIDD = sidd.SiddSizes(pairs=6, blocks=BlockShape(2, 4, 32))
CUT = sidd.Cutting(crops=3, size=32)
DND = dnd.DndShape(2, 3, 32)
RWSR = rwsr.RwsrSizes(12, 10)
Case = tuple[str, str, Callable[[Path], Callable[[], Any]]]
CASES: list[Case] = []
# What a library adds in its own words, which change from version to version.
LIBRARY = re.compile(r" \((?:\w+Error|broken data stream|File is not|image file is)[^)]*\)")


def case(data: str, title: str) -> Callable[[Callable[[Path], Any]], Callable[[Path], Any]]:
    """Register a case. The function spoils a whole tree `root` of this kind, or returns the call to make."""

    def register(spoil: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def build(tmp: Path) -> Callable[[], Any]:
            root = tmp / "root"
            CALLS[data][0](root)
            return spoil(root) or (lambda: CALLS[data][1](root, tmp / "out"))

        CASES.append((data, title, build))
        return spoil

    return register


CALLS: dict[str, tuple[Callable[[Path], Any], Callable[[Path, Path], Any]]] = {
    "SIDD": (lambda r: fx.sidd_mats(fx.sidd_medium(r)),
             lambda r, o: sidd.prepare(r, o, cutting=CUT, sizes=SIDD, workers=1)),
    "DND": (fx.dnd, lambda r, o: dnd.prepare(r, o, shape=DND)),
    "AIM19": (lambda r: fx.rwsr(r, "aim19"), lambda r, o: rwsr.prepare("aim19", r, o, sizes=RWSR, workers=1)),
    "any": (lambda r: r.mkdir(), lambda r, o: prepare("sidd", r, o)),
}


def message(build: Callable[[Path], Callable[[], Any]], tmp: Path) -> str:
    """What the call says, with the scratch folder left out; an empty string where it says nothing."""
    call = build(tmp)
    before = sorted(p.relative_to(tmp) for p in tmp.rglob("*"))
    try:
        call()
    except SenmError as error:
        left = sorted({p.relative_to(tmp) for p in tmp.rglob("*")} - set(before))
        if left:
            raise AssertionError(f"left behind: {left}") from error
        text = re.sub(re.escape(str(tmp / "root")) + "/?", "DIR/", str(error)).replace("DIR/ ", "DIR ")
        return re.sub(r"DIR/(?:[\w.-]+/){2,}", "DIR/.../", LIBRARY.sub("", text))
    return ""


def document() -> str:
    """The page: one row a case, made by running all of them."""
    lines = ["# Bad inputs and what is said about them", "",
             "Every row is made by a test that spoils a small copy of the official download and runs the preparation.",
             "In each case the exit code is not 0 and nothing half-written is left behind. `DIR` stands for the folder",
             "given with `--root`; the copies are small, so counts are smaller than the official ones.", "",
             "| data | input | message |", "|---|---|---|"]
    for data, title, build in sorted(CASES, key=lambda c: list(CALLS).index(c[0])):
        with tempfile.TemporaryDirectory() as tmp:
            lines.append(f"| {data} | {title} | {message(build, Path(tmp)).replace('|', '/')} |")
    return "\n".join(lines) + "\n"

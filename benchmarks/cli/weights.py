"""Published weights from the command line: what the files of a folder are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from baselines.published.contents import Told, tell


def scan(folder: Path, as_json: bool) -> int:
    """Print a line for each file, at once; as JSON, one list at the end.

    Raises:
        DataError: the folder does not exist.
    """
    found: list[Told] = []
    for told in tell(folder):
        found.append(told)
        if not as_json:
            print(told.sentence, flush=True)
    if as_json:
        print(json.dumps([_facts(told) for told in found], indent=1))
    known = sum(bool(told.systems or told.releases) for told in found)
    print(f"{known} of {len(found)} files hold weights that are known here", file=sys.stderr)
    return 0


def _facts(told: Told) -> dict[str, object]:
    releases = [each.name for each in told.releases]
    return {"file": str(told.path), "sha256": told.sha256, "systems": list(told.systems), "releases": releases,
            "certain": told.certain}

"""`python -m tests.baselines.systems`: arrays met of arrays there, by system, with the largest difference."""

from __future__ import annotations

import sys

from tabulate import tabulate

from tests.baselines.systems.vectors import cases, run, stored

rows = []
for system in sys.argv[1:] or sorted(cases()):
    met, read, unmet, largest = 0, 0, {}, 0.0
    for name in cases()[system]:
        found, case = run(system, name)
        met, read = met + len(found), read + len(case.read - {case.prefix + key for key in found})
        unmet |= case.unmet
        largest = max([largest, *found.values()])
    rows.append([system, len(stored(system)), met, read, len(unmet), f"{largest:.1e}"])
    for name, reason in unmet.items():
        print(f"{system}: {name} is not met: {reason}", file=sys.stderr)
print(tabulate(rows, ["system", "arrays", "met", "inputs", "not met", "largest difference"]))

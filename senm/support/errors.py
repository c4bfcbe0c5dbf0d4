"""Errors a user can act on: what was found, what was expected, and the command that mends it.

Every command line of the project catches `SenmError`, prints its sentence on stderr and exits with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SenmError(Exception):
    """Base of all errors that are the user's to mend.

    Args:
        found: what was found, as a clause without final stop.
        expected: what was expected instead, may be empty.
        mend: the command or action that mends it, may be empty.
    """

    exit_code = 2

    def __init__(self, found: str, expected: str = "", mend: str = "") -> None:
        self.found, self.expected, self.mend = found, expected, mend
        parts = [found]
        if expected:
            parts.append(f"expected: {expected}")
        if mend:
            parts.append(f"to mend it: {mend}")
        super().__init__("; ".join(parts))


class UsageError(SenmError):
    """A wrong name, option or combination of options (exit code 2)."""


class SettingsError(UsageError):
    """An unknown settings key or a value of the wrong type or range (exit code 2)."""


class DataError(SenmError):
    """A data file or folder that is missing, broken or not what its name says (exit code 3)."""

    exit_code = 3


class CheckpointError(SenmError):
    """A checkpoint that is missing, broken or of another layout (exit code 3)."""

    exit_code = 3


class MachineError(SenmError):
    """Something this machine lacks: a GPU, disk space, permission, a container engine (exit code 4)."""

    exit_code = 4


class TrainingError(SenmError):
    """A training that cannot go on: non-finite loss, too many skipped steps (exit code 5)."""

    exit_code = 5


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to `name`, or an empty string where none is close."""
    matches = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    originals = {k.lower(): k for k in known}
    return originals[matches[0]] if matches else ""


def unknown(kind: str, name: str, known: Iterable[str], error: type[SenmError] = UsageError) -> SenmError:
    """An error for an unknown name that suggests the nearest known one.

    >>> print(unknown("table", "tabel1", ["table1", "table2"]))
    unknown table 'tabel1'; expected: one of table1, table2; to mend it: did you mean 'table1'?
    """
    names = list(known)
    guess = nearest(name, names)
    return error(f"unknown {kind} {name!r}", "one of " + ", ".join(names), f"did you mean {guess!r}?" if guess else "")

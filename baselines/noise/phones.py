"""Camera and ISO of a photograph, where its name tells them as the names of SIDD's scene instances do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from senm.support.errors import DataError

INSTANCE = re.compile(r"\d{4}_\d{3}_([A-Z][A-Z0-9])_(\d{5})_\d{5}_\d{4}_[A-Z]")


class Phone(NamedTuple):
    """Camera (two letters) and ISO."""

    camera: str
    iso: int


def phone_of(name: str) -> Phone | None:
    """What a name such as ``0001_001_S6_00100_00060_3200_L`` (any text around it) tells, or None."""
    found = INSTANCE.search(name)
    return Phone(found[1], int(found[2])) if found else None


def phones_of(names: Sequence[str]) -> list[Phone] | None:
    """What all names tell; None where not one of them tells anything.

    Raises:
        DataError: some names tell it and some do not.
    """
    found = [phone_of(name) for name in names]
    known = [phone for phone in found if phone is not None]
    if known and len(known) < len(found):
        name = names[found.index(None)]
        raise DataError(f"{len(known)} of {len(found)} names tell camera and ISO, {name!r} does not",
                        "names like 0001_001_S6_00100_00060_3200_L, all or none", "rename the pictures")
    return known or None

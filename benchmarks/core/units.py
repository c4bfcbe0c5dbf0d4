"""Quantities for people."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes for people.

    >>> size(1536)
    '1.5 KiB'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def counted(number: int, word: str, several: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "image"), counted(2, "image"), counted(0, "entry", "entries")
    ('1 image', '2 images', '0 entries')
    """
    return f"{number} {word if number == 1 else several or word + 's'}"

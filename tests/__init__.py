"""Tests, room by room as the packages have them; `data/` holds reference vectors."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).parent / "data"

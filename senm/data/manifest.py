"""The manifest of a prepared data set: what it holds, where every item came from, and a hash of every file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from senm.support.errors import DataError

FILE_NAME = "manifest.json"
KIND: Literal["senm-prepared-data"] = "senm-prepared-data"
VERSION = 1
REDO = "prepare the data set again"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Frozen):
    """One original file: its name, hash and the terms under which it may be used."""

    name: str
    file: str
    sha256: str
    licence: str = ""
    size: tuple[int, int] | None = None
    split: str = ""


class Pool(_Frozen):
    """One pool: its number of items and its sides; `size` is (height, width) of a side, None where sizes vary."""

    items: int
    sides: dict[str, tuple[int, int] | None]


class StoredFile(_Frozen):
    """Length and SHA-256 of one file of the folder."""

    bytes: int
    sha256: str


class Manifest(_Frozen):
    """`domains` names the pool that a domain takes its items from; `paired_counts` maps a count of the paper to the
    count used here; `plan` holds everything that determines the content."""

    kind: Literal["senm-prepared-data"] = KIND
    version: int = VERSION
    name: str
    description: str = ""
    split_rule: str = ""
    plan: dict[str, Any] = Field(default_factory=dict)
    paired_counts: dict[int, int] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    domains: dict[str, str] = Field(default_factory=dict)
    pools: dict[str, Pool] = Field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    files: dict[str, StoredFile] = Field(default_factory=dict)

    def text(self) -> str:
        """The manifest as JSON, the same for equal content; holds no time and no place."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of `text()`; since files are listed with their hashes, it covers the whole data set."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    @property
    def origin(self) -> str:
        """SHA-256 of what the content is made from, without its bytes: the same on machines that round differently."""
        made_from = {"name": self.name, "version": self.version, "plan": self.plan}
        return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a prepared folder.

    Raises:
        DataError: the folder or its manifest is missing, damaged or of another version.
    """
    path = folder / FILE_NAME
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist", "a prepared data set", "prepare it first, or check the path")
    if not path.is_file():
        raise DataError(f"{folder} is not a prepared data set (no {FILE_NAME})", "a prepared data set",
                        "prepare it first, or check the path")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is damaged ({error})", "a JSON manifest", REDO) from error
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        raise DataError(f"{path} is not the manifest of a prepared data set", f"kind {KIND!r}", "check the path")
    if raw.get("version") != VERSION:
        raise DataError(f"{path} has version {raw.get('version')}", f"version {VERSION}", REDO)
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path} is damaged at {where} ({first['msg']})", "the manifest as written", REDO) from error


def is_prepared(folder: Path) -> bool:
    """Whether `folder` holds the manifest of a prepared data set (of any version)."""
    try:
        raw = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(raw, dict) and raw.get("kind") == KIND


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

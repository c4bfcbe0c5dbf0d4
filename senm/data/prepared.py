"""Prepared data sets: a folder with a manifest and memory-mapped .npy pools, opened at no cost and read by page.

Layout: ``manifest.json``; for each pool ``<pool>_items.jsonl`` (one JSON object an item: its name and where it came
from) and for each side ``<pool>_<side>.npy``, uint8 (N, H, W, 3), or, where sizes vary, one flat uint8 array beside
``<pool>_<side>_sizes.npy``, integer (N, 2); for each domain ``<domain>.npy``, the order in which its items are used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np

from senm.data.domains import Domains
from senm.data.manifest import REDO, Manifest, read_manifest
from senm.data.pool import ArrayImages, Images, Pairs, RaggedImages, empty_images, empty_pairs
from senm.support.contents import sha256_of
from senm.support.errors import DataError, UsageError, unknown


class PreparedData:
    """A prepared data set. Use `PreparedData.open`; pixels are read from disk as they are used."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        self._items: dict[str, list[dict[str, object]]] = {}

    @classmethod
    def open(cls, path: Path | str) -> PreparedData:
        """Open a folder made by `PreparedWriter`, checking that every file is there at its full length.

        Raises:
            DataError: not a prepared data set, another version, or a file missing or of the wrong length.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        for name, stored in manifest.files.items():
            file = folder / name
            if not file.is_file():
                raise DataError(f"{file} is missing", "every file of the manifest", REDO)
            if file.stat().st_size != stored.bytes:
                raise DataError(f"{file} has {file.stat().st_size} bytes", f"{stored.bytes} bytes", REDO)
        return cls(folder, manifest)

    def verify(self) -> None:
        """Compare the hash of every file with the manifest (DataError where one differs)."""
        names = list(self.manifest.files)
        for name, digest in zip(names, sha256_of(self.folder / name for name in names), strict=True):
            if digest != self.manifest.files[name].sha256:
                raise DataError(f"{self.folder / name} has changed since it was written", "the hash in the manifest",
                                REDO)

    @property
    def name(self) -> str:
        """The kind of data set: 'embedded', 'folder', 'sidd', ..."""
        return self.manifest.name

    @property
    def split_rule(self) -> str:
        """How items were divided among the domains."""
        return self.manifest.split_rule

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the manifest, and so over all content."""
        return self.manifest.fingerprint

    @property
    def paired_counts(self) -> dict[int, int]:
        """Count of pairs in the paper (10, 96, 960) -> count used here."""
        return dict(self.manifest.paired_counts)

    def items(self, pool: str) -> list[dict[str, object]]:
        """What is known of each item of a pool: its name, source file, place, level, ..."""
        if pool not in self.manifest.pools:
            raise unknown("split", pool, self.manifest.pools)
        if pool not in self._items:
            lines = (self.folder / f"{pool}_items.jsonl").read_text(encoding="utf-8").splitlines()
            self._items[pool] = [json.loads(line) for line in lines]
        return self._items[pool]

    def side(self, pool: str, side: str) -> Images:
        """One side ('clean' or 'noisy') of a pool.

        Raises:
            UsageError: no such pool or side.
        """
        names = [str(item["name"]) for item in self.items(pool)]
        sides = self.manifest.pools[pool].sides
        if side not in sides:
            raise UsageError(f"split {pool!r} of {self.name} has no {side} images", f"one of {', '.join(sides)}")
        if not names:
            return empty_images()
        array = np.load(self.folder / f"{pool}_{side}.npy", mmap_mode="r")
        if sides[side] is not None:
            return ArrayImages(array, names)
        return RaggedImages(array, np.load(self.folder / f"{pool}_{side}_sizes.npy"), names)

    def has(self, pool: str, side: str) -> bool:
        """Whether a pool has images of a side; photographs without a partner have no 'clean' one."""
        return pool in self.manifest.pools and side in self.manifest.pools[pool].sides

    def pairs(self, split: str) -> Pairs:
        """All pairs of a split: 'train', 'validation', ..."""
        return Pairs(self.side(split, "clean"), self.side(split, "noisy"))

    def images(self, split: str, side: str = "noisy") -> Images:
        """All images of one side of a split, for example the noisy-only 'benchmark'."""
        return self.side(split, side)

    def order(self, domain: str) -> np.ndarray:
        """The fixed seeded order in which a domain's items are used: integer indices into its pool."""
        return np.load(self.folder / f"{domain}.npy")

    def domains(self, paired: int | None = None, source: int | None = None, target: int | None = None) -> Domains:
        """Training data: None takes a whole domain, 0 leaves it empty, n takes the first n of its fixed order.

        A number of pairs that the paper uses is translated by `paired_counts`; a number above what exists takes all.

        Raises:
            UsageError: a negative number.
        """
        chosen: dict[str, np.ndarray] = {}
        if paired is not None:
            paired = self.manifest.paired_counts.get(paired, paired)
        for domain, count in (("paired", paired), ("source", source), ("target", target)):
            if count is not None and count < 0:
                raise UsageError(f"{count} {domain} images", "a number from 0, or none for all")
            if count != 0 and domain in self.manifest.domains:
                chosen[domain] = self.order(domain)[:count]
        pools = self.manifest.domains
        return Domains(
            self.pairs(pools["paired"]).subset(chosen["paired"]) if "paired" in chosen else empty_pairs(),
            self._take("source", "clean", chosen), self._take("target", "noisy", chosen))

    def _take(self, domain: str, side: str, chosen: dict[str, np.ndarray]) -> Images:
        if domain not in chosen:
            return empty_images()
        return self.side(self.manifest.domains[domain], side).subset(_integers(chosen[domain]))

    def describe(self) -> str:
        """Two or three lines for people: counts, split rule, notes."""
        counts = ", ".join(f"{name} {pool.items}" for name, pool in self.manifest.pools.items())
        return "\n".join([f"{self.name}: {self.manifest.description}", f"items: {counts}; split: {self.split_rule}",
                          *self.manifest.notes])


def _integers(values: np.ndarray) -> Iterable[int]:
    return (int(v) for v in values)

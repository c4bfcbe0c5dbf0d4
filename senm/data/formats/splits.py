"""How training items are divided into the paired, source and target domains: by crop as the authors do, or by photo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from senm.support import seeding
from senm.support.errors import DataError, UsageError

SplitRule = Literal["authors", "by-photo"]
RULES: tuple[SplitRule, ...] = ("authors", "by-photo")
PAPER_COUNTS = (10, 96, 960)
MEANING = {
    "authors": "by crop: pairs drawn from all crops; source and target are halves of the crops and share photographs",
    "by-photo": "by photograph: paired, source and target come from different scenes",
}


def split(rule: str, groups: Sequence[str], seed: int) -> dict[str, np.ndarray]:
    """The items of each domain in their order of use.

    Args:
        rule: 'authors' (source and target are disjoint halves of the items; the pairs are drawn from all of them) or
            'by-photo' (the groups are divided: a tenth, at least one, for the pairs, the rest halved).
        groups: for each item, the scene it shows.
        seed: of the named stream.

    Returns:
        {'paired', 'source', 'target'} -> integer indices, each a seeded permutation.

    Raises:
        UsageError: unknown rule.
        DataError: too few items or scenes for the rule.
    """
    if rule not in RULES:
        raise UsageError(f"unknown split rule {rule!r}", "one of " + ", ".join(RULES))
    count = len(groups)
    if rule == "authors":
        if count < 2:
            raise DataError(f"{count} crops", "at least 2, one for each half")
        halves = seeding.rng("split halves", seed).permutation(count)
        return {"paired": seeding.rng("split pairs", seed).permutation(count),
                "source": halves[: count // 2], "target": halves[count // 2 :]}
    scenes = sorted(set(groups))
    if len(scenes) < 3:
        raise DataError(f"{len(scenes)} different scenes", "at least 3 for the split by photograph",
                        "use the split rule 'authors'")
    order = seeding.rng("split scenes", seed).permutation(len(scenes))
    first = max(1, round(len(scenes) / 10))
    second = first + (len(scenes) - first) // 2
    domain = {scenes[k]: ("paired" if i < first else "source" if i < second else "target") for i, k in enumerate(order)}
    return {name: seeding.rng("split order", name, seed).permutation([i for i,
                                                                      g in enumerate(groups) if domain[g] == name])
            for name in ("paired", "source", "target")}


def check_split(domains: dict[str, np.ndarray], groups: Sequence[str], rule: str) -> None:
    """Refuse a split in which source and target share a pair (or, by photograph, any two domains a scene).

    Raises:
        DataError: naming the domains and the first shared item or scene.
    """
    def label(name: str) -> set[str]:
        return {groups[i] if rule == "by-photo" else str(i) for i in domains[name].tolist()}

    checks = [("source", "target")]
    if rule == "by-photo":
        checks += [("paired", "source"), ("paired", "target")]
    for a, b in checks:
        shared = label(a) & label(b)
        if shared:
            what = "scene" if rule == "by-photo" else "pair"
            raise DataError(f"{len(shared)} {what}s are in {a} and in {b} (first: {min(shared)})", "no overlap",
                            "prepare the data again")


def paper_counts(available: int) -> dict[int, int]:
    """The paper's numbers of pairs and what is used here: equal, or all there are."""
    return {n: min(n, available) for n in PAPER_COUNTS}

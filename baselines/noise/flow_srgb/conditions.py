"""The condition of an image, ISO and camera, and what stands for it where names tell neither.

A condition is a pair of positions in `networks.ISOS` and `networks.CAMERAS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch
from torch import Tensor

from baselines.noise.flow_srgb.networks import CAMERAS, ISOS
from baselines.noise.phones import Phone, phone_of, phones_of
from senm.data.levelled import level_of_pair
from senm.level import level_source
from senm.support import seeding
from senm.support.errors import CheckpointError, DataError, unknown

if TYPE_CHECKING:
    from senm.data.pool import Images, Pairs

OtherIso = Literal["nearest", "error"]
Unnamed = Literal["levels", "one"]


def condition_of(phone: Phone, other_iso: OtherIso) -> tuple[int, int]:
    """The condition of camera and ISO.

    Raises:
        DataError: a camera the model does not know, or an ISO it does not know where that is an error.
    """
    if phone.camera not in CAMERAS:
        raise unknown("camera", phone.camera, CAMERAS, DataError)
    if phone.iso not in ISOS and other_iso == "error":
        raise DataError(f"ISO {phone.iso}", "one of " + ", ".join(map(str, ISOS)), "set other_iso=nearest")
    nearest = int(np.abs(np.log(ISOS) - np.log(max(phone.iso, 1))).argmin())
    return nearest, CAMERAS.index(phone.camera)


class Conditions:
    """Conditions of the training pairs, and from these the condition of any image by its name.

    Args:
        table: integer (pairs, 2).
        levels: float64 (pairs,), std(noisy - clean) of each pair in [0, 1] units; empty where names tell the condition.
    """

    def __init__(self, table: np.ndarray, levels: np.ndarray) -> None:
        self.table, self.levels = table, levels

    @classmethod
    def of(cls, pairs: Pairs, unnamed: Unnamed, other_iso: OtherIso) -> Self:
        """By name where names tell camera and ISO; else fifths of the pairs by level (`levels`), or `one` for all.

        Raises:
            DataError: no pairs, names of which only some tell the condition, an unknown camera or ISO.
        """
        if not len(pairs):
            raise DataError("there are no pairs to train on", "at least one pair")
        phones = phones_of(pairs.names)
        if phones is not None:
            return cls(np.array([condition_of(phone, other_iso) for phone in phones]), np.zeros(0))
        levels = np.array([level_of_pair(pairs, index) for index in range(len(pairs))])
        group = fifth(levels, levels) if unnamed == "levels" else np.zeros(len(levels), dtype=int)
        return cls(np.stack([group, np.zeros_like(group)], 1), levels)

    def source(self, seed: int, clean: Images, unnamed: Unnamed, other_iso: OtherIso) -> Callable[[str], np.ndarray]:
        """Name -> condition (2,) for sampling.

        A name that tells nothing gets the condition of a training pair, drawn from its own stream; without names in
        training the fifth of a level, the image's own where `clean` has levels and a drawn one else.
        """
        if not len(self.table):
            raise CheckpointError("the model has no conditions", "a model fitted on pairs", "fit it, or give pairs")
        drawn = not len(self.levels) or unnamed == "one"
        level = level_source("measured", self.levels.tolist() or [0.0], seed, clean)

        def find(name: str) -> np.ndarray:
            phone = phone_of(name)
            if phone is not None and not len(self.levels):
                return np.array(condition_of(phone, other_iso))
            if drawn:
                chosen: np.ndarray = self.table[seeding.rng("condition", seed, name).integers(len(self.table))]
                return chosen
            return np.array([int(fifth(np.array([level(name)]), self.levels)[0]), 0])

        return find

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"conditions.table": torch.from_numpy(self.table), "conditions.levels": torch.from_numpy(self.levels)}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> Self:
        """Read what `state` gave.

        Raises:
            CheckpointError: no conditions in the checkpoint, or conditions outside the tables.
        """
        try:
            table, levels = state["conditions.table"].numpy(), state["conditions.levels"].numpy()
        except KeyError as error:
            raise CheckpointError(f"the checkpoint lacks {error}", "conditions of the training pairs") from None
        if table.ndim != 2 or table.shape[1] != 2 or (table < 0).any() or (table >= (len(ISOS), len(CAMERAS))).any():
            raise CheckpointError(f"conditions of shape {table.shape}", "positions of ISO and camera")
        return cls(table, levels)


def fifth(levels: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Which fifth of `among` each level belongs to, 0 .. 4."""
    bounds = np.quantile(among, np.arange(1, len(ISOS)) / len(ISOS))
    return np.searchsorted(bounds, levels)

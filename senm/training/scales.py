"""Settings that follow the data: the weight of the KL part from the noise of the pairs, clipping from the gradients."""

from __future__ import annotations

import math

import numpy as np

from senm.config import NoiseModelSettings, PairedModelSettings, TrainSettings
from senm.data.levelled import level_of_pair
from senm.data.pool import Pairs
from senm.support.errors import SettingsError
from senm.training.health import Health

UNCODED = 0.01
"""Share of the noise's variance that may be cheaper to leave out than to code."""
MOST_PAIRS = 256
CLIP_AT, MEMORY = 4.0, 0.98


def kl_weight(settings: NoiseModelSettings | PairedModelSettings, pairs: Pairs) -> float:
    """The weight at which noise of less than `UNCODED` times the mean squared level of the pairs is left out.

    A Gaussian coded at a distortion d a value costs as much as it gains where d is half the weight of a nat of that
    value: with means, kl_weight is 2 zn_dim d / 3 (the KL is a mean over zn_dim channels, the error over 3), of the
    fully paired network 2 d (both a value of the image); with sums, d (the error is halved).

    Raises:
        SettingsError: no pairs, or pairs without noise.
    """
    at = range(0, len(pairs), max(1, len(pairs) // MOST_PAIRS))
    distortion = UNCODED * float(np.mean([level_of_pair(pairs, i) ** 2 for i in at])) if len(pairs) else 0.0
    if distortion <= 0:
        raise SettingsError("loss.kl_weight is 'noise'" + (" and the pairs have none" if len(pairs) else ""),
                            "pairs, whose noise it follows", "give pairs, or a number")
    if isinstance(settings, PairedModelSettings):
        return 2 * distortion
    return distortion if settings.loss.reduction == "sum" else 2 * settings.network.zn_dim * distortion / 3


def clip_bound(t: TrainSettings, health: Health) -> float:
    """The gradient norm at which this step is clipped."""
    if t.clip_norm == "running":
        return math.inf if health.typical_norm is None else CLIP_AT * health.typical_norm
    return math.inf if t.clip_norm is None else t.clip_norm


def note_norm(t: TrainSettings, health: Health, norm: float) -> None:
    """Let the running mean follow a finite norm, which counts for no more than it was clipped to."""
    if t.clip_norm == "running" and math.isfinite(norm):
        counted = min(norm, clip_bound(t, health))
        old = counted if health.typical_norm is None else health.typical_norm
        health.typical_norm = MEMORY * old + (1 - MEMORY) * counted

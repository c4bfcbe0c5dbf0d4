"""Scales: how much data and work a run takes. Systems keep their own settings by scale in `default_settings`."""

from __future__ import annotations

from pydantic import Field

from senm.config import Settings
from senm.support.errors import unknown


class Scale(Settings):
    """What a scale fixes beside the systems' settings. None means: all there is."""

    name: str
    train_images: int | None = Field(None, description="clean images that get synthetic noise for a restorer")
    validation_images: int | None = Field(
        None, description="validation images that are generated, restored and measured"
    )
    released: bool = Field(False, description="checkpoints of results/checkpoints stand in for equal trainings")
    deterministic: bool = Field(False, description="deterministic algorithms by default on the CPU")
    strips: int = Field(2, description="photographs shown in the report")


PAPER = Scale(name="paper")
SHORT = PAPER.but(name="short", released=True, deterministic=True)
SMOKE = SHORT.but(name="smoke", released=False, train_images=16, validation_images=8, strips=1)
SCALES = {scale.name: scale for scale in (SMOKE, SHORT, PAPER)}


def scale(name: str) -> Scale:
    """The scale of this name.

    Raises:
        UsageError: there is none; the nearest name is suggested.
    """
    if name not in SCALES:
        raise unknown("scale", name, SCALES)
    return SCALES[name]

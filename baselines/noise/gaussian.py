"""Gaussian noise models, which the paper lacks: white at a drawn level, and signal-dependent noise fitted on pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import torch
from pydantic import Field

from baselines.base import Capabilities, Scale, load_checkpoint, save_checkpoint
from senm.config import Settings, preset
from senm.data.levelled import level_of_pair
from senm.support import seeding
from senm.support.errors import CheckpointError, DataError

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images, Pairs
    from senm.support.progress import Progress

QUANTISATION = 1 / 12 / 255**2
LEAST = 1e-3  # level below which a pair shows rounding only
NOT_IN_PAPER = "ours: the paper has no such row"


class WhiteSettings(Settings):
    """Where the standard deviation of an image's noise comes from."""

    level: Literal["sidd_line", "measured"] = Field(
        "sidd_line", description="the shot/read line of SIDD, or a level measured on pairs, see `Trained.level_of`",
        json_schema_extra={"guess": NOT_IN_PAPER},
    )


class HeteroscedasticSettings(Settings):
    """How variance against intensity is fitted."""

    bins: int = Field(64, ge=4, description="intensity bins", json_schema_extra={"guess": NOT_IN_PAPER})
    margin: float = Field(
        0.06, ge=0, lt=0.4, description="intensities this near to 0 or 1 are left out: noise is clipped there",
        json_schema_extra={"guess": NOT_IN_PAPER},
    )


class WhiteGaussian:
    """Independent noise of one standard deviation an image, the same for every pixel and channel."""

    name = "gaussian"
    capabilities = Capabilities(kind="noise", trains=False)

    def __init__(self, settings: WhiteSettings, levels: np.ndarray) -> None:
        self.settings, self.levels = settings, levels

    @classmethod
    def default_settings(cls, scale: Scale) -> WhiteSettings:
        """The level source is that of the SeNM-VAE settings of this scale."""
        source = preset("authors" if scale == "paper" else scale).level
        return WhiteSettings(level="measured" if source == "measured" else "sidd_line")

    @classmethod
    def fit(
        cls, domains: Domains, settings: WhiteSettings, *, seed: int, device: str, workdir: Path, progress: Progress
    ) -> Self:
        """Measure the level of each training pair, where levels are to be measured.

        Raises:
            DataError: levels are to be measured and there are no pairs.
        """
        if settings.level == "sidd_line":
            return cls(settings, np.zeros(0))
        if not len(domains.paired):
            raise DataError("there are no pairs to measure a level on", "at least one pair", "set level=sidd_line")
        levels = []
        with progress.task("measure levels", len(domains.paired)) as task:
            for index in range(len(domains.paired)):
                levels.append(level_of_pair(domains.paired, index))
                task.advance()
        return cls(settings, np.array(levels))

    def level(self, seed: int, name: str, clean: Images | None = None) -> float:
        """The standard deviation of the noise of the image of this name, in [0, 1] units."""
        from senm.level import level_source

        return level_source(self.settings.level, self.levels.tolist(), seed, clean)(name)

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Noisy versions in order; an image's noise depends on the seed and its name only."""

        def variance(x: np.ndarray, name: str) -> np.ndarray:
            return np.broadcast_to(self.level(seed, name, clean) ** 2, x.shape)

        return _sample(self.name, variance, clean, seed, progress)

    def save(self, folder: Path) -> None:
        """Write settings and levels."""
        save_checkpoint(folder, self.name, self.settings, {"levels": torch.from_numpy(self.levels)})

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read what `save` wrote; raises CheckpointError where it is missing or broken."""
        settings, state = load_checkpoint(folder, cls.name, WhiteSettings)
        return cls(settings, state["levels"].numpy())


class HeteroscedasticGaussian:
    """Independent noise of variance level^2 (a x + b), with a and b a channel, x and the image's level in [0, 1]."""

    name = "heteroscedastic"
    capabilities = Capabilities(kind="noise", needs_pairs=True, trains=False)

    def __init__(self, settings: HeteroscedasticSettings, slope: np.ndarray, offset: np.ndarray, levels: np.ndarray
                 ) -> None:
        self.settings, self.slope, self.offset, self.levels = settings, slope, offset, levels

    @classmethod
    def default_settings(cls, scale: Scale) -> HeteroscedasticSettings:
        """The same at every scale: the fit takes seconds."""
        return HeteroscedasticSettings()

    @classmethod
    def fit(
        cls, domains: Domains, settings: HeteroscedasticSettings, *, seed: int, device: str, workdir: Path,
        progress: Progress,
    ) -> Self:
        """Fit a and b, both at least 0, on all pixels of the training pairs, each divided by its pair's level.

        Raises:
            DataError: there are no pairs.
        """
        if not len(domains.paired):
            raise DataError("there are no pairs to fit variance against intensity on", "at least one pair")
        moments, levels = np.zeros((3, 256, 2)), []
        with progress.task("fit variance", len(domains.paired)) as task:
            for index in range(len(domains.paired)):
                levels.append(max(level_of_pair(domains.paired, index), LEAST))
                clean, residual = domains.paired.clean[index], _residual(domains.paired, index)
                for channel in range(3):
                    level, square = clean[..., channel].ravel(), residual[..., channel].ravel() ** 2
                    square = (square - QUANTISATION) / levels[-1] ** 2
                    moments[channel, :, 0] += np.bincount(level, minlength=256)
                    moments[channel, :, 1] += np.bincount(level, square, minlength=256)
                task.advance()
        fitted = np.array([fit_line(m[:, 0], m[:, 1], settings.bins, settings.margin, 0.0)
                           for m in moments])
        return cls(settings, fitted[:, 0], fitted[:, 1], np.array(levels))

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Noisy versions in order; an image's noise depends on the seed and its name only.

        Its level is its own where it has one, else one of the training pairs'.
        """
        from senm.level import level_source

        level = level_source("measured", self.levels.tolist(), seed, clean)
        return _sample(self.name, lambda x, name: level(name) ** 2 * (self.slope * x + self.offset), clean, seed,
                       progress)

    def save(self, folder: Path) -> None:
        """Write settings, slope, offset and levels."""
        state = {name: torch.from_numpy(getattr(self, name)) for name in ("slope", "offset", "levels")}
        save_checkpoint(folder, self.name, self.settings, state)

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read what `save` wrote; raises CheckpointError where it is missing or broken."""
        settings, state = load_checkpoint(folder, cls.name, HeteroscedasticSettings)
        for name in ("slope", "offset", "levels"):
            if name not in state:
                raise CheckpointError(f"{folder} lacks {name!r}", "slope, offset and levels", "fit it again")
        return cls(settings, *(state[name].numpy() for name in ("slope", "offset", "levels")))


def fit_line(count: np.ndarray, squares: np.ndarray, bins: int, margin: float,
             rounding: float = QUANTISATION) -> tuple[float, float]:
    """Slope and offset (at least 0) of variance against intensity by weighted least squares.

    Args:
        count: pixels at each of the 256 grey levels.
        squares: sum of squared residuals ([0, 1] units) at each grey level.
        bins: grey levels are joined to this many bins.
        margin: levels nearer than this to 0 or 1 are left out, unless nothing else is there.
        rounding: variance that is taken off, that of 8 bits.

    The variance of rounding is taken off, since a sample is rounded again. A bin's mean square has relative
    variance 2 / n, so it is weighted by n / variance^2; the weights are refined three times.
    """
    from scipy.optimize import nnls

    grey = np.arange(256) / 255
    inside = (grey >= margin) & (grey <= 1 - margin)
    if not count[inside].sum():
        inside = np.ones(256, dtype=bool)
    label = np.minimum((grey * bins).astype(int), bins - 1)[inside]
    n = np.bincount(label, count[inside], minlength=bins)
    used = n > 0
    n = n[used]
    x = np.bincount(label, (count * grey)[inside], minlength=bins)[used] / n
    variance = np.maximum(np.bincount(label, squares[inside], minlength=bins)[used] / n - rounding, 0)
    design = np.stack([x, np.ones_like(x)], 1)
    weight = np.sqrt(n)
    solution = np.zeros(2)
    for _ in range(4):
        solution, _ = nnls(design * weight[:, None], variance * weight)
        weight = np.sqrt(n) / np.maximum(design @ solution, QUANTISATION)
        weight /= weight.max()
    return float(solution[0]), float(solution[1])


def _residual(pairs: Pairs, index: int) -> np.ndarray:
    return (pairs.noisy[index].astype(np.float64) - pairs.clean[index]) / 255


def _sample(
    label: str, variance: Callable[[np.ndarray, str], Any], clean: Images, seed: int, progress: Progress
) -> Iterator[np.ndarray]:
    with progress.task(f"sample with {label}", len(clean)) as task:
        for index, name in enumerate(clean.names):
            x = clean[index].astype(np.float64) / 255
            noise = seeding.rng("sample", seed, name, label).standard_normal(x.shape)
            noisy = x + np.sqrt(variance(x, name)) * noise
            yield np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
            task.advance()

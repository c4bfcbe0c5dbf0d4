"""A small camera: photographs turned back into sensor data, given shot and read noise, and developed again.

The noise is white on the sensor with a known variance. Developing makes it what real sRGB noise is: dependent on the
signal, correlated between neighbouring pixels and between colours, and clipped at both ends.

Source: the order of steps and the smooth tone curve follow T. Brooks et al., "Unprocessing images for learned raw
denoising" (CVPR 2019), equations 1 to 4; the demosaicing interpolates colour differences bilinearly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from senm.support import seeding

LOG10_SHOT = (math.log10(0.00068674), math.log10(0.02194856))
READ_SLOPE, READ_OFFSET, READ_SPREAD = 1.85, 0.30, 0.20

MARGIN = 4  # pixels around a crop that its developed values depend on, rounded up to whole Bayer cells
PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))
SITES = ((0, 0),), ((0, 1), (1, 0)), ((1, 1),)  # RGGB: places of red, green and blue in a 2 x 2 cell


@dataclass(frozen=True)
class Exposure:
    """Sensor noise of one image: variance = `shot` * signal + `read`, for signals in [0, 1]."""

    shot: float
    read: float

    @property
    def level(self) -> float:
        """Standard deviation at full signal: sqrt(shot + read)."""
        return float(np.sqrt(self.shot + self.read))


def draw_exposure(*stream: str | int) -> Exposure:
    """A point of the shot/read line of SIDD, drawn from a named stream.

    log10(shot) is uniform between the two ends of the line; log10(read) is linear in it with a normal spread.
    """
    rng = seeding.rng("exposure", *stream)
    shot = rng.uniform(*LOG10_SHOT)
    return Exposure(10.0**shot, 10.0 ** (READ_SLOPE * shot + READ_OFFSET + rng.normal(0.0, READ_SPREAD)))


def tone(linear: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] -> display value in [0, 1]: the sRGB curve, then the smooth step 3v^2 - 2v^3."""
    v = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return v * v * (3 - 2 * v)


def untone(display: np.ndarray) -> np.ndarray:
    """The exact inverse of `tone` on [0, 1]."""
    v = 0.5 - np.sin(np.arcsin(1 - 2 * np.asarray(display, dtype=np.float64)) / 3)
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def mosaic(raw: np.ndarray) -> np.ndarray:
    """The Bayer pattern RGGB of an RGB image: (H, W, 3) -> (H, W). The first pixel is red."""
    out = np.empty(raw.shape[:2])
    for channel, sites in enumerate(SITES):
        for i, j in sites:
            out[i::2, j::2] = raw[i::2, j::2, channel]
    return out


def demosaic(pattern: np.ndarray) -> np.ndarray:
    """RGB from a Bayer pattern: (H, W) -> (H, W, 3), a linear map.

    Green is interpolated bilinearly, then red - green and blue - green are. Measured values stay as they are.
    """
    height, width = pattern.shape
    red = np.zeros((height, width))
    blue, green_sites = red.copy(), np.zeros((height, width))
    for i, j in SITES[1]:
        green_sites[i::2, j::2] = 1
    known = pattern * green_sites
    p = np.pad(known, 1, mode="reflect")
    green = np.where(green_sites > 0, known, (p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:]) / 4)
    red[0::2, 0::2] = (pattern - green)[0::2, 0::2]
    blue[1::2, 1::2] = (pattern - green)[1::2, 1::2]
    return np.stack([green + _spread(red), green, green + _spread(blue)], axis=-1)


def _spread(sparse: np.ndarray) -> np.ndarray:
    """Bilinear interpolation of values known at every second row and column, zero elsewhere."""
    p = np.pad(sparse, 1, mode="reflect")
    rows = p[1:-1] + (p[:-2] + p[2:]) / 2
    return rows[:, 1:-1] + (rows[:, :-2] + rows[:, 2:]) / 2


@cache
def _squared_weights() -> np.ndarray:
    """Squares of the weights of `demosaic`: (2, 2, 3, 5, 5) for output phase, channel and input offset (-2 .. 2)."""
    weights = np.zeros((2, 2, 3, 5, 5))
    for i in range(6, 12):
        for j in range(6, 12):
            impulse = np.zeros((18, 18))
            impulse[i, j] = 1
            answer = demosaic(impulse)
            for a, b in PHASES:
                y, x = 8 + a, 8 + b
                if abs(i - y) <= 2 and abs(j - x) <= 2:
                    weights[a, b, :, i - y + 2, j - x + 2] = answer[y, x]
    return weights**2


@dataclass(frozen=True)
class Camera:
    """White balance gains of red and blue (green has 1); the sensor sees red and blue that much darker."""

    red: float = 1.9
    blue: float = 1.6

    @property
    def gains(self) -> np.ndarray:
        """White balance by channel, float (3,)."""
        return np.array([self.red, 1.0, self.blue])

    def raw(self, image: np.ndarray, exposure: float = 1.0, reduce: int = 1) -> np.ndarray:
        """Sensor RGB of a photograph: undo the tone curve, average blocks, scale the light, undo the white balance.

        Args:
            image: uint8 (H, W, 3); H and W are cut to whole blocks.
            exposure: factor on the light, in (0, 1].
            reduce: side in pixels of the blocks that become one pixel (averaged in linear light).

        Returns:
            float64 (H / reduce, W / reduce, 3) in [0, 1].
        """
        light = untone(np.arange(256) / 255.0)[image]
        height, width = light.shape[0] // reduce, light.shape[1] // reduce
        blocks = light[:height * reduce, :width * reduce].reshape(height, reduce, width, reduce, 3)
        return blocks.mean(axis=(1, 3)) * exposure / self.gains

    def sensor(self, raw: np.ndarray, noise: Exposure, rng: np.random.Generator) -> np.ndarray:
        """The noisy Bayer pattern of sensor RGB (H, W, 3): counted photons and normal read noise, float (H, W).

        Its noise is white, of variance shot * signal + read exactly; nothing is clipped yet.
        """
        signal = mosaic(raw)
        return noise.shot * rng.poisson(signal / noise.shot) + np.sqrt(noise.read) * rng.standard_normal(signal.shape)

    def develop(self, pattern: np.ndarray) -> np.ndarray:
        """A photograph from a Bayer pattern (H, W): demosaic, white balance, clip, tone curve, uint8 (H, W, 3)."""
        linear = np.clip(demosaic(pattern) * self.gains, 0.0, 1.0)
        return np.rint(255 * tone(linear)).astype(np.uint8)

    def clean(self, raw: np.ndarray) -> np.ndarray:
        """The photograph without noise: uint8 (H, W, 3), through the same steps as the noisy one."""
        return self.develop(mosaic(raw))

    def noisy(self, raw: np.ndarray, noise: Exposure, rng: np.random.Generator) -> np.ndarray:
        """The photograph with noise: uint8 (H, W, 3)."""
        return self.develop(self.sensor(raw, noise, rng))

    def pair(self, raw: np.ndarray, noise: Exposure, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(clean, noisy) of sensor RGB with a margin of `MARGIN` pixels, which is cut off."""
        inside = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        return self.clean(raw)[inside], self.noisy(raw, noise, rng)[inside]

    def linear_std(self, raw: np.ndarray, noise: Exposure) -> np.ndarray:
        """True standard deviation of the noise after demosaicing and white balance, before clipping and tone curve.

        Args:
            raw: sensor RGB (H, W, 3); H and W even.

        Returns:
            float (H, W, 3); exact but for the outer two rows and columns, where the borders are mirrored.
        """
        variance = noise.shot * mosaic(raw) + noise.read
        padded, out = np.pad(variance, 2, mode="reflect"), np.zeros(raw.shape)
        height, width = variance.shape
        for (a, b), channel in ((phase, c) for phase in PHASES for c in range(3)):
            for i, j in np.argwhere(_squared_weights()[a, b, channel]):
                weight = _squared_weights()[a, b, channel, i, j]
                out[a::2, b::2, channel] += weight * padded[a + i:a + i + height:2, b + j:b + j + width:2][
                    :out[a::2].shape[0], :out[:, b::2].shape[1]]
        return np.sqrt(out) * self.gains

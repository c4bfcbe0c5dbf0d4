"""Kullback-Leibler divergences between generated and real noisy images, one function a published convention.

The official SeNM-VAE number compares grey-level histograms of whole images, KL(generated || real); all others compare
residuals (noisy - clean), KL(real || generated). All are in nats, arguments are uint8 (H, W, 3) RGB.
"""

from __future__ import annotations

import numpy as np

from benchmarks.metrics.arrays import Array, ImageSet, uint8, units
from benchmarks.metrics.pairwise import quantise

LEVELS = 256
EMPTY = 1e-8
NOISEFLOW_EDGES = np.concatenate(([-np.inf], np.linspace(-0.1, 0.1, 65), [np.inf]))
NAFLOW_EDGES = np.linspace(-1, 1, 257)
SRGB_FLOW_EDGES = np.arange(-260.0, 261.0, 4.0)
AKLD_TAPS = np.array([1, 3.5, 7, 9, 7, 3.5, 1]) / 32
AKLD_FLOOR = 1e-10
AKLD_RATIOS = (0.1, 10.0)


def png_grey(image: Array) -> Array:
    """Grey levels as a PNG decoder makes them of uint8 RGB: truncated, not rounded; uint8 (H, W).

    Source: libpng's rgb_to_gray with its default weights, which the authors' OpenCV read goes through.
    """
    weighted = image.astype(np.uint32) @ np.array([9797, 19234, 3737], dtype=np.uint32)
    return (weighted >> 15).astype(np.uint8)


def rounded_grey(image: Array) -> Array:
    """Grey levels of OpenCV's colour conversion: rounded, so half of all pixels differ by 1 from `png_grey`."""
    weighted = image.astype(np.uint32) @ np.array([9798, 19235, 3735], dtype=np.uint32)
    return ((weighted + (1 << 14)) >> 15).astype(np.uint8)


def _divergence(p: Array, q: Array) -> float:
    """Sum of p ln(p / q) where p > 0."""
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / q[used])))


def _level_divergence(generated: Array, real: Array) -> float:
    """KL(generated || real) of 256-bin histograms; 1e-8 keeps bins of the real histogram from being empty."""
    p = np.bincount(generated.ravel(), minlength=LEVELS) / generated.size
    q = np.bincount(real.ravel(), minlength=LEVELS) / real.size + EMPTY
    return _divergence(p, q / q.sum())


def kld_senm_official(generated: Array, real: Array) -> float:
    """The paper's KLD of one image. Independent draws of one noise law give about 0.0035 at 256x256, not 0."""
    generated, real = uint8(generated, real)
    return _level_divergence(png_grey(generated), png_grey(real))


def kld_senm_cvtcolor_gray(generated: Array, real: Array) -> float:
    """`kld_senm_official` with the rounded grey conversion; up to 30 % away from it on small images."""
    generated, real = uint8(generated, real)
    return _level_divergence(rounded_grey(generated), rounded_grey(real))


def kld_senm_rgb_nogray(generated: Array, real: Array) -> float:
    """`kld_senm_official` on the three colour channels pooled."""
    return _level_divergence(*uint8(generated, real))


def kld_senm_pooled(generated: ImageSet, real: ImageSet) -> float:
    """`kld_senm_official` with one histogram over all images instead of the mean over images."""
    pairs = [uint8(a, b) for a, b in zip(generated, real, strict=True)]
    pooled = [np.concatenate([png_grey(pair[side]).ravel() for pair in pairs]) for side in (0, 1)]
    return _level_divergence(*pooled)


def _residual_divergence(generated: Array, real: Array, clean: Array, *, edges: Array, added: int) -> float:
    """KL(real || generated) of residual histograms; with `added` = 0, bins empty in either are skipped."""
    counts = [np.histogram(noisy - clean, edges)[0] + added for noisy in (real, generated)]
    p, q = (count / count.sum() for count in counts)
    used = q > 0
    return _divergence(p[used], q[used])


def kld_noiseflow(generated: Array, real: Array, clean: Array) -> float:
    """64 bins on [-0.1, 0.1] and two open ones. Source: Noise Flow (Abdelhamed et al., 2019), its published code."""
    return _residual_divergence(*units(generated, real, clean), edges=NOISEFLOW_EDGES, added=0)


def kld_neca(generated: Array, real: Array, clean: Array) -> float:
    """`kld_noiseflow` of the generated image rounded to 8 bit. Source: NeCA (Fu et al., 2023), its published code."""
    return kld_noiseflow(quantise(generated), real, clean)


def kld_n2nf_raw(generated: Array, real: Array, clean: Array) -> float:
    """Bins of `kld_noiseflow`, each count plus one. Source: Noise2NoiseFlow (Maleky et al., 2022), its code."""
    return _residual_divergence(*units(generated, real, clean), edges=NOISEFLOW_EDGES, added=1)


def kld_srgb_flow(generated: Array, real: Array, clean: Array) -> float:
    """130 bins of 4 levels, each count plus one. Source: the sRGB noise flow (Kousha et al., 2022), its code."""
    levels = [image.astype(np.float64) for image in uint8(generated, real, clean)]
    return _residual_divergence(*levels, edges=SRGB_FLOW_EDGES, added=1)


def kld_noise_256(generated: Array, real: Array, clean: Array) -> float:
    """256 bins over [-1, 1], two grey levels wide; bins empty in either are skipped.

    Source: NAFlow (Kim et al., 2024) and GuidNoise, their published code.
    """
    return _residual_divergence(*units(generated, real, clean), edges=NAFLOW_EDGES, added=0)


def ks(generated: Array, real: Array, clean: Array) -> float:
    """Largest distance of the two cumulative distributions of residuals, in [0, 1]: the Kolmogorov-Smirnov statistic.

    Residuals are whole grey levels, so nothing is binned. Two draws of one law give about 0.002 at 256x256, not 0.
    """
    generated, real, clean = (image.astype(np.int64) for image in uint8(generated, real, clean))
    shifted = [(noisy - clean).ravel() + LEVELS - 1 for noisy in (generated, real)]
    counts = [np.bincount(levels, minlength=2 * LEVELS - 1) for levels in shifted]
    cumulative = [count.cumsum() / count.sum() for count in counts]
    return float(np.abs(cumulative[0] - cumulative[1]).max())


def local_variance(noisy: Array, clean: Array) -> Array:
    """7x7 weighted mean of the squared residual around each pixel, at least 1e-10; (H, W, 3), squared units."""
    from scipy.ndimage import correlate1d

    squared = (noisy - clean) ** 2
    for axis in (0, 1):
        squared = correlate1d(squared, AKLD_TAPS, axis=axis, mode="mirror")
    floored: Array = np.maximum(squared, AKLD_FLOOR)
    return floored


def akld(generated: Array, real: Array, clean: Array) -> float:
    """KL of local zero-mean Gaussians for one generated draw; the published number averages 50 draws.

    Source: DANet (Yue et al., 2020), its published code: variance ratios are clipped to [0.1, 10].
    """
    generated, real, clean = units(generated, real, clean)
    ratio = (local_variance(generated, clean) / local_variance(real, clean)).clip(*AKLD_RATIOS)
    return float(np.mean(ratio - 1 - np.log(ratio)) / 2)

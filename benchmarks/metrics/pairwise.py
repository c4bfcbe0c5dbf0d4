"""PSNR and SSIM of a restored image against its reference, in every convention that published numbers use.

All functions take (reference, restored) RGB images of one size. Those that say uint8 refuse floats; the others take
uint8 or floats on the scale [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.metrics.arrays import Array, luma, shave, uint8, units
from senm.support.errors import DataError

PEAK = 255.0
SIGMA = 1.5
WINDOW = 11
TRUNCATE = 3.5  # scipy's radius is int(TRUNCATE * SIGMA + 0.5) = 5: the 11 taps of the definition


def _psnr(reference: Array, restored: Array, *, peak: float) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal images."""
    error = float(np.mean((reference.astype(np.float64) - restored.astype(np.float64)) ** 2))
    return float(10 * np.log10(peak**2 / error)) if error else float("inf")


def psnr_rgb_uint8(reference: Array, restored: Array) -> float:
    """One error over height, width and RGB, peak 255 (KAIR, BasicSR, LUD-VAE, the SeNM-VAE code)."""
    return _psnr(*uint8(reference, restored), peak=PEAK)


def psnr_rgb_uint8_border4(reference: Array, restored: Array) -> float:
    """`psnr_rgb_uint8` without 4 pixels on each side (test scripts of DASR, FSSR and Real-SR)."""
    return _psnr(*shave(4, *uint8(reference, restored)), peak=PEAK)


def psnr_float_clamped(reference: Array, restored: Array) -> float:
    """Floats clamped to [0, 1], peak 1 (evaluation of Restormer, MPRNet, Uformer, MIRNet)."""
    reference, restored = units(reference, restored)
    return _psnr(reference, restored.clip(0, 1), peak=1.0)


def quantise(image: Array) -> Array:
    """Clamp to [0, 1], times 255, round half to even, uint8; a uint8 image is returned as it is."""
    if image.dtype == np.uint8:
        return image
    levels: Array = (image.astype(np.float32).clip(0, 1) * np.float32(255)).round().astype(np.uint8)
    return levels


def psnr_senm_quantise(reference: Array, restored: Array) -> float:
    """Quantised to 8 bit first, then `psnr_rgb_uint8` (the route of the SeNM-VAE code)."""
    return psnr_rgb_uint8(quantise(reference), quantise(restored))


def _switched_range(restored: Array) -> float:
    return 1.0 if restored.max() <= 1 else PEAK


def psnr_naf_as_shipped(reference: Array, restored: Array) -> float:
    """NAFNet's test as published: no clamp, and one value above 1 switches the peak to 255, about +48 dB."""
    reference, restored = units(reference, restored)
    return _psnr(reference, restored, peak=_switched_range(restored))


def psnr_y_rounded(reference: Array, restored: Array) -> float:
    """Luma rounded to 8 bit, peak 255 (KAIR)."""
    reference, restored = uint8(reference, restored)
    return _psnr(luma(reference).round(), luma(restored).round(), peak=PEAK)


def psnr_y_float(reference: Array, restored: Array) -> float:
    """Luma not rounded, peak 255 (BasicSR)."""
    reference, restored = uint8(reference, restored)
    return _psnr(luma(reference), luma(restored), peak=PEAK)


def psnr_y_float_border4(reference: Array, restored: Array) -> float:
    """`psnr_y_float` without 4 pixels on each side."""
    return psnr_y_float(*shave(4, *uint8(reference, restored)))


def _skimage_ssim(reference: Array, restored: Array, *, data_range: float, gaussian: bool) -> float:
    from skimage.metrics import structural_similarity

    window = WINDOW if gaussian else 7
    if min(reference.shape[:2]) < window:
        raise DataError(f"an image of shape {reference.shape}", f"at least {window} pixels a side for this SSIM")
    axis = -1 if reference.ndim == 3 else None
    if gaussian:
        value = structural_similarity(
            reference.astype(np.float64),
            restored.astype(np.float64),
            data_range=data_range,
            channel_axis=axis,
            gaussian_weights=True,
            sigma=SIGMA,
            use_sample_covariance=False,
        )
    else:
        value = structural_similarity(reference, restored, data_range=data_range, channel_axis=axis)
    return float(value)


def ssim_2d_valid_rgb(reference: Array, restored: Array) -> float:
    """Gaussian 11x11 of sigma 1.5, valid region, mean over channels, uint8 (KAIR, DPIR, BasicSR, LUD-VAE)."""
    return _skimage_ssim(*uint8(reference, restored), data_range=PEAK, gaussian=True)


def ssim_2d_valid_rgb_border4(reference: Array, restored: Array) -> float:
    """`ssim_2d_valid_rgb` without 4 pixels on each side."""
    return ssim_2d_valid_rgb(*shave(4, *uint8(reference, restored)))


def ssim_skimage_gaussian(reference: Array, restored: Array) -> float:
    """scikit-image with Gaussian weights and population covariance (DANet, SDAP): `ssim_2d_valid_rgb` again."""
    return ssim_2d_valid_rgb(reference, restored)


def ssim_skimage_default(reference: Array, restored: Array) -> float:
    """scikit-image's default: uniform 7x7, sample covariance, uint8 (AP-BSN, FSSR, DeFlow)."""
    return _skimage_ssim(*uint8(reference, restored), data_range=PEAK, gaussian=False)


def ssim_skimage_float_range1(reference: Array, restored: Array) -> float:
    """`ssim_skimage_default` on clamped floats with range 1."""
    reference, restored = units(reference, restored)
    return _skimage_ssim(reference, restored.clip(0, 1), data_range=1.0, gaussian=False)


def ssim_skimage_float_range2(reference: Array, restored: Array) -> float:
    """The same with range 2, what old scikit-image assumed of floats when data_range was left out."""
    reference, restored = units(reference, restored)
    return _skimage_ssim(reference, restored.clip(0, 1), data_range=2.0, gaussian=False)


def ssim_2d_valid_y_rounded(reference: Array, restored: Array) -> float:
    """Valid-region Gaussian SSIM of luma rounded to 8 bit."""
    reference, restored = uint8(reference, restored)
    return _skimage_ssim(luma(reference).round(), luma(restored).round(), data_range=PEAK, gaussian=True)


def ssim_2d_valid_y_float(reference: Array, restored: Array) -> float:
    """Valid-region Gaussian SSIM of luma not rounded."""
    reference, restored = uint8(reference, restored)
    return _skimage_ssim(luma(reference), luma(restored), data_range=PEAK, gaussian=True)


def ssim_2d_valid_y_float_border4(reference: Array, restored: Array) -> float:
    """`ssim_2d_valid_y_float` without 4 pixels on each side."""
    return ssim_2d_valid_y_float(*shave(4, *uint8(reference, restored)))


def _replicated_ssim(reference: Array, restored: Array, *, data_range: float) -> float:
    """Gaussian SSIM over every axis of the arrays, same size out, borders replicated."""
    from scipy.ndimage import gaussian_filter

    blur: Callable[[Array], Array] = lambda a: gaussian_filter(a, SIGMA, truncate=TRUNCATE, mode="nearest")  # noqa: E731
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    x, y = reference.astype(np.float64), restored.astype(np.float64)
    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    score = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return float(score.mean())


def ssim_2d_replicate_y_float(reference: Array, restored: Array) -> float:
    """Luma not rounded, borders replicated (NAFNet's Y option)."""
    reference, restored = uint8(reference, restored)
    return _replicated_ssim(luma(reference), luma(restored), data_range=PEAK)


def ssim_3d_uint8(reference: Array, restored: Array) -> float:
    """Gaussian over height, width and colour, uint8 (NAFNet; MATLAB's ssim on a colour image)."""
    return _replicated_ssim(*uint8(reference, restored), data_range=PEAK)


def ssim_3d_float_clamped(reference: Array, restored: Array) -> float:
    """`ssim_3d_uint8` on clamped floats with range 1 (Restormer, MPRNet, Uformer scripts)."""
    reference, restored = units(reference, restored)
    return _replicated_ssim(reference, restored.clip(0, 1), data_range=1.0)


def ssim_naf_as_shipped(reference: Array, restored: Array) -> float:
    """NAFNet's test as published: no clamp, and one value above 1 switches the range to 255."""
    reference, restored = units(reference, restored)
    return _replicated_ssim(reference, restored, data_range=_switched_range(restored))

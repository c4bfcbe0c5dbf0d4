"""The registry of metrics: every convention of PSNR, SSIM, LPIPS, KLD and Frechet distance under its own name.

Two numbers are comparable only if the name is the same. Nothing heavy is imported until a metric is called.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Literal

from benchmarks.metrics.weights import PUBLISHED, Unavailable
from senm.support.errors import DataError, unknown

__all__ = ["METRICS", "Metric", "Unavailable", "get"]

IMAGE_NDIM = 3
AKLD = "KL of locally estimated zero-mean Gaussians of residuals, {}"
AKLD_ONE = "akld[draws=1]"
ARGUMENTS = {
    "pairwise": ("reference", "restored"),
    "distribution": ("generated", "real", "clean"),
    "no-reference": ("restored",),
}
INSTALL = "pip install -e '.[no-reference]'"
DRAWS = re.compile(r"akld\[draws=([1-9]\d*)\]")


@dataclass(frozen=True)
class Metric:
    """One metric in one convention.

    Pairwise metrics are called as ``metric(reference, restored)``, distribution metrics as
    ``metric(generated=..., real=..., clean=...)``, no-reference metrics as ``metric(restored)``; an argument
    is one uint8 (H, W, 3) RGB image or a sequence of them, paired by index.

    Attributes:
        name: the key in `METRICS`.
        kind: what the arguments are, see above.
        better: the direction of improvement.
        digits: decimals worth printing.
        convention: what is computed, in one sentence.
        target: ``module:function`` inside this package.
        per_image: False where the number belongs to the whole set and no image has one of its own.
        uses_clean: whether the clean images enter.
        weights: published networks it needs.
        package: a package that it needs and that a plain installation leaves out.
        diagnostic: kept to recognise a mistaken convention in somebody's number; not for tables.
        exact: defined on restored images that were not rounded to 8 bit.
    """

    name: str
    kind: Literal["pairwise", "distribution", "no-reference"]
    better: Literal["lower", "higher"]
    digits: int
    convention: str
    target: str
    per_image: bool = True
    uses_clean: bool = False
    weights: tuple[str, ...] = ()
    package: str = ""
    diagnostic: bool = False
    exact: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> float:
        """The number for one pair of images, or for a set of them: the mean over images where `per_image`.

        Raises:
            DataError: nothing was measured, or the images do not pair up.
            Unavailable: the published weights it needs are not on this machine.
        """
        if self.per_image:
            values = self.values(*args, **kwargs)
            return sum(values) / len(values)
        inputs, options = self._inputs(*args, **kwargs)
        return float(self._function()(*inputs, **options))

    def values(self, *args: Any, **kwargs: Any) -> list[float]:
        """The number of each image, in order; an empty list for a metric that belongs to the whole set.

        Raises:
            DataError: nothing was measured, or the images do not pair up.
            Unavailable: the published weights it needs are not on this machine.
        """
        inputs, options = self._inputs(*args, **kwargs)
        if not self.per_image:
            return []
        function = self._function()
        return [float(function(*images, **options)) for images in zip(*inputs, strict=True)]

    def missing(self, folder: str | None = None) -> str:
        """What this machine lacks for the metric and how to get it, or an empty string. Reads no file's content."""
        absent = [PUBLISHED[name].lacking() for name in self.weights if PUBLISHED[name].where(folder) is None]
        if self.package and find_spec(self.package) is None:
            absent.append(Unavailable(f"{self.name} needs a package", self.package, INSTALL))
        return "; ".join(str(error) for error in absent)

    def _function(self) -> Callable[..., float]:
        module, _, function = self.target.partition(":")
        result: Callable[..., float] = getattr(importlib.import_module(f"{__name__}.{module}"), function)
        return result

    def _inputs(self, *args: Any, **kwargs: Any) -> tuple[list[Sequence[Any]], dict[str, Any]]:
        names = ARGUMENTS[self.kind]
        given = dict(zip(names, args, strict=False)) | kwargs
        options = {key: value for key, value in given.items() if key not in names}
        wanted = names if self.uses_clean else names[:2]
        absent = [name for name in wanted if given.get(name) is None]
        if absent:
            raise DataError(f"{self.name} was called without {' and '.join(absent)}", "images for " + ", ".join(wanted))
        inputs = [_many(given[name]) for name in wanted]
        sizes = {name: len(images) for name, images in zip(wanted, inputs, strict=True)}
        if len(set(sizes.values())) > 1:
            raise DataError(f"{self.name} got sets of different length {sizes}", "images paired by index")
        if not sizes[wanted[0]]:
            raise DataError(f"{self.name} got no images", "at least one image: an empty measurement is an error")
        return inputs, options


def _many(images: Any) -> Sequence[Any]:
    """A sequence of images from a sequence or from one image."""
    return [images] if getattr(images, "ndim", 0) == IMAGE_NDIM else images


def akld_of(draws: int) -> Metric:
    """The average KLD of DANet over so many generated draws of every image; published numbers have 50.

    One draw is a metric of two images like any other, the mean over draws belongs to a noise model: see `--draws`.
    """
    one = METRICS[AKLD_ONE]
    many = replace(one, name=f"akld[draws={draws}]", convention=AKLD.format(f"mean over {draws} generated draws"))
    return one if draws == 1 else many


def draws_of(name: str) -> int:
    """Over how many generated draws of an image a metric of this name averages; 0 for one that is no average KLD.

    >>> draws_of("akld[draws=50]"), draws_of("ks")
    (50, 0)
    """
    found = DRAWS.fullmatch(name)
    return int(found[1]) if found is not None else 0


def get(name: str) -> Metric:
    """The metric of this name; ``akld[draws=N]`` exists for every N from 1.

    Raises:
        UsageError: no metric has this name; the nearest one is suggested.
    """
    if draws := draws_of(name):
        return akld_of(draws)
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]


def _psnr(name: str, convention: str, **kwargs: Any) -> Metric:
    return Metric(name, "pairwise", "higher", 2, convention, f"pairwise:{name}", **kwargs)


def _ssim(name: str, convention: str, **kwargs: Any) -> Metric:
    return Metric(name, "pairwise", "higher", 4, convention, f"pairwise:{name}", **kwargs)


def _grey(name: str, convention: str, **kwargs: Any) -> Metric:
    return Metric(name, "distribution", "lower", 3, convention, f"distribution:{name}", **kwargs)


def _residual(name: str, module: str, convention: str, **kwargs: Any) -> Metric:
    return Metric(name, "distribution", "lower", 4, convention, f"{module}:{name}", uses_clean=True, **kwargs)


_GAUSS = "11x11 Gaussian of sigma 1.5"
_ALL: tuple[Metric, ...] = (
    _psnr("psnr_rgb_uint8", "one mean squared error over height, width and RGB of uint8 images, peak 255"),
    _psnr("psnr_rgb_uint8_border4", "psnr_rgb_uint8 after shaving 4 pixels on each side"),
    _psnr("psnr_float_clamped", "floats clamped to [0, 1] and not quantised, peak 1", exact=True),
    _psnr("psnr_senm_quantise", "floats clamped, times 255, rounded half to even to uint8, then psnr_rgb_uint8"),
    _psnr("psnr_y_rounded", "BT.601 studio-range Y rounded to 8 bit, peak 255"),
    _psnr("psnr_y_float", "BT.601 studio-range Y not rounded, peak 255"),
    _psnr("psnr_y_float_border4", "psnr_y_float after shaving 4 pixels on each side"),
    _psnr(
        "psnr_naf_as_shipped",
        "unclamped floats, peak 1 unless a restored value exceeds 1, then peak 255 (as in NAFNet's test)",
        diagnostic=True,
    ),
    _ssim("ssim_2d_valid_rgb", f"{_GAUSS}, valid region, mean over the three channels, uint8"),
    _ssim("ssim_2d_valid_rgb_border4", "ssim_2d_valid_rgb after shaving 4 pixels on each side"),
    _ssim("ssim_3d_uint8", "11x11x11 Gaussian of sigma 1.5 across height, width and colour, borders replicated, uint8"),
    _ssim("ssim_3d_float_clamped", "ssim_3d_uint8 on floats clamped to [0, 1], range 1", exact=True),
    _ssim("ssim_skimage_default", "uniform 7x7 window, sample covariance, mean over the channels, uint8"),
    _ssim("ssim_skimage_gaussian", "Gaussian weights of scikit-image, population covariance: equals ssim_2d_valid_rgb"),
    _ssim("ssim_skimage_float_range1", "ssim_skimage_default on floats clamped to [0, 1], range 1"),
    _ssim("ssim_2d_valid_y_rounded", f"{_GAUSS}, valid region, on Y rounded to 8 bit"),
    _ssim("ssim_2d_valid_y_float", f"{_GAUSS}, valid region, on Y not rounded"),
    _ssim("ssim_2d_valid_y_float_border4", "ssim_2d_valid_y_float after shaving 4 pixels on each side"),
    _ssim("ssim_2d_replicate_y_float", f"{_GAUSS}, borders replicated, on Y not rounded"),
    _ssim(
        "ssim_naf_as_shipped",
        "ssim_3d on unclamped floats, range 1 unless a restored value exceeds 1, then 255 (as in NAFNet's test)",
        diagnostic=True,
    ),
    _ssim(
        "ssim_skimage_float_range2",
        "ssim_skimage_float_range1 with a range of 2, the value when data_range is forgotten",
        diagnostic=True,
    ),
    Metric(
        "lpips_alex",
        "pairwise",
        "lower",
        3,
        "LPIPS v0.1, AlexNet, linear heads, RGB in [-1, 1], no border",
        "lpips:lpips_alex",
        weights=("alexnet",),
    ),
    Metric(
        "blur_effect_skimage",
        "no-reference",
        "lower",
        3,
        "scikit-image's blur_effect of one uint8 image, window 11, strongest direction, 0 sharp to 1 blurred",
        "no_reference:blur_effect_skimage",
    ),
    Metric(
        "piqe_pypiqe",
        "no-reference",
        "lower",
        1,
        "PIQE of one uint8 image by pypiqe, 0 excellent to 100 bad",
        "no_reference:piqe_pypiqe",
        package="pypiqe",
    ),
    _grey("kld_senm_official", "KL(generated || real) of 256-bin grey histograms, nats, mean over images"),
    _grey("kld_senm_pooled", "kld_senm_official with one histogram over all images", per_image=False, diagnostic=True),
    _grey("kld_senm_cvtcolor_gray", "kld_senm_official with the rounded grey conversion", diagnostic=True),
    _grey("kld_senm_rgb_nogray", "kld_senm_official over the pooled colour channels", diagnostic=True),
    _residual("kld_noiseflow", "distribution", "KL(real || generated) of residuals, 66 bins, empty ones skipped"),
    _residual("kld_neca", "distribution", "kld_noiseflow with the generated image clipped and rounded to 8 bit first"),
    _residual("kld_n2nf_raw", "distribution", "KL(real || generated) of residuals, 66 bins, one added to every bin"),
    _residual("kld_srgb_flow", "distribution", "KL(real || generated) of residuals, 130 bins of 4 levels, one added"),
    _residual(
        "kld_noise_256", "distribution", "KL(real || generated) of residuals, 256 bins over [-1, 1], empty ones skipped"
    ),
    _residual("ks", "distribution", "Kolmogorov-Smirnov statistic of residuals: largest distance of the distributions"),
    replace(_residual("akld", "distribution", AKLD.format("one generated draw")), name=AKLD_ONE),
    _residual(
        "noise_correlation_error",
        "residual",
        "mean absolute difference of the residuals' lag-1 and cross-channel correlations, pooled over images",
        per_image=False,
    ),
    _residual(
        "variance_curve_error",
        "residual",
        "mean |ln ratio| of the residuals' variances in 16 bins of clean intensity, a channel at a time",
        per_image=False,
    ),
    Metric(
        "fid",
        "distribution",
        "lower",
        2,
        "Frechet distance of torch-fidelity's InceptionV3 features (2048), covariance with n-1",
        "fid:fid",
        per_image=False,
        weights=("inception",),
    ),
    Metric(
        "fd_random",
        "distribution",
        "lower",
        3,
        "Frechet distance of fixed, seeded random convolution features of 32x32 windows; no FID, squared grey levels",
        "fid:fd_random",
        per_image=False,
    ),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}

"""Metrics against reference vectors made by the programs the numbers of the literature come from."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.metrics import METRICS, get
from benchmarks.metrics.distribution import png_grey
from senm.support.errors import DataError, UsageError
from tests import DATA

VECTORS = {v["id"]: v for v in json.loads((DATA / "metric_vectors.json").read_text())["vectors"]}
VECTORS["akld[draws=1]"] = VECTORS.pop("akld_one_draw")
FLOATS = {"psnr_float_clamped", "psnr_naf_as_shipped", "psnr_senm_quantise", "ssim_3d_float_clamped"}
FLOATS |= {"ssim_naf_as_shipped", "ssim_skimage_float_range1", "ssim_skimage_float_range2"}
PAIRWISE = [name for name, m in METRICS.items() if m.kind == "pairwise" and name in VECTORS]
DIVERGENCES = [name for name, m in METRICS.items() if m.kind == "distribution" and name in VECTORS]
SWAPPED = {"kld_senm_swapped": "kld_senm_official", "akld_swapped": "akld[draws=1]"}


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(DATA / "metric_vectors.npz") as data:
        return dict(data)


def test_registry_covers_the_vectors() -> None:
    others = {v for v in VECTORS if v.startswith(("frechet", "inception", "lpips", "bicubic", "sidd_csv"))}
    assert set(VECTORS) - others - set(METRICS) == {*SWAPPED, "kld_senm_identical"}
    assert {name for name, metric in METRICS.items() if metric.name != name} == set()


@pytest.mark.parametrize("name", PAIRWISE)
def test_pairwise_vectors(name: str, arrays: dict[str, np.ndarray]) -> None:
    restored = arrays["restored_float" if name in FLOATS else "real"]
    values = METRICS[name].values(arrays["clean"], restored)
    np.testing.assert_allclose(values, VECTORS[name]["values"], rtol=0, atol=_tolerance(name))
    assert METRICS[name](arrays["clean"], restored) == pytest.approx(VECTORS[name]["mean"], abs=_tolerance(name))


@pytest.mark.parametrize("name", DIVERGENCES)
def test_divergence_vectors(name: str, arrays: dict[str, np.ndarray]) -> None:
    metric, vector = METRICS[name], VECTORS[name]
    sets = {"generated": arrays["fake"], "real": arrays["real"], "clean": arrays["clean"]}
    if metric.per_image:
        np.testing.assert_allclose(metric.values(**sets), vector["values"], rtol=0, atol=_tolerance(name))
        assert metric(**sets) == pytest.approx(vector["mean"], abs=_tolerance(name))
    else:
        assert metric(**sets) == pytest.approx(vector["values"][0], abs=_tolerance(name))
        assert metric.values(**sets) == []


@pytest.mark.parametrize("name", SWAPPED)
def test_direction_of_divergences(name: str, arrays: dict[str, np.ndarray]) -> None:
    metric = METRICS[SWAPPED[name]]
    values = metric.values(generated=arrays["real"], real=arrays["fake"], clean=arrays["clean"])
    np.testing.assert_allclose(values, VECTORS[name]["values"], rtol=0, atol=_tolerance(name))


def test_official_kld_of_an_image_against_itself(arrays: dict[str, np.ndarray]) -> None:
    values = METRICS["kld_senm_official"].values(generated=arrays["real"], real=arrays["real"])
    np.testing.assert_allclose(values, VECTORS["kld_senm_identical"]["values"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["real", "fake"])
def test_grey_conversion_is_the_png_decoders(name: str, arrays: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(png_grey(arrays[name]), arrays[f"gray_{name}"])


def _tolerance(name: str) -> float:
    # the listed values carry 10 significant digits, which is coarser than the tolerance of the large ones
    vector = VECTORS[name]
    return max(vector["suggested_tolerance"], 5e-10 * max(abs(v) for v in vector["values"]))


def test_one_image_is_a_set_of_one(arrays: dict[str, np.ndarray]) -> None:
    clean, real = arrays["clean"][1], arrays["real"][1]
    assert METRICS["psnr_rgb_uint8"](clean, real) == METRICS["psnr_rgb_uint8"]([clean], [real])
    assert METRICS["psnr_rgb_uint8"](clean, clean) == float("inf")


def test_wrong_input_is_refused(arrays: dict[str, np.ndarray]) -> None:
    clean, floats = arrays["clean"], arrays["restored_float"]
    psnr, kld = METRICS["psnr_rgb_uint8"], METRICS["kld_noiseflow"]
    with pytest.raises(DataError, match="dtype float32"):
        psnr(clean, floats)
    with pytest.raises(DataError, match="different size"):
        psnr(clean[0], clean[0][:32])
    with pytest.raises(DataError, match="different length"):
        psnr(clean, clean[:2])
    with pytest.raises(DataError, match="no images"):
        psnr([], [])
    with pytest.raises(DataError, match="without clean"):
        kld(generated=clean, real=clean)
    with pytest.raises(DataError, match="RGB"):
        psnr(clean[0, :, :, 0], clean[0, :, :, 0])
    with pytest.raises(DataError, match="at least 11 pixels"):
        METRICS["ssim_2d_valid_rgb"](clean[0, :8, :8], clean[0, :8, :8])
    with pytest.raises(DataError, match="more than 8 pixels"):
        METRICS["psnr_rgb_uint8_border4"](clean[0, :8, :8], clean[0, :8, :8])


def test_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'ssim_3d_uint8'"):
        get("ssim_3d_uint")


def test_registry_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'skimage', 'scipy', 'lpips', 'torch_fidelity', 'numpy'}"
    code = f"import sys, benchmarks.metrics; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"

"""What surrounds the networks: training crops, metrics, FID statistics, and checkpoints to and from disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from benchmarks.metrics import METRICS
from benchmarks.metrics.fid import frechet, statistics
from benchmarks.profiling.arms import Case, make_network
from senm.checkpoint import load_state, save_state
from senm.data.domains import Domains, DomainSampler
from senm.data.pool import ArrayImages, Pairs, empty_images
from senm.model import SeNMVAE

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (16, 256, 256, 3), dtype=np.uint8)


def pool(name: str) -> ArrayImages:
    """Sixteen images of 256x256 pixels."""
    return ArrayImages(PIXELS, [f"{name}{i}" for i in range(len(PIXELS))])


def test_crops(measure: Callable[..., None]) -> None:
    domains = Domains(paired=Pairs(pool("a"), pool("a")), source=pool("b"), target=pool("c"))
    sampler = DomainSampler(domains, 64, 64, seed=0)
    measure(lambda: [sampler.batch(step) for step in range(4)])


def test_crops_of_pairs_only(measure: Callable[..., None]) -> None:
    domains = Domains(paired=Pairs(pool("a"), pool("a")), source=empty_images(), target=empty_images())
    sampler = DomainSampler(domains, 64, 64, seed=0)
    measure(lambda: [sampler.batch(step) for step in range(4)])


@pytest.mark.parametrize("name", ["psnr_rgb_uint8", "ssim_2d_valid_rgb", "ssim_skimage_gaussian"])
def test_pairwise_metric(name: str, measure: Callable[..., None]) -> None:
    metric = METRICS[name]
    measure(lambda: [metric(PIXELS[i], PIXELS[i + 1]) for i in range(4)])


@pytest.mark.parametrize("features", [64, 512])
def test_fid_statistics(features: int, measure: Callable[..., None]) -> None:
    matrix = RNG.normal(size=(2000, features))
    measure(lambda: statistics(matrix))


@pytest.mark.parametrize("features", [64, 512])
def test_frechet_distance(features: int, measure: Callable[..., None]) -> None:
    a, b = (statistics(RNG.normal(size=(2 * features, features))) for _ in range(2))
    measure(lambda: frechet(a, b))


def test_checkpoint_from_the_authors_layout(measure: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(make_network(Case("senm", "short")).to_authors(), path)
    measure(lambda: SeNMVAE.from_authors(path))


def test_training_state_to_disk_and_back(measure: Callable[..., None], tmp_path: Path) -> None:
    path, network = tmp_path / "state.pt", make_network(Case("senm", "short"))

    def work() -> object:
        save_state(path, {"model": network.state_dict(), "step": 1})
        return load_state(path)

    measure(work)

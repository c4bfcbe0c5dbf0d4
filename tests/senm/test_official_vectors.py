"""Both networks reproduce the authors' outputs, and every published layout loads and round-trips."""

import json
import zlib

import numpy as np
import pytest
import torch

from senm.level import LevelNet
from senm.model import SeNMVAE
from senm.paired import PairedVAE
from tests import DATA

LAYOUTS = json.loads((DATA / "official_layouts.json").read_text())
SEMI, FULL = "test semi_supervised nf=8 nls=[1,2] zn_dim=4", "test fully_paired nf=8 nls=[1,1]"
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def vectors() -> dict[str, torch.Tensor]:
    with np.load(DATA / "official_vectors.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def weight(name: str, shape: list[int]) -> torch.Tensor:
    """The weights that anyone can rebuild: a stream seeded by the parameter's name."""
    draw = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    scale = 0.5 / np.sqrt(np.prod(shape[1:])) if len(shape) >= 2 else 0.01
    return torch.from_numpy(np.asarray(draw * scale, dtype=np.float32).astype(np.float64))


def state(layout: str) -> dict[str, torch.Tensor]:
    return {name: weight(name, shape) for name, shape in LAYOUTS[layout].items()}


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    expected = expected.reshape(actual.shape)
    assert float((actual - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())


def draws(vectors: dict[str, torch.Tensor], network: str, zero: bool = False) -> dict[str, list[torch.Tensor]]:
    found: dict[str, list[torch.Tensor]] = {}
    for latent in ("z", "zn"):
        layers = [v for k, v in sorted(vectors.items()) if k.startswith(f"{network}.eps.{latent}.")]
        if layers:
            found[latent] = [torch.zeros_like(layer) if zero else layer for layer in layers]
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_published_layout_loads_and_round_trips(layout: str) -> None:
    published = {name: torch.full(shape, 0.5) for name, shape in LAYOUTS[layout].items()}
    if "semi" in layout:
        again = SeNMVAE.from_authors(published).to_authors()
    elif "fully" in layout:
        again = PairedVAE.from_authors(published).to_authors()
    else:
        again = LevelNet.from_authors(published).to_authors()
    assert again.keys() == published.keys()
    assert all(torch.equal(again[name], published[name]) for name in published)


@pytest.mark.parametrize(("name", "zero", "temperature"), [
    ("semi.translate", False, 1.0), ("semi.translate.mean", True, 1.0), ("semi.translate.temperature0.5", False, 0.5),
])
@torch.no_grad()
def test_translate(vectors: dict[str, torch.Tensor], name: str, zero: bool, temperature: float) -> None:
    model = SeNMVAE.from_authors(state(SEMI))
    close(model.translate(vectors["x"], vectors["level"], temperature, draws(vectors, "semi", zero)), vectors[name])


@pytest.mark.parametrize(("name", "zero"), [("semi.denoise", False), ("semi.denoise.mean", True)])
@torch.no_grad()
def test_denoise(vectors: dict[str, torch.Tensor], name: str, zero: bool) -> None:
    close(SeNMVAE.from_authors(state(SEMI)).denoise(vectors["y"], draws(vectors, "semi", zero)), vectors[name])


@pytest.mark.parametrize(("domain", "paired", "coin"), [
    ("paired_from_x", 4, True), ("paired_from_y", 4, False), ("source", 0, True), ("target", 0, True),
])
@torch.no_grad()
def test_training_pass(vectors: dict[str, torch.Tensor], domain: str, paired: int, coin: bool) -> None:
    model = SeNMVAE.from_authors(state(SEMI))
    x, y, level = vectors["x"], vectors["y"], vectors["level"].flatten()
    if domain == "source":
        y, level = y[:0], level[:0]
    if domain == "target":
        x = x[:0]
    coins = (torch.full((paired,), coin), torch.full((paired,), coin))
    zero = draws(vectors, "semi", zero=True)
    clean, noisy = model(x, y, level, paired, coins, zero, zero)
    pixels = torch.tensor([h * w for h, w in model.latent_shapes(16, 16)], dtype=torch.float64).unsqueeze(1)
    if clean is not None:
        close(clean.image, vectors[f"semi.{domain}.rec_x"])
    if noisy is not None:
        close(noisy.image, vectors[f"semi.{domain}.rec_y"])
        close((noisy.kl_zn / (4 * pixels)).sum(0), vectors[f"semi.{domain}.kl_zn"])
    if paired:
        assert clean is not None and noisy is not None
        close((clean.kl_z / (8 * pixels)).sum(0), vectors[f"semi.{domain}.kl_z_along_x_decode"])
        close((noisy.kl_z / (8 * pixels)).sum(0), vectors[f"semi.{domain}.kl_z_along_y_decode"])


@torch.no_grad()
def test_level_network(vectors: dict[str, torch.Tensor]) -> None:
    close(LevelNet.from_authors(state("noise_level_net"))(vectors["y"]), vectors["level_net"])


@pytest.mark.parametrize(("name", "zero"), [("full.generate", False), ("full.generate.mean", True)])
@torch.no_grad()
def test_fully_paired_generation(vectors: dict[str, torch.Tensor], name: str, zero: bool) -> None:
    model = PairedVAE.from_authors(state(FULL))
    close(model.generate(vectors["x"], vectors["level"], draws(vectors, "full", zero)), vectors[name])


@torch.no_grad()
def test_fully_paired_training_pass(vectors: dict[str, torch.Tensor]) -> None:
    model = PairedVAE.from_authors(state(FULL))
    descent = model(vectors["x"], vectors["y"], draws(vectors, "full", zero=True))
    close(descent.image, vectors["full.forward.rec_y"])
    close(descent.kl_zn.sum() / vectors["x"].numel(), vectors["full.forward.kl"])

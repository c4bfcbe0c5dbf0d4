"""What the tests of every trained restorer ask of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.fitting.restorer import NetworkRestorer
from senm.data.pool import ArrayImages
from tests.baselines.tiny import QUIET, fitting, pairs, pool, with_noise


def fit(system: type[NetworkRestorer], settings: Any, folder: Path) -> NetworkRestorer:
    """A training on four tiny pairs."""
    return system.fit([pairs()], settings, **fitting(folder))


def state(restorer: NetworkRestorer) -> list[Tensor]:
    """Every tensor of a restorer's network."""
    return list(restorer.network.state_dict().values())


def restored(restorer: NetworkRestorer, images: ArrayImages) -> dict[str, np.ndarray]:
    """Restored images by name."""
    found = list(restorer.restore(images, device="cpu", progress=QUIET))
    return dict(zip(images.names, found, strict=True))


def check_restorer(system: type[NetworkRestorer], settings: Any, folder: Path, side: int) -> None:
    """Fit, restore, save and load; the same seed gives the same; order changes nothing; odd sides are kept."""
    first, again = fit(system, settings, folder / "a"), fit(system, settings, folder / "b")
    noisy = with_noise(pool(3, side))
    before = restored(first, noisy)
    assert all(image.shape == (side, side, 3) and image.dtype == np.uint8 for image in before.values())
    first.save(folder / "saved")
    turned = ArrayImages(noisy.array[::-1].copy(), noisy.names[::-1])
    for other in (again, system.load(folder / "saved", "cpu")):
        after = restored(other, turned)
        assert all(np.array_equal(before[name], after[name]) for name in before)


def published(system: Any, network: nn.Module, file: Path, wrap: bool) -> None:
    """A file in the published form is read by `from_published`, by `initialised`, and gives this network's output."""
    tensors = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"epoch": 1, "state_dict": tensors} if wrap else tensors, file)
    read = system.from_published(file)
    for name, value in network.state_dict().items():
        assert torch.equal(read.network.state_dict()[name], value)

"""What Noise2Void and Noise2Self share beside the training on noisy images: streams of crops, and the best weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from baselines.fitting.noisy_only import NoisySampler
from senm.config import Settings
from senm.support.errors import DataError
from senm.support.seeding import rng


class LoopSettings(Settings):
    """What every training here has: its length, its crops, and how often it writes."""

    steps: int = Field(40_000, ge=1)
    batch: int = Field(16, ge=1)
    crop: int = Field(64, ge=8, description="side of a crop in pixels")
    augment: bool = Field(True, description="flips and rotations, 8 ways")
    skip_limit: int = Field(10, ge=0, description="consecutive non-finite steps that are skipped before stopping")
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(2_000, ge=1)


class StreamSampler(NoisySampler):
    """`NoisySampler` with streams by name, so that validation crops are others than training crops."""

    def named(self, step: int, stream: str = "train", size: int | None = None) -> Tensor:
        """The crops of this step of a stream: float32 (batch, 3, crop, crop) in [0, 1]."""
        return self.crops(rng("noisy", stream, self.seed, step), size or self.size)[0]

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel over all pixels, float32 (3,) each, for values in [0, 1]."""
        count, total, squares = 0, [0, 0, 0], [0, 0, 0]
        for source in self.sources:
            for image in source:
                pixels = image.reshape(-1, 3).astype(np.int64)
                count += len(pixels)
                total = [a + int(b) for a, b in zip(total, pixels.sum(0), strict=True)]
                squares = [a + int(b) for a, b in zip(squares, (pixels**2).sum(0), strict=True)]
        mean = np.array([part / count / 255 for part in total])
        spread = [count * second - first**2 for first, second in zip(total, squares, strict=True)]
        if not min(spread):
            raise DataError("a colour of the noisy images has the same value everywhere", "photographs with noise")
        deviation = np.array([math.sqrt(part) / count / 255 for part in spread])
        return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()


class Best:
    """Keeps the weights of a network that had the lowest validation loss so far."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.lowest = network, math.inf
        self.kept: dict[str, Tensor] = copy.deepcopy(network.state_dict())

    def saw(self, loss: float) -> bool:
        """A new validation loss; True where it is the lowest."""
        if not loss < self.lowest:
            return False
        self.lowest, self.kept = loss, copy.deepcopy(self.network.state_dict())
        return True

    def take(self) -> nn.Module:
        """The network with the kept weights."""
        self.network.load_state_dict(self.kept)
        return self.network

    def state_dict(self) -> dict[str, Any]:
        return {"lowest": self.lowest, "kept": self.kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.lowest, self.kept = float(state["lowest"]), dict(state["kept"])

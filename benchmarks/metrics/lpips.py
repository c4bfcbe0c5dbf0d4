"""LPIPS v0.1 with AlexNet: the published linear heads over the published trunk, both checked by hash."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.metrics.arrays import Array, uint8
from benchmarks.metrics.weights import LPIPS_HEADS_SHA256, PUBLISHED, check

if TYPE_CHECKING:
    import torch


def untrained_trunk() -> Any:
    """`lpips.LPIPS` in version 0.1 with its published heads and a random AlexNet; never touches the network.

    Raises:
        CheckpointError: the heads in the lpips package are not the published ones.
    """
    import lpips

    check(Path(lpips.__file__).parent / "weights" / "v0.1" / "alex.pth", LPIPS_HEADS_SHA256)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lpips 0.1.4 still calls torchvision by its old keyword
        return lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)


def load_trunk(network: Any, state: dict[str, torch.Tensor]) -> None:
    """Copy the convolutions of torchvision's AlexNet (keys ``features.N.weight``) into the slices of LPIPS."""
    for layers in network.net.children():
        for index, layer in layers.named_children():
            own = layer.state_dict()
            if own:
                layer.load_state_dict({key: state[f"features.{index}.{key}"] for key in own})


@functools.lru_cache(maxsize=1)
def _network(path: Path, device: str) -> Any:
    import torch

    network = untrained_trunk()
    load_trunk(network, torch.load(path, map_location="cpu", weights_only=True))
    return network.to(device)


def to_input(image: Array, device: str) -> torch.Tensor:
    """uint8 (H, W, 3) to float32 (1, 3, H, W) in [-1, 1]."""
    import torch

    return torch.from_numpy(np.array(image)).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1


def lpips_alex(reference: Array, restored: Array, *, weights: str | None = None, device: str = "cpu") -> float:
    """Perceptual distance of two uint8 RGB images, mean over pixels, 0 for equal images.

    Args:
        reference: the ground truth.
        restored: the image to judge.
        weights: a folder to look in for AlexNet first.
        device: where the network runs.

    Raises:
        Unavailable: AlexNet is not on this machine; the message names the command that gets it.
        CheckpointError: a file of that name has other bytes than published.
    """
    import torch

    reference, restored = uint8(reference, restored)
    network = _network(PUBLISHED["alexnet"].find(weights), device)
    with torch.no_grad():
        return float(network(to_input(reference, device), to_input(restored, device)))

"""LPIPS (AlexNet, v0.1) as a training term, from local weights only; nothing is downloaded.

Source: R. Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, CVPR 2018.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from senm.checkpoint import read_state_dict
from senm.support.errors import CheckpointError, MachineError

ALEXNET = "alexnet-owt-7be5be79.pth"
ALEXNET_URL = "download.pytorch.org/models/alexnet-owt-7be5be79.pth"
ALEXNET_SHA256 = "7be5be79"
"""How the published file's hash begins: all of it that is published, in the file's name."""


def find_weights(name: str) -> Path | None:
    """A weight file by name: in the folder of SENM_WEIGHTS, else in torch's cache of downloads."""
    folders = [os.environ.get("SENM_WEIGHTS", ""), str(Path(torch.hub.get_dir()) / "checkpoints")]
    return next((Path(f) / name for f in folders if f and (Path(f) / name).is_file()), None)


def published_trunk() -> dict[str, Tensor]:
    """The published AlexNet weights.

    Raises:
        MachineError: they are not on this machine.
        CheckpointError: the file of that name is another one.
    """
    path = find_weights(ALEXNET)
    if path is None:
        raise MachineError(
            f"the LPIPS term needs {ALEXNET}, which is not here", "the file in SENM_WEIGHTS or torch's cache",
            f"get {ALEXNET_URL}, or set loss.lpips_weight to 0",
        )
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not digest.startswith(ALEXNET_SHA256):
        raise CheckpointError(f"{path} has sha256 {digest[:8]}...", f"{ALEXNET_SHA256}...",
                              f"get {ALEXNET_URL} again, or set loss.lpips_weight to 0")
    return read_state_dict(path)


class Perceptual(nn.Module):
    """LPIPS distance of two image batches in [0, 1], (B, 3, H, W) each -> (B,).

    Args:
        minus_one_one: rescale to [-1, 1] first, as the lpips package expects; the authors' training code does not.
        trunk: AlexNet weights; None reads the published file.

    Raises:
        MachineError: the published AlexNet weights are not on this machine.
        CheckpointError: the file of that name is another one.
    """

    def __init__(self, minus_one_one: bool, trunk: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        import lpips

        if trunk is None:
            trunk = published_trunk()
        self.distance = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
        slices = self.distance.net
        with torch.no_grad():
            for part in (slices.slice1, slices.slice2, slices.slice3, slices.slice4, slices.slice5):
                for name, layer in part.named_children():
                    if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                        layer.weight.copy_(trunk[f"features.{name}.weight"])
                        layer.bias.copy_(trunk[f"features.{name}.bias"])
        self.minus_one_one = minus_one_one
        self.eval().requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.distance(a, b, normalize=self.minus_one_one).flatten()

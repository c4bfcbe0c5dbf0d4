"""What ESRGAN training needs beside its generator: the VGG-style discriminator, feature terms, the relativistic GAN."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senm.support import seeding
from senm.support.errors import CheckpointError, MachineError, SettingsError
from senm.training.perceptual import find_weights

VGG19 = "vgg19-dcbb9e9d.pth"
VGG19_URL = "download.pytorch.org/models/vgg19-dcbb9e9d.pth"
CONV5_4 = 34


class Discriminator(nn.Module):
    """Image (B, 3, side, side) -> logit (B, 1): five pairs of a 3x3 and a stride-2 4x4 convolution, two linear layers.

    14,499,401 parameters at width 64 and side 128. Source: Wang et al., ESRGAN, ECCVW 2018.

    Raises:
        SettingsError: the side is not a multiple of 32.
    """

    def __init__(self, width: int = 64, side: int = 128) -> None:
        super().__init__()
        if side % 32:
            raise SettingsError(f"an enlarged crop of {side} pixels", "a multiple of 32 (crop a multiple of 8)")
        layers: list[nn.Module] = []
        inputs = 3
        for level in range(5):
            outputs = width * min(2**level, 8)
            for kernel in (3, 4):
                first = not layers
                stride = kernel - 2
                layers.append(nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=first))
                if not first:
                    layers.append(nn.BatchNorm2d(outputs))
                layers.append(nn.LeakyReLU(0.2))
                inputs = outputs
        self.features = nn.Sequential(*layers)
        self.dense = nn.Sequential(nn.Linear(inputs * (side // 32) ** 2, 100), nn.LeakyReLU(0.2), nn.Linear(100, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.features(x).flatten(1))


class VGGFeatures(nn.Module):
    """VGG19 conv5_4 before its activation, on ImageNet-normalised images in [0, 1]; sides of at least 16.

    Args:
        path: the torchvision file; None looks for it in SENM_WEIGHTS and in torch's cache. Nothing is downloaded.

    Raises:
        MachineError: the file is not on this machine.
        CheckpointError: the file is not the published one.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
        from torchvision.models.vgg import cfgs, make_layers

        path = path or find_weights(VGG19)
        if path is None:
            raise MachineError(
                f"the feature term needs {VGG19}, which is not here", "the file in SENM_WEIGHTS or torch's cache",
                f"get {VGG19_URL}, or set training.features to random-features",
            )
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if not digest.startswith("dcbb9e9d"):
            raise CheckpointError(f"{path} has sha256 {digest[:8]}...", "dcbb9e9d...", "download it again")
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.layers = make_layers(cfgs["E"], batch_norm=False)[: CONV5_4 + 1]
        kept = {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}
        self.layers.load_state_dict({k: v for k, v in kept.items() if int(k.split(".")[0]) <= CONV5_4})
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None])
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers((x - self.mean) / self.std)


class RandomFeatures(nn.Module):
    """A declared substitute where VGG19 is absent: three fixed random convolutions, the same on every machine."""

    def __init__(self) -> None:
        super().__init__()
        shapes = [(3, 32, 1), (32, 64, 2), (64, 64, 2)]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, s, 1) for i, o, s in shapes)
        draw = seeding.generator("random-features", 1)
        with torch.no_grad():
            for conv in self.convs:
                assert isinstance(conv, nn.Conv2d) and conv.bias is not None
                fan_in = conv.weight[0].numel()
                conv.weight.copy_(torch.randn(conv.weight.shape, generator=draw) * (2 / fan_in) ** 0.5)
                conv.bias.zero_()
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        for number, conv in enumerate(self.convs):
            x = conv(F.leaky_relu(x, 0.2) if number else x)
        return x


def features(name: str) -> nn.Module:
    """The feature network of a settings value."""
    return VGGFeatures() if name == "vgg19" else RandomFeatures()


def relativistic(first: Tensor, second: Tensor) -> Tensor:
    """Relativistic average loss that calls `first` real and `second` fake, halved; logits (B, 1) each -> scalar."""
    real, fake = first - second.mean(), second - first.mean()
    return (
        F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
        + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    ) / 2

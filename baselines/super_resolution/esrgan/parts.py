"""What ESRGAN training needs beside its generator: discriminators, feature distances, the relativistic GAN."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senm.support import seeding
from senm.support.errors import CheckpointError, MachineError, SettingsError
from senm.training.perceptual import ALEXNET_URL, Perceptual, find_weights

VGG19 = "vgg19-dcbb9e9d.pth"
VGG19_URL = "download.pytorch.org/models/vgg19-dcbb9e9d.pth"
CONV5_4 = 34


class Discriminator(nn.Module):
    """Image (B, inputs, side, side) -> logit (B, 1): five pairs of a 3x3 and a stride-2 4x4 convolution, two layers.

    14,499,401 parameters at width 64 and side 128. Source: Wang et al., ESRGAN, ECCVW 2018.

    Raises:
        SettingsError: the side is not a multiple of 32.
    """

    def __init__(self, width: int = 64, side: int = 128, inputs: int = 3) -> None:
        super().__init__()
        if side % 32:
            raise SettingsError(f"an enlarged crop of {side} pixels", "a multiple of 32 (crop a multiple of 8)")
        self.levels = 5
        for level in range(self.levels):
            outputs = width * min(2**level, 8)
            for half, kernel in enumerate((3, 4)):
                first = not level and not half
                self.add_module(f"conv{level}_{half}", nn.Conv2d(inputs, outputs, kernel, kernel - 2, 1, bias=first))
                if not first:
                    self.add_module(f"bn{level}_{half}", nn.BatchNorm2d(outputs))
                inputs = outputs
        self.linear1, self.linear2 = nn.Linear(inputs * (side // 32) ** 2, 100), nn.Linear(100, 1)

    def forward(self, x: Tensor) -> Tensor:
        for level in range(self.levels):
            for half in range(2):
                x = self.get_submodule(f"conv{level}_{half}")(x)
                if level or half:
                    x = self.get_submodule(f"bn{level}_{half}")(x)
                x = F.leaky_relu(x, 0.2)
        logits: Tensor = self.linear2(F.leaky_relu(self.linear1(x.flatten(1)), 0.2))
        return logits


class PatchDiscriminator(nn.Module):
    """Image (B, inputs, H, W) -> map of logits: `strided` 4x4 convolutions of stride 2, then two of stride 1.

    3 strided layers with batch norm are Impressionism's on smartphone images (2,765,633 parameters); 2 with instance
    norm are DASR's (662,593; 668,737 on 9 channels).
    """

    def __init__(self, inputs: int = 3, strided: int = 3, norm: Literal["batch", "instance"] = "batch",
                 width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        before = width
        for level in range(1, strided + 1):
            after = width * min(2**level, 8)
            layers += [
                nn.Conv2d(before, after, 4, 2 if level < strided else 1, 1, bias=False),
                nn.BatchNorm2d(after) if norm == "batch" else nn.InstanceNorm2d(after), nn.LeakyReLU(0.2),
            ]
            before = after
        self.model = nn.Sequential(*layers, nn.Conv2d(before, 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x)
        return logits


class VGGFeatures(nn.Module):
    """VGG19 conv5_4 before its activation, on ImageNet-normalised images in [0, 1]; sides of at least 16.

    Args:
        path: the torchvision file; None looks for it in SENM_WEIGHTS and in torch's cache. Nothing is downloaded.
        trunk: weights under torchvision's names instead of a file.

    Raises:
        MachineError: the file is not on this machine.
        CheckpointError: the file is not the published one.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, path: Path | None = None, trunk: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        from torchvision.models.vgg import cfgs, make_layers

        state = published_vgg(path) if trunk is None else trunk
        self.layers = make_layers(cfgs["E"], batch_norm=False)[: CONV5_4 + 1]
        kept = {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}
        kept = {name: value for name, value in kept.items() if int(name.split(".")[0]) <= CONV5_4}
        self.layers.to(kept["0.weight"].dtype).load_state_dict(kept)
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


def published_vgg(path: Path | None = None) -> dict[str, Tensor]:
    """The torchvision weights of VGG19 from this file, or from where `VGGFeatures` looks."""
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
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


class FeatureDistance(nn.Module):
    """L1 of the features of two batches in [0, 1]: a scalar."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return F.l1_loss(single(self.network(a)), single(self.network(b)))


def distance(name: str) -> nn.Module:
    """The distance of a settings value, on (B, 3, H, W) in [0, 1]: vgg19, lpips (one value an image), random-features.

    Raises:
        MachineError: the weights that it needs are not on this machine.
        CheckpointError: the file of their name is another one.
    """
    if name == "lpips":
        try:
            return Perceptual(minus_one_one=True)
        except MachineError as error:
            raise MachineError(error.found, error.expected, f"get {ALEXNET_URL}, or choose random-features") from None
    return FeatureDistance(VGGFeatures() if name == "vgg19" else RandomFeatures())


def single(x: Tensor) -> Tensor:
    """Half precision, as autocast leaves it, as float32; wider numbers as they are."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def relativistic_terms(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Relativistic average cross entropies that call `first` real and `second` fake; logits -> two scalars."""
    return cross_entropies(first - second.mean(), second - first.mean())


def cross_entropies(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy of `real` against 1 and of `fake` against 0; logits -> two scalars."""
    return (
        F.binary_cross_entropy_with_logits(real, torch.ones_like(real)),
        F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)),
    )


def relativistic(first: Tensor, second: Tensor) -> Tensor:
    """Relativistic average loss that calls `first` real and `second` fake, halved; logits (B, 1) each -> scalar."""
    real, fake = relativistic_terms(first, second)
    return (real + fake) / 2

"""ESRGAN's networks and one step of its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.super_resolution.esrgan.crops import Crops
from baselines.super_resolution.esrgan.model import ESRGAN
from baselines.super_resolution.esrgan.parts import Discriminator, FeatureDistance, PatchDiscriminator, VGGFeatures
from baselines.super_resolution.esrgan.step import GANTraining, Step
from tests.baselines.systems.vectors import Case, base, fill, layouts, weight

GAIN, TRUNK_GAIN, VEC = 0.5, 2**0.5, 0.01


def named(network: nn.Module, prefix: str) -> nn.Module:
    """The network with the weights of the rule for super-resolution systems."""
    kinds = dict(network.named_modules())

    def rule(name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        stem, _, entry = name.rpartition(".")
        key, layer = prefix + name, kinds[stem]
        if entry == "num_batches_tracked":
            return None
        if entry == "running_var":
            return 1 + 0.1 * np.abs(base(key, shape))
        if isinstance(layer, nn.PReLU):
            return 0.25 + 0.01 * base(key, shape)
        if isinstance(layer, nn.BatchNorm2d) and entry == "weight":
            return 1 + 0.1 * base(key, shape)
        return weight(key, shape, GAIN, VEC)

    return fill(network, rule)


def trunk(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    """Convolutions of a torchvision network by the rule, under their own names."""
    return {name: torch.from_numpy(weight(prefix + name, value.shape, TRUNK_GAIN, VEC))
            for name, value in network.state_dict().items() if name.startswith("features.")}


def vgg() -> FeatureDistance:
    """The feature term on rebuilt weights."""
    from torchvision.models import vgg19

    with torch.device("meta"):
        plain = vgg19()
    return FeatureDistance(VGGFeatures(trunk=trunk("vgg19.", plain)).double())


def generator(system: str, layout: str, prefix: str, **size: int) -> nn.Module:
    """An RRDBNet whose weights are named by the published layout."""
    state = {name: torch.from_numpy(weight(prefix + name, shape, GAIN, VEC))
             for name, shape in layouts(system)[layout].items()}
    network = ESRGAN.build(ESRGAN.default_settings("paper").but(network=size)).double()
    network.load_state_dict(ESRGAN.translate(state))
    return network


def image(case: Case, name: str) -> Tensor:
    """uint8 / 255 in double."""
    return case.tensor(name).double() / 255


def norm(gradients: Mapping[str, Tensor]) -> Tensor:
    """Norm over all parameters of a network."""
    return torch.stack([g.norm() for g in gradients.values()]).norm()


def gradients(network: nn.Module) -> dict[str, Tensor]:
    """What a step left, by name."""
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


def compute(case: Case) -> dict[str, Any]:
    """All arrays of a case."""
    kinds: dict[str, Callable[[Case], dict[str, Any]]] = {"full": full, "disc": discriminators, "step": one_step}
    return kinds[case.about["kind"]](case)


def full(case: Case) -> dict[str, Any]:
    """The generator at full size."""
    return {"rrdb": generator(case.system, case.about["layout"], case.about["generator"])(image(case, "x_u8"))}


def discriminators(case: Case) -> dict[str, Any]:
    """Both discriminators in both modes."""
    x, (height, width) = image(case, "x_u8"), case.about["patch3_crop"]
    found: dict[str, Any] = {}
    inputs = {"vgg128": (Discriminator(), "disc.", x), "patch3": (PatchDiscriminator(), "patch.",
                                                                 x[..., :height, :width])}
    for name, (network, prefix, seen) in inputs.items():
        named(network, prefix)
        found[f"{name}.eval"] = network.eval()(seen)
        found[f"{name}.train"] = network.train()(seen)
    return found


def one_step(case: Case) -> dict[str, Any]:
    """One full step; FSSR's with its filters too."""
    about = case.about
    network = generator(case.system, about["layout"], "rrdb.", width=about["width"], blocks=about["blocks"])
    critic = named(PatchDiscriminator() if about["critic"] == "patch" else Discriminator(), about["critic_prefix"])
    settings, distance = GANTraining(**about["training"]), vgg()
    low, high = image(case, "lr_u8"), image(case, "hr_u8")
    with torch.no_grad():
        fake, features = network(low), distance.network(high)
    step = Step(network, critic, distance, settings, torch.device("cpu"))
    log = step.learn(0, Crops(low, high))
    g, d = gradients(network), gradients(critic)
    after = dict(network.named_parameters())
    found: dict[str, Any] = {
        "fake.corner": fake[..., :48, :48],
        "log.l_g_fea": settings.feature_weight * log["features"], "log.l_g_gan": settings.gan_weight * log["gan"],
        "log.l_d_real": log["real"], "log.l_d_fake": log["fake"], "log.D_real": log["real logit"],
        "log.D_fake": log["fake logit"], "grad.G.conv_last.weight": g["model.10.weight"],
        "grad.G.conv_first.bias": g["model.0.bias"], "grad.G.norm": norm(g), "grad.D.norm": norm(d),
        "grad.D.first_bias": next(value for name, value in d.items() if name.endswith("bias")),
        "after.G.conv_last.bias": after["model.10.bias"],
        "vgg.mean_abs": features.abs().mean(dim=(1, 2, 3)), "vgg.corner": features[:, :8],
    }
    if settings.split == "none":
        return {**found, "log.l_g_pix": settings.pixel_weight * log["pixel"]}
    return {**found, "log.l_g_pix_f": settings.low_weight * log["low"],
            "log.l_g_pix_nf": settings.low_weight * log["pixel"]}

"""DeFlow: features, latents, likelihood, decoding, translation both ways, sampling, gradients, first batch."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.noise.deflow.encoder import Encoder
from baselines.noise.deflow.flow import ActNorm
from baselines.noise.deflow.networks import DeFlowNetwork, Latents
from senm.data.formats.bicubic import reduce
from tests.baselines.systems.vectors import Case, base, fill, synth, weight

TOLERANCES = {"inverse.max_error_to_dequantised": 1e-6}  # itself a rounding error
WIDTH, GROWTH = 64, 32


class Numbers:
    """The random numbers of one stored run, in the order in which they are asked for."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.from_numpy(self.rng.standard_normal(shape))

    def uniform(self, *shape: int) -> Tensor:
        return torch.from_numpy(self.rng.random(shape))


class Nothing:
    """Draws that are all 0."""

    def normal(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float64)

    uniform = normal


def rule(suffix: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The stored runs' weight of a name."""
    key, last = name + suffix, name.rsplit(".", 1)[-1]
    if last == "I":
        return np.eye(shape[0])
    if last == "p":
        return np.eye(shape[0])[np.random.default_rng(zlib.crc32(key.encode())).permutation(shape[0])]
    if last == "sign_s":
        return np.where(base(key, shape) < 0, -1.0, 1.0)
    if last == "logs":
        return base(key, shape) * 0.05
    if last == "log_s" or name.endswith("actnorm.bias"):
        return base(key, shape) * 0.1
    if last == "mean_shift":
        return base(key, shape) * 0.3
    if last in ("l", "u", "cov_shift"):
        return weight(key, shape, 0.5)
    quiet = ("fAffine.4.weight", "fFeatures.4.weight", ".conv.weight")
    return weight(key, shape, 0.2 if name.endswith(quiet) else 1.0)


def network(about: Any) -> DeFlowNetwork:
    """The network of a case, filled."""
    encoder = Encoder(about["scale"], WIDTH, GROWTH, about["blocks"], about["stacked"])
    made = DeFlowNetwork(encoder, about["steps"], about["hidden"], 0.0)
    fill(made, lambda name, shape: rule(about["suffix"], name, shape))
    return made.eval()


def actnorms(net: nn.Module) -> list[nn.Parameter]:
    """All parameters of actnorm layers, in order; at first they are set to 0, as before any training."""
    return [p for part in net.modules() if isinstance(part, ActNorm) for p in (part.bias, part.logs)]


def first_batch(net: DeFlowNetwork, image: Tensor, low: Tensor, degraded: Tensor, seed: int) -> Tensor:
    """The likelihood of a batch that sets the actnorm layers."""
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, ActNorm):
                part.bias.zero_()
                part.logs.zero_()
                part.started = False
        found: Tensor = net.train()(image, low, degraded, Numbers(seed))
    net.eval()
    return found


def check(net: nn.Module) -> np.ndarray:
    """Number, sum and sum of squares of all parameters."""
    flat = torch.cat([p.detach().flatten() for p in net.parameters()])
    return np.array([len(flat), float(flat.sum()), float((flat**2).sum())])


def inputs(case: Case) -> tuple[Tensor, Tensor]:
    """Image and reduced image in [0, 1]; both are rebuilt and compared on the way."""
    gt, lr = case.array("gt"), case.array("lr")
    again = np.round(255 * synth(gt.shape[2], gt.shape[3], case.about["seed"], len(gt))).astype(np.uint8)
    assert np.array_equal(again, gt)
    low = [reduce(image.transpose(1, 2, 0), case.about["scale"]).transpose(2, 0, 1) for image in gt]
    assert np.array_equal(np.stack(low), lr)
    return torch.from_numpy(gt / 255), torch.from_numpy(lr / 255)


def compute(case: Case) -> dict[str, Any]:
    net, seed = network(case.about), int(case.about["seed"])
    image, low = inputs(case)
    if not case.has("labels"):
        return full(net, image, low, seed)
    degraded = case.tensor("labels").bool()
    found: dict[str, Any] = {"weights_check": check(net)}
    with torch.no_grad():
        features = net.condition(low, Numbers(seed + 100))
        for level, feature in enumerate(features, 1):
            found[f"condition.level{level}.mean_per_channel"] = feature.mean((2, 3))
        draw = Numbers(seed + 101)
        if case.has("encode.dequantisation_draw"):
            found["encode.dequantisation_draw"] = Numbers(seed + 101).uniform(*image.shape)
        x = net.dequantise(image, draw)
        latents, logdet = net.encode(x, features, degraded)
        found |= {"encode.eps_split": latents.eps, "encode.z": latents.z, "encode.logdet": logdet,
                  "encode.nll": net.nll(latents, logdet, degraded)}
        again = net.decode(latents, features)
        every = int(case.about["every"])
        found["inverse.image"] = again[..., ::every, ::every]
        found["inverse.max_error_to_dequantised"] = (again - x).abs().max()
        found |= translations(net, case, latents, features, seed)
        for name, label in (("clean", False), ("degraded", True)):
            labels, numbers = torch.full((len(image),), label), Recorder(seed + 103)
            found[f"sample_{name}.image"] = net.decode(net.drawn(features, labels, numbers), features)[0]
            assert numbers.log == list(case.array(f"sample_{name}.draws"))
    found |= gradients(net, case, image, low, degraded, seed)
    found["actnorm_init.nll"] = first_batch(net, image, low, degraded, seed + 104)
    found["actnorm_init.parameters_sum_abs"] = np.array(
        [[float(p.detach().sum()), float(p.detach().abs().sum())] for p in actnorms(net)]
    )
    return found


class Recorder(Numbers):
    """Writes down what is asked for."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.log: list[str] = []

    def normal(self, *shape: int) -> Tensor:
        self.log.append(f"normal{tuple(shape)}")
        return super().normal(*shape)

    def uniform(self, *shape: int) -> Tensor:
        self.log.append(f"uniform{tuple(shape)}")
        return super().uniform(*shape)


def translations(net: DeFlowNetwork, case: Case, latents: Latents, features: list[Tensor], seed: int) -> dict[str, Any]:
    """Both directions; latents do not depend on the label of the image that they come from."""
    found: dict[str, Any] = {}
    if case.has("translate.draw_z"):
        draw = Numbers(seed + 102)
        found["translate.draw_split"] = draw.normal(*latents.eps.shape)
        found["translate.draw_z"] = draw.normal(*latents.z.shape)
    found["translate.image"] = net.decode(net.degraded(latents, Numbers(seed + 102)), features)
    found["translate.mean_image"] = net.decode(net.degraded(latents, Nothing()), features)
    found["translate_back.mean_image"] = net.decode(net.restored(latents, Nothing()), features)
    return found


def gradients(
    net: DeFlowNetwork, case: Case, image: Tensor, low: Tensor, degraded: Tensor, seed: int
) -> dict[str, Any]:
    """Loss of the training mode and the norm of every parameter's gradient."""
    numbers = Recorder(seed + 104)
    loss = net.train()(image, low, degraded, numbers).mean()
    loss.backward()
    net.eval()
    assert numbers.log == list(case.array("train.draws"))
    norms = [0.0 if p.grad is None else float(p.grad.norm()) for p in net.parameters()]
    return {"train.loss": loss, "train.grad_norms": np.array(norms)}


def full(net: DeFlowNetwork, image: Tensor, low: Tensor, seed: int) -> dict[str, Any]:
    """The networks of the published configurations: first batch, then latents of clean images."""
    clean = torch.zeros(len(image), dtype=torch.bool)
    found: dict[str, Any] = {"init_nll": first_batch(net, image, low, clean, seed + 104)}
    sums = [(p.detach().sum(), p.detach().abs().sum()) for p in actnorms(net)]
    found["actnorm_sum_abs"] = np.array([math.fsum(map(float, column)) for column in zip(*sums, strict=True)])
    with torch.no_grad():
        features = net.condition(low, Numbers(seed + 100))
        latents, logdet = net.encode(net.dequantise(image, Numbers(seed + 101)), features, clean)
        found |= {"eps_split": latents.eps, "z": latents.z, "nll": net.nll(latents, logdet, clean)}
    return found | {"weights_check": check(net)}

"""FSSR: DSGAN's networks, filters, losses and step in three readings, its files, and one step with filters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.super_resolution.frequency import average, gaussian, halved, shrink, truncated
from baselines.super_resolution.fssr.model import FSSR
from baselines.super_resolution.fssr.networks import GAUSS5, Critic, Generator
from baselines.super_resolution.fssr.training import DegradationTraining, Step
from senm.training.perceptual import Perceptual
from tests.baselines.systems.esrgan_sr import gradients, image, named, norm, one_step, trunk
from tests.baselines.systems.vectors import Case

LEVEL = 1 / 100
"""One level (files end near 137) in single pixels, which float32 sums of another order move over a step."""
FILES = ("source.sdsr.LR", "source.tdsr.HR", "source.tdsr.LR", "target.sdsr.HR", "target.LR")
TOLERANCES: dict[str, float] = dict.fromkeys((f"dataset.{name}" for name in FILES), LEVEL)


def lpips() -> nn.Module:
    """LPIPS with its own heads on the rebuilt trunk."""
    from torchvision.models import alexnet

    with torch.device("meta"):
        plain = alexnet()
    return Perceptual(minus_one_one=True, trunk=trunk("alexnet.", plain)).double()


def compute(case: Case) -> dict[str, Any]:
    """All arrays of a case."""
    if case.about["kind"] == "step":
        return one_step(case)
    return {**networks(case), **readings(case), **reductions(case), **files(case)}


def networks(case: Case) -> dict[str, Any]:
    """Filters, generator, and the discriminator in both modes (real first in training)."""
    x, real = image(case, "x_u8"), image(case, "real_u8")
    fake = named(Generator(), case.about["generator"])(x)
    critic = named(Critic(), case.about["discriminator"])
    found: dict[str, Any] = {
        "dsgan.low.avg5.valid": average(x, 5, "cut"),
        "dsgan.high.avg5.nopadcount": halved(x - average(x, 5, "inside")),
        "dsgan.low.gauss5.valid": gaussian(x, 5, GAUSS5, "cut"),
        "dsgan.high.gauss5": halved(x - gaussian(x, 5, GAUSS5)),
        "dsgan.fake": fake,
    }
    for mode in ("eval", "train"):
        critic.train(mode == "train")
        for name, seen in (("real", real), ("fake", fake)):
            found[f"dsgan.disc.{name}.{mode}"] = critic(seen)
    for name, value in critic.state_dict().items():
        if "running" in name:
            found[f"dsgan.disc.after.{name}"] = value
    return found


def readings(case: Case) -> dict[str, Any]:
    """Losses and one update, in each reading of the published step."""
    x, real = image(case, "x_u8"), image(case, "real_u8")
    found: dict[str, Any] = {}
    for name, reading in case.about["readings"].items():
        generator = named(Generator(), case.about["generator"])
        critic = named(Critic(), case.about["discriminator"])
        assert isinstance(critic, Critic)
        log = Step(generator, critic, lpips(), DegradationTraining(reading=reading)).learn(0, x, x, real)
        left, stem = gradients(generator), f"dsgan.step.{name}."
        for layer in ("block_output.weight", "block_input.0.bias"):
            found[f"{stem}grad.{layer}"] = left[layer]
        found[f"{stem}gradnorm"] = norm(left)
        if case.has(f"{stem}disc.net.net.0.bias"):
            found[f"{stem}disc.net.net.0.bias"] = critic.state_dict()["net.net.0.bias"]
        if reading == "before":
            names = {"d": "discriminator", "total": "loss", "col": "colour", "tex": "texture", "per": "perceptual"}
            found |= {f"dsgan.loss.{theirs}": log[mine] for theirs, mine in names.items()}
    return found


def planar(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (3, H, W)."""
    return image.transpose(2, 0, 1)


def reductions(case: Case) -> dict[str, Any]:
    """The bicubic reduction in both precisions."""
    high = case.array("hr_u8").transpose(1, 2, 0)
    single = high.astype(np.float32) / np.float32(255)
    return {
        "imresize.x4.float32": planar(shrink(single, 4)), "imresize.x2.float32": planar(shrink(single, 2)),
        "imresize.x4.float64": planar(shrink(high / 255, 4)),
    }


def files(case: Case) -> dict[str, Any]:
    """What the published preparation writes of an image taken as degraded or as clean."""
    generator = named(Generator(), case.about["generator"]).float()
    assert isinstance(generator, Generator)
    model = FSSR(generator, FSSR.default_settings("paper"))
    high = case.array("hr_u8").transpose(1, 2, 0).astype(np.float32) / np.float32(255)
    half = shrink(high, 2)
    half = half[: half.shape[0] // 4 * 4, : half.shape[1] // 4 * 4]

    def degraded(x: np.ndarray) -> np.ndarray:
        batch: Tensor = torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)))[None]
        with torch.inference_mode():
            return truncated(model.generator(batch)[0].numpy())

    low = degraded(shrink(high, 4))
    return {
        "dataset.source.sdsr.LR": low, "dataset.source.tdsr.HR": planar(truncated(half)),
        "dataset.source.tdsr.LR": degraded(shrink(half, 4)), "dataset.target.sdsr.HR": degraded(high),
        "dataset.target.LR": low,
    }

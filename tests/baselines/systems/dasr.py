"""DASR: Haar bands, the down-sampling network, its discriminators and maps, and one step of super-resolution."""

from __future__ import annotations

import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.super_resolution.dasr.distance import domain_distance
from baselines.super_resolution.esrgan.crops import Crops
from baselines.super_resolution.esrgan.model import ESRGAN
from baselines.super_resolution.esrgan.parts import PatchDiscriminator
from baselines.super_resolution.esrgan.step import GANTraining, Step, enlarge
from baselines.super_resolution.frequency import CHANNELS, haar, split
from baselines.super_resolution.fssr.networks import Critic, Generator, filtered, low_frequencies
from baselines.super_resolution.fssr.training import DegradationTraining
from baselines.super_resolution.fssr.training import Step as Degradation
from tests.baselines.systems.esrgan_sr import gradients, image, named, norm
from tests.baselines.systems.fssr import lpips
from tests.baselines.systems.vectors import Case

FILTERS: dict[str, Any] = {"gau": "gauss", "avg_pool": "average", "wavelet.cat": "haar", "wavelet.sum": "haar-mean",
                           "wavelet": "haar"}
DISC = re.compile(r"dsn\.disc\.(gau|avg_pool|wavelet\.cat|wavelet\.sum)\.(FSD|nld_s1|nld_s2)\.(Batch|Instance)\.fake")


def compute(case: Case) -> dict[str, Any]:
    """All arrays of the case."""
    fake = named(Generator(halvings=2), case.about["generator"])(image(case, "hr_u8")).detach()
    found = {"dsn.fake": fake, **bands(case), **critics(case, fake), **losses(case, fake)}
    for kind in ("wavelet", "gau"):
        found |= super_resolution(case, kind)
    return found


def bands(case: Case) -> dict[str, Any]:
    """One Haar level; the filters are read off unit pulses."""
    x = image(case, "bic_u8")
    low, high = haar(x)
    odd_low, odd_high = haar(x[..., :-1, :-1])
    pulse = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    pulse[..., 0, 0] = 1
    sums, differences = haar(pulse)
    step = sums[0, 0, 0, 0].sqrt()
    below = float(haar(pulse.flip(-2))[1][0, 0].sign())
    signs = [torch.tensor([1.0, 1.0]), torch.tensor([float(differences[0, 0].sign()), below])]
    return {
        "dwt.LL": low, "dwt.H": high.unflatten(1, (3, 3)).transpose(1, 2), "dwt.odd.LL": odd_low,
        "dwt.odd.H": odd_high.unflatten(1, (3, 3)).transpose(1, 2), "dsn.color_filter.wavelet":
        low_frequencies(x, "haar"), **{f"dwt.h{i}_col": (step * sign).reshape(1, 1, 2, 1)
                                       for i, sign in enumerate(signs)},
    }


def critics(case: Case, fake: Tensor) -> dict[str, Any]:
    """Every discriminator's input, probabilities and map of the first image."""
    found: dict[str, Any] = {}
    for name in case.names():
        match = DISC.fullmatch(name.removeprefix(case.prefix))
        if not match:
            continue
        theirs, network, normal = match.groups()
        body: Any = network.lower()
        critic = named(Critic(FILTERS[theirs], body, normal.lower()), case.about["discriminator"])
        seen = filtered(fake, FILTERS[theirs])
        found[f"dsn.filter.{theirs}"] = seen
        found[match[0]] = critic.eval()(fake)
        first = critic(fake[:1])
        found[match[0].removesuffix("fake") + "ddm"] = domain_distance(first, *seen.shape[-2:], body)
        if case.has(f"{match[0]}.train"):
            found[f"{match[0]}.train"] = critic.train()(fake)
    wavelet = found["dsn.disc.wavelet.cat.FSD.Instance.ddm"]
    size = case.about["low_resolution"]
    found["ddm.cv2_resize_to_lr"] = F.interpolate(wavelet, size, mode="bilinear", align_corners=False)[0, 0]
    return found


def losses(case: Case, fake: Tensor) -> dict[str, Any]:
    """The terms of the down-sampling network under each filter."""
    base, real = image(case, "bic_u8"), image(case, "real_u8")
    found: dict[str, Any] = {}
    for theirs in ("gau", "avg_pool", "wavelet"):
        critic = named(Critic(FILTERS[theirs], "fsd", "instance"), case.about["discriminator"])
        assert isinstance(critic, Critic)
        network = named(Generator(halvings=2), case.about["generator"])
        settings = DegradationTraining(reading="before", texture_weight=case.about["texture_weight"])
        log = Degradation(network, critic, lpips(), settings).learn(0, image(case, "hr_u8"), base, real)
        names = {"d": "discriminator", "total": "loss", "col": "colour", "tex": "texture", "per": "perceptual"}
        found |= {f"dsn.loss.{theirs}.{short}": log[name] for short, name in names.items()}
    return found


def super_resolution(case: Case, theirs: str) -> dict[str, Any]:
    """One step with weights and real images."""
    about, kind = case.about, {"wavelet": "haar", "gau": "gauss"}[theirs]
    network = generator_of(case)
    critic = named(PatchDiscriminator(CHANNELS[kind], 2, "instance"), about["sr_discriminator"])  # type: ignore[index]
    settings = GANTraining(split=kind, **about["training"])  # type: ignore[arg-type]
    crops = Crops(*(image(case, f"srn.in.{name}_u8") for name in ("LR_fake", "HR", "fake_w", "LR_real", "HR_unpair")))
    assert crops.weight is not None and crops.real is not None
    with torch.no_grad():
        enlarged = network(torch.cat([crops.low, crops.real]))
        low, high = split(enlarged, settings.split)
    log = Step(network, critic, lpips(), settings, torch.device("cpu")).learn(0, crops)
    g, stem = gradients(network), f"srn.{theirs}."
    found = {
        "fake_H.corner": enlarged[..., :24, :24], "fake_LL.corner": low[..., :16, :16],
        "fake_Hc.corner": high[..., :16, :16], "log.l_g_pix": log["pixel"], "log.l_g_LL_pix": log["low"],
        "log.l_g_fea": log["features"], "log.l_g_gan_target_Hf": log["gan"],
        "log.l_d_target_total": log["discriminator"], "log.D_real_target_H": log["real logit"],
        "log.D_fake_target_H": log["fake logit"], "grad.G.first_bias": g["model.0.bias"],
        "grad.G.last_weight": g["model.10.weight"], "grad.G.norm": norm(g), "grad.D.norm": norm(gradients(critic)),
    }
    present = {f"{stem}{name}": value for name, value in found.items() if case.has(f"{stem}{name}")}
    return {**present, "srn.weights_up": enlarge(crops.weight)}


def generator_of(case: Case) -> nn.Module:
    """The RRDBNet under the names of its own layout."""
    size = {"width": case.about["width"], "blocks": case.about["blocks"]}
    return named(ESRGAN.build(ESRGAN.default_settings("paper").but(network=size)), case.about["sr_generator"])


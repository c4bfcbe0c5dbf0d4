"""NeCA-W: synthesis of both modes, one step of generator and critics, its own divergence."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.noise.neca_w.losses import (
    Critics,
    critic_terms,
    every_third,
    generator_terms,
    global_level,
    local_level,
    total,
)
from baselines.noise.neca_w.networks import (
    CORRELATED_STAGES,
    UNCORRELATED_STAGES,
    Critic,
    Generator,
    denoiser,
)
from benchmarks.metrics.distribution import _residual_divergence
from tests.baselines.systems.vectors import Case, base, fill, stored, synth, weight

# Steps added up one by one: clipped pixels of the synthetic pictures lie on an edge, where the last bit decides.
EDGES = np.concatenate(([-1000.0], np.arange(-0.1, 0.1 + 1e-9, 0.2 / 64), [1000.0]))


def compute(case: Case) -> dict[str, Any]:
    return training(case) if "critic_width" in case.about else synthesis(case)


def made(case: Case, network: nn.Module, prefix: str = "", gain: float = 1.2) -> Any:
    """A network with the weights of the rule; the generator's own names begin with E, G1, G2 already."""

    def rule(name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        key = prefix + name + case.about["suffix"]
        if name.endswith("num_batches_tracked"):
            return None
        if name.endswith("running_mean"):
            return base(key, shape) * 0.1
        if name.endswith("running_var"):
            return np.exp(base(key, shape) * 0.2)
        if prefix == "G3." and name.endswith("weight") and len(shape) == 1:
            return 1 + base(key, shape) * 0.1
        return weight(key, shape, gain)

    return fill(network, rule)


def generator_of(case: Case) -> Generator:
    width = case.about["width"]
    generator: Generator = made(case, Generator(width, case.about.get("correlation_width", width)))
    return generator


def pair(case: Case) -> tuple[Tensor, Tensor]:
    """Clean and noisy images as the seed makes them."""
    (count, height, width), seed = case.about["images"], case.about["seed"]
    clean = synth(height, width, seed, count)
    noisy = clean + (0.02 + 0.06 * clean) * np.random.default_rng(seed).standard_normal(clean.shape)
    for name, value in (("clean", clean), ("noisy", noisy)):
        if case.has(name):
            assert np.abs(case.array(name) - value).max() < 1e-12
    return torch.from_numpy(clean), torch.from_numpy(noisy)


def summary(network: nn.Module) -> np.ndarray:
    values = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    return np.array([len(values), float(values.sum()), float(values.square().sum())])


def synthesis(case: Case) -> dict[str, Any]:
    generator, (clean, noisy) = generator_of(case).eval(), pair(case)
    seed = case.about["seed"]
    normal = np.random.default_rng(seed + case.about["draws"]).standard_normal(clean.shape)
    if case.has("z"):
        assert np.array_equal(case.array("z"), normal)
    with torch.no_grad():
        gain = generator.E(noisy)
        noise = generator(clean, gain, torch.from_numpy(normal))
        found: dict[str, Any] = {"gain": gain, "level_map": noise.level, "image": clean + noise.correlated}
        if case.has("correlated"):
            found["correlated"] = noise.correlated
        if "level" in case.about:
            draw = np.random.default_rng(seed + case.about["level_draws"]).standard_normal(clean.shape)
            found["S.correlated"] = generator.correlate(torch.from_numpy(draw) * case.about["level"] / 255)
    found |= {f"weights_check.{name}": summary(part) for name, part in generator.named_children()}
    if case.has("kld_own_metric"):
        sets = (stored(case.system)[f"{case.prefix}image"], noisy.numpy(), clean.numpy())
        found["kld_own_metric"] = np.array([divergence(*images) for images in zip(*sets, strict=True)])
    return found


def divergence(generated: np.ndarray, real: np.ndarray, clean: np.ndarray) -> float:
    """`kld_neca` between the edges of the published code."""
    return _residual_divergence((generated.clip(0, 1) * 255).round() / 255, real, clean, edges=EDGES, added=0)


def norms(network: nn.Module) -> np.ndarray:
    return np.array([0.0 if p.grad is None else float(p.grad.norm()) for p in network.parameters()])


def training(case: Case) -> dict[str, Any]:
    about, (clean, noisy) = case.about, pair(case)
    generator, real, side = generator_of(case), noisy - clean, about["images"][1]
    critics = Critics(made(case, Critic(side, CORRELATED_STAGES, about["critic_width"]), "D1."),
                      made(case, Critic(side // 3, UNCORRELATED_STAGES, about["critic_width"]), "D2."))
    restorer = made(case, denoiser(about["denoiser_width"], about["denoiser_depth"]), "G3.", 1.0).train()
    offset = int(case.array("pixel_shuffle_index"))
    draw = np.random.default_rng(about["seed"] + about["draws"])
    normal = torch.from_numpy(draw.standard_normal(clean.shape))
    shares = torch.from_numpy(np.stack([draw.random((len(clean), 1, 1, 1)).ravel() for _ in critics]))
    assert np.array_equal(case.array("gp_epsilon"), shares.numpy())

    noise, terms = generator_terms(generator, critics, restorer, clean, noisy, normal, offset)
    loss = total(terms)
    loss.backward()
    found: dict[str, Any] = {**terms, "G_loss": loss}
    found |= {f"grad_norms.{name}": norms(part) for name, part in generator.named_children()}
    found["grad_norms.G3"] = norms(restorer)
    for critic in critics:
        critic.zero_grad()
    judged = critic_terms(critics, real, noise, offset, (shares[0], shares[1]))
    loss = judged["real"] + judged["fake"] + about["penalty"] * (judged["gp1"] + judged["gp2"])
    loss.backward()
    found |= {"D_real": judged["real"], "D_fake": judged["fake"], "gp1": judged["gp1"], "gp2": judged["gp2"],
              "D_loss": loss, "grad_norms.D1": norms(critics.correlated), "grad_norms.D2": norms(critics.independent)}
    with torch.no_grad():
        first = [critics.correlated(value).flatten() for value in (real, noise.correlated)]
        second = [critics.independent(every_third(value, offset)).flatten() for value in (real, noise.independent)]
    found |= {"critic_scores": torch.stack(first + second), "global_level": global_level(real),
              "local_level": local_level(real)[..., :: about["every"], :: about["every"]]}
    found |= {f"weights_check.{name}": summary(part) for name, part in
              (("D1", critics.correlated), ("D2", critics.independent), ("G3", restorer))}
    sums = [float(value.pow(power).sum()) for value in (clean, noisy) for power in (1, 2)]
    return found | {"input_check": np.array(sums)}

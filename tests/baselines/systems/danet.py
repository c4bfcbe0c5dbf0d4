"""DANet: generation, denoising, losses of the three steps and their gradients with given draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.noise.danet import losses
from baselines.noise.danet.model import generate
from baselines.noise.danet.networks import Critic, Denoiser, Generator
from baselines.noise.danet.training import DANetSettings
from benchmarks.metrics.distribution import akld as average_divergence
from tests.baselines.systems.vectors import Case, fill, synth, weight


def filled(network: nn.Module, prefix: str, about: Any) -> Any:
    """A network with the weights of its case; `prefix` is the letter that the network has in the published code."""
    return fill(network, lambda name, shape: weight(
        f"{prefix}.{name}{about['suffix']}", shape, about["gain"], about["vec"]))


def check(model: nn.Module) -> np.ndarray:
    """Number, sum and sum of squares of all parameters."""
    values = torch.cat([p.detach().flatten() for p in model.parameters()])
    return np.array([len(values), float(values.sum()), float((values**2).sum())])


def pair(about: Any, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Clean and noisy images of a case."""
    clean = synth(shape[2], shape[3], about["pair_seed"], shape[0])
    noise = np.random.default_rng(about["pair_seed"]).standard_normal(clean.shape)
    return torch.from_numpy(clean), torch.from_numpy(clean + (0.02 + 0.06 * clean) * noise)


def maps(draw: np.random.Generator, like: Tensor) -> Tensor:
    return torch.from_numpy(draw.standard_normal((len(like), 1, *like.shape[-2:])))


def compute(case: Case) -> dict[str, Any]:
    about = case.about
    if "sides" in about:
        return {str(side): losses.kernel(side) for side in about["sides"]}
    if "critic_width" in about:
        return training(case)
    generator, denoiser = filled(Generator(about["width"]), "G", about), filled(Denoiser(about["width"]), "D", about)
    with torch.no_grad():
        found = {"weights_check.G": check(generator), "weights_check.D": check(denoiser)}
        return found | (whole if "shape" in about else small)(case, generator, denoiser)


def whole(case: Case, generator: Generator, denoiser: Denoiser) -> dict[str, Any]:
    clean, noisy = pair(case.about, case.about["shape"])
    draw = maps(np.random.default_rng(case.about["draw_seed"]), clean)
    return {"generate.image": generator(clean, draw), "denoise.image": denoiser(noisy)}


def small(case: Case, generator: Generator, denoiser: Denoiser) -> dict[str, Any]:
    about, clean, noisy = case.about, case.tensor("x"), case.tensor("y")
    for mine, theirs in zip(pair(about, tuple(clean.shape)), (clean, noisy), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-12)
    draw = maps(np.random.default_rng(about["draw_seed"]), clean)
    if case.has("generate.z"):
        assert torch.equal(draw, case.tensor("generate.z"))
    fake = generator(clean, draw)
    cut = clean[:, :, : -about["cut"][0], : -about["cut"][1]]
    sizes: list[tuple[int, ...]] = []

    def padded_draw(shape: tuple[int, ...]) -> Tensor:
        sizes.append((len(cut), 3, *shape[-2:]))
        return torch.from_numpy(np.random.default_rng(about["padded_seed"]).standard_normal(shape))

    found = {
        "generate.image": fake, "denoise.image": denoiser(noisy), "mean_match": losses.mean_match(clean, noisy, fake),
        "var_match": torch.stack(losses.variance_match(clean, noisy, fake)),
        "generate_padded.image": generate(generator, cut, padded_draw),
        "akld_3draws": akld(case, generator, clean, noisy),
    }
    return found | {"generate_padded.padded_size": np.array(sizes[0])}


def akld(case: Case, generator: Generator, clean: Tensor, noisy: Tensor) -> float:
    draw = np.random.default_rng(case.about["akld_seed"])
    found = []
    for _ in range(case.about["akld_draws"]):
        fake = generate(generator, clean, lambda shape: torch.from_numpy(draw.standard_normal(shape)))
        for images in zip(fake, noisy, clean, strict=True):
            found.append(average_divergence(*(image.permute(1, 2, 0).numpy() for image in images)))
    return float(np.mean(found))


def training(case: Case) -> dict[str, Any]:
    about, weights = case.about, DANetSettings().training
    clean, noisy = pair(about, about["shape"])
    total = [clean.sum(), (clean**2).sum(), noisy.sum(), (noisy**2).sum()]
    assert np.allclose(case.array("input_check"), torch.stack(total), rtol=1e-12, atol=0)
    generator, denoiser = filled(Generator(about["width"]), "G", about), filled(Denoiser(about["width"]), "D", about)
    critic = filled(Critic(about["critic_width"], clean.shape[-1]), "P", about)
    draw = np.random.default_rng(about["critic_seed"])
    with torch.no_grad():
        fake, estimate = generator(clean, maps(draw, clean)), denoiser(noisy)
    one, two = (torch.from_numpy(draw.random((len(clean), 1, 1, 1))) for _ in range(2))
    kinds = [f"normal{(len(clean), 1, *clean.shape[-2:])}", *[f"uniform{tuple(one.shape)}"] * 2]
    assert case.array("step_P.draw_kinds").tolist() == kinds
    assert np.array_equal(case.array("step_P.alphas"), torch.stack([one, two]).reshape(2, -1))
    judged = losses.critic_loss(critic, clean, noisy, fake, estimate, (one, two), weights.alpha, weights.penalty)
    restored = losses.denoiser_loss(critic, clean, noisy, denoiser(noisy), weights.alpha, weights.denoiser_weight)
    draw = np.random.default_rng(about["generator_seed"])
    made = losses.generator_loss(
        critic, clean, noisy, generator(clean, maps(draw, clean)), weights.alpha, weights.generator_weight)
    return {
        "weights_check.P": check(critic), "P.real": critic(clean, noisy),
        "step_P": numbers(judged), "step_P.grad_norms": norms(judged, critic),
        "step_D": np.append(numbers(restored), numbers(restored)[2] / weights.denoiser_weight),
        "step_D.grad_norms": norms(restored, denoiser),
        "step_G": numbers(made), "step_G.grad_norms": norms(made, generator),
    }


def numbers(terms: losses.Terms) -> np.ndarray:
    return torch.stack([terms.loss, *terms.parts]).detach().numpy()


def norms(terms: losses.Terms, network: nn.Module) -> Tensor:
    parameters = list(network.parameters())
    gradients = torch.autograd.grad(terms.loss, parameters, retain_graph=True, allow_unused=True)
    return torch.stack([p.new_zeros(()) if g is None else g.norm() for p, g in zip(parameters, gradients, strict=True)])

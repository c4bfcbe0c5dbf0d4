"""The objective: Loss_p, Loss_s and Loss_t of equation 11 as named terms, and the terms added to them.

A term's name is ``domain/what``: Loss_p is the sum of ``paired/*``, Loss_s of ``source/*``, Loss_t of ``target/*``.
Each term is a weight times a mean over the samples of the whole effective batch, so that terms of parts of a batch
(micro-batches, processes) add up to those of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senm.config import LossSettings, PairedModelSettings
from senm.data.domains import Batch
from senm.level import LevelNet, measured_level
from senm.model import Descent, Noise, SeNMVAE
from senm.paired import PairedVAE

TERM_NAMES = ("paired/rec_x", "source/rec_x", "paired/rec_y", "target/rec_y", "paired/kl_zn", "target/kl_zn",
              "paired/kl_z", "level", "lpips", "gan")


@dataclass
class Draws:
    """Everything random about one step: coins (p,) for both passes and the normal draws for both."""

    coins: tuple[Tensor, Tensor]
    noise_x: Noise
    noise_y: Noise


@dataclass
class Terms:
    """Weighted terms by name, and what else a step needs: reconstructions of y beside the real ones, KL by layer."""

    values: dict[str, Tensor] = field(default_factory=dict)
    real: Tensor | None = None
    fake: Tensor | None = None
    layers: dict[str, Tensor] = field(default_factory=dict)

    def add(self, name: str, weight: float, value: Tensor) -> None:
        """Add a term unless its weight is zero."""
        if weight:
            self.values[name] = weight * value

    @property
    def total(self) -> Tensor:
        """The sum of all terms."""
        return torch.stack(list(self.values.values())).sum()


def kl_weight(s: LossSettings) -> float:
    """The weight of the KL part; a training has put a number in place of "noise"."""
    assert not isinstance(s.kl_weight, str), "the noise of the pairs decides it: senm.training.scales.kl_weight"
    return s.kl_weight


def annealing(step: int, s: LossSettings) -> float:
    """Linear from 0 at step 0 to 1 at `anneal_steps`."""
    return min(step / s.anneal_steps, 1.0) if s.anneal_steps else 1.0


def errors(image: Tensor, target: Tensor, s: LossSettings) -> Tensor:
    """Reconstruction error a sample, (B,): mean squared error, or -log N(target; image, 1) up to a constant."""
    square = (image - target).square().flatten(1)
    return square.mean(1) if s.reduction == "mean" else 0.5 * square.sum(1)


def kl_by_layer(sums: Tensor, sizes: list[int], s: LossSettings) -> Tensor:
    """KL by layer and sample, (L, B): sums over (C, H, W), divided by their size where the dialect takes means."""
    if s.reduction == "sum":
        return sums
    return sums / torch.tensor(sizes, dtype=sums.dtype, device=sums.device).unsqueeze(1)


def mean_terms(
    terms: Terms, name: str, weight: tuple[float, float], values: Tensor, paired: int, other: str,
    counts: dict[str, int], s: LossSettings,
) -> None:
    """Add ``paired/name`` and ``<other>/name`` from per-sample values whose first `paired` rows are pairs."""
    for domain, w, part in (("paired", weight[0], values[:paired]), (other, weight[1], values[paired:])):
        if len(part):
            count = counts[domain] if s.average_over == "domains" else counts["paired"] + counts[other]
            terms.add(f"{domain}/{name}", w, part.sum() / count)


def semi_terms(
    model: SeNMVAE, level_net: LevelNet, batch: Batch, draws: Draws, step: int, s: LossSettings,
    counts: dict[str, int] | None = None, forward: Any = None,
) -> Terms:
    """The terms of the semi-supervised objective on one batch (or on a part of it; `counts` are the whole's)."""
    counts = counts or {"paired": batch.paired, "source": batch.source, "target": batch.target}
    p, x, y = batch.paired, batch.x, batch.y
    terms = Terms()
    predicted = level_net(y) if len(y) else y.new_zeros(0)
    level = torch.cat([measured_level(x[:p], y[:p]), predicted[p:].detach()])
    clean, noisy = (model if forward is None else forward)(
        x, y, level, p, draws.coins, draws.noise_x, draws.noise_y,
        kl_z_in_noisy=s.kl_z_passes == "both", clean_pass=s.reconstruct_x or s.kl_z_passes == "from_y",
        crossed=s.paired_latent == "crossed",
    )
    ramp = annealing(step, s)
    w_zn, w_z = kl_weight(s) * ramp, kl_weight(s) * s.lam * (ramp if s.anneal == "all" else 1.0)
    crossed = s.paired_latent == "crossed"
    shapes = model.latent_shapes(*(y if len(y) else x).shape[2:])
    z_sizes = [model.settings.nf * h * w for h, w in shapes]
    zn_sizes = [model.settings.zn_dim * h * w for h, w in shapes]
    if clean is not None and s.reconstruct_x:
        mean_terms(terms, "rec_x", (s.p2 if crossed else s.p1, s.p1), errors(clean.image, x, s), p, "source", counts, s)
    if noisy is not None:
        mean_terms(terms, "rec_y", (s.p1, s.p2), errors(noisy.image, y, s), p, "target", counts, s)
        assert noisy.kl_zn is not None
        layers = kl_by_layer(noisy.kl_zn, zn_sizes, s)
        terms.layers["kl_zn"] = layers.detach().mean(1)
        mean_terms(terms, "kl_zn", (w_zn * s.p1, w_zn * s.p2), layers.sum(0), p, "target", counts, s)
        terms.real, terms.fake = y, noisy.image
    for descent in (clean, noisy):
        if isinstance(descent, Descent) and descent.kl_z is not None:
            layers = kl_by_layer(descent.kl_z, z_sizes, s)
            value = w_z * layers.sum(0).sum() / counts["paired"]
            terms.values["paired/kl_z"] = terms.values.get("paired/kl_z", 0.0) + value
            terms.layers["kl_z"] = layers.detach().mean(1)
    if p:
        level_error = (predicted[:p] - level[:p]).abs().sum() / counts["paired"]
        terms.add("level", s.level_weight, level_error)
    return terms


def paired_terms(model: PairedVAE, batch: Batch, draws: Draws, step: int, settings: PairedModelSettings,
                 pairs: int | None = None) -> Terms:
    """The terms of the fully paired objective; KL is summed and divided by the elements of the image."""
    s, pairs = settings.loss, pairs or batch.paired
    terms = Terms(real=batch.y)
    descent = model(batch.x, batch.y, draws.noise_y)
    terms.fake = descent.image
    assert descent.kl_zn is not None
    terms.add("paired/rec_y", 1.0, errors(descent.image, batch.y, s).sum() / pairs)
    size = batch.x[0].numel()
    terms.add("paired/kl_zn", kl_weight(s) * annealing(step, s), descent.kl_zn.sum() / (pairs * size))
    terms.layers["kl_zn"] = descent.kl_zn.detach().mean(1) / size
    return terms


class Critic(nn.Module):
    """PatchGAN critic: noisy image (B, 3, H, W) -> logits of patches (B, 1, h, w); sides of at least 24 pixels."""

    def __init__(self, filters: int = 64, norm: type[nn.BatchNorm2d] = nn.BatchNorm2d) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, filters, 4, 2, 1), nn.LeakyReLU(0.2)]
        width = filters
        for stride in (2, 2, 1):
            wider = 2 * width
            layers += [nn.Conv2d(width, wider, 4, stride, 1, bias=False), norm(wider), nn.LeakyReLU(0.2)]
            width = wider
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 1))

    def forward(self, y: Tensor) -> Tensor:
        return self.layers(y)


def relativistic(higher: Tensor, lower: Tensor) -> Tensor:
    """Relativistic average loss, halved: `higher` logits should exceed the mean of `lower` ones and vice versa.

    The critic calls it with (real, fake), the generator with (fake, real detached).
    """
    up, down = higher - lower.mean(), lower - higher.mean()
    return 0.5 * (
        F.binary_cross_entropy_with_logits(up, torch.ones_like(up))
        + F.binary_cross_entropy_with_logits(down, torch.zeros_like(down))
    )


def auxiliary_scale(s: LossSettings, image: Tensor) -> float:
    """Weight of LPIPS and GAN against the rest: with summed likelihoods, the balance that the means have."""
    return 1.0 if s.reduction == "mean" else 0.5 * image.shape[1:].numel()

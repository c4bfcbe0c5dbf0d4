"""What is fitted after training, on the training pairs: the prior's second moments, and the curve of the level."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from senm.data.levelled import level_between
from senm.data.pool import ArrayImages, Images, Pairs
from senm.model import SeNMVAE
from senm.sampling import prior
from senm.sampling.noise import Network
from senm.support import seeding
from senm.support.progress import Progress

IMAGES, SIDE = 128, 128
"""Crops that the prior is fitted on, and their side in pixels."""
CALIBRATED, ROUNDS = 64, 2
"""Pairs that the curve is fitted on, and rounds of sampling them."""
ENOUGH_FOR_CURVATURE = 32
LOWEST = 1e-4
FURTHEST = math.log(4)
"""A network that does not follow its level is not driven further than this."""

Sample = Callable[[Images, Callable[[str], float], int], Iterator[np.ndarray]]


@dataclass(frozen=True)
class LevelCurve:
    """The level to feed for a level asked for: log(fed / asked) is a polynomial of log(asked).

    Attributes:
        coefficients: of the polynomial, the constant first.
        range: lowest and highest level of the fit; outside it the ratio at its end holds.
    """

    coefficients: tuple[float, ...]
    range: tuple[float, float]

    def __call__(self, level: float) -> float:
        """Both levels are standard deviations in [0, 1] units."""
        if level <= 0:
            return level
        at = math.log(min(max(level, self.range[0]), self.range[1]))
        ratio = sum(c * at**power for power, c in enumerate(self.coefficients))
        return min(1.0, level * math.exp(min(max(ratio, -FURTHEST), FURTHEST)))


def crops(pairs: Pairs, multiple: int, count: int = IMAGES) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(clean, noisy) uint8 crops of at most `SIDE` pixels a side, spread over pairs and places, origin at a cell."""
    if not len(pairs):
        return
    each = max(1, -(-min(count, 4 * len(pairs)) // len(pairs)))
    for i in range(0, len(pairs), max(1, len(pairs) // count)):
        clean, noisy = pairs.clean[i], pairs.noisy[i]
        height, width = (min(SIDE, side) // multiple * multiple for side in clean.shape[:2])
        places = [(top, left) for top in range(0, clean.shape[0] - height + 1, height)
                  for left in range(0, clean.shape[1] - width + 1, width)]
        for top, left in places[:: max(1, len(places) // each)][:each]:
            yield clean[top: top + height, left: left + width], noisy[top: top + height, left: left + width]


def standardised(network: Network, pairs: Pairs, seed: int, device: torch.device) -> Iterator[list[Tensor]]:
    """For each crop of the pairs the posterior's draws of zn, standardised by the prior, layer by layer."""
    for i, (clean, noisy) in enumerate(crops(pairs, network.stride)):
        x, y = (torch.from_numpy(np.ascontiguousarray(a.transpose(2, 0, 1)))[None].to(device).float() / 255
                for a in (clean, noisy))
        level = (y - x).flatten(1).std(1)
        height, width = x.shape[2:]
        noise = network.draw_noise(1, height, width, seeding.generator("prior", seed, i))
        noise = {latent: [draw.to(device) for draw in draws] for latent, draws in noise.items()}
        found: list[Tensor] = []
        with torch.inference_mode():
            if isinstance(network, SeNMVAE):
                network.descend(network.encode_x(x), None, noise, network.encode_n(y), level, residuals=found)
            else:
                network.descend(x, level, noise, y, residuals=found)
        yield [layer.cpu() for layer in found]


def fit_prior(network: Network, pairs: Pairs, seed: int, device: torch.device, progress: Progress
              ) -> prior.FittedPrior:
    """The filter on white draws; with the phase of the colour filter where the pairs' noise follows it."""
    phase = network.stride > 1 and prior.follows_phase(
        noisy.astype(np.float32) - clean for clean, noisy in crops(pairs, network.stride))
    fitted = prior.fit(standardised(network, pairs, seed, device), phase)
    progress.say("prior fitted on the pairs, " + ("which follow the phase of a colour filter" if phase
                                                  else "without a phase, which they do not show"))
    return fitted


def calibrate(pairs: Pairs, multiple: int, seed: int, sample: Sample) -> LevelCurve:
    """The curve for which crops of pairs sampled at their own levels come out at these, as far as a polynomial can.

    Args:
        multiple: of which the sides of the crops are.
        sample: from clean images, a level by name and a seed to noisy images.
    """
    pieces = list(crops(pairs, multiple, CALIBRATED))[:2 * CALIBRATED]
    wanted = {str(i): max(level_between(noisy, clean), LOWEST) for i, (clean, noisy) in enumerate(pieces)}
    sizes: dict[tuple[int, ...], list[int]] = {}
    for i, (clean, _) in enumerate(pieces):
        sizes.setdefault(clean.shape, []).append(i)
    pools = [ArrayImages(np.stack([pieces[i][0] for i in group]), [str(i) for i in group]) for group in sizes.values()]
    curve = LevelCurve((0.0,), (min(wanted.values()), max(wanted.values())))
    degree = 0 if len(pieces) < 3 else 1 if len(pairs) <= ENOUGH_FOR_CURVATURE else 2
    for turn in range(ROUNDS):
        rows = []
        for pool in pools:
            fed = {name: curve(wanted[name]) for name in pool.names}
            made = sample(pool, fed.__getitem__, seeding.seed("calibrate", seed, turn))
            for name, clean, image in zip(pool.names, pool, made, strict=True):
                asked = wanted[name]
                rows.append((math.log(asked), math.log(fed[name] / max(level_between(image, clean), LOWEST))))
        at, ratio = np.array(rows).T
        fitted = np.polynomial.polynomial.polyfit(at, ratio, degree)
        curve = LevelCurve(tuple(float(c) for c in fitted), curve.range)
    return curve

"""Pairs judged by their content: partners that are mixed up, shifted, mirrored, swapped, of other colour or exposure.

Each judgement is a cheap statistic with a threshold far from what camera pairs and strong noise give; where an image is
flat, or its noise hides what is in it, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from senm.data.checking.sides import roughness, sides_in_doubt
from senm.data.pool import Pairs
from senm.support.errors import DataError

SAMPLE = 48
"""Pairs that are looked at, spread over the set."""
SIDE = 256
"""Pixels of the middle that are looked at, in each direction."""
COARSE = 32
LEAST = 24
"""Of smaller images only the two sides are compared."""
CONTRAST = 6.0
"""A structure counts from so many standard errors of the noise in the coarse image."""
ALIKE, OTHER, NOTHING = 0.9, 0.6, 0.35
BRIGHTER = 1.5
BETTER = 0.7
"""Left of the squared difference where a shift, a mirror or an exchange of channels is taken for a mistake."""
TRUST = "where they are right, say --trust-pairs (trust_pairs=True)"
TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored left to right": lambda image: image[:, ::-1],
    "mirrored top to bottom": lambda image: image[::-1],
    "turned by 180 degrees": lambda image: image[::-1, ::-1],
    "turned by 90 degrees": lambda image: np.rot90(image),
    "turned by 270 degrees": lambda image: np.rot90(image, 3),
}


@dataclass(frozen=True)
class Doubt:
    """A pair that does not look like one: its name, and what is wrong with it in words after 'the noisy image'."""

    name: str
    what: str


@dataclass(frozen=True)
class Look:
    """What is kept of one pair: the middles as float64 (H, W, 3), and coarse images with their noise."""

    name: str
    clean: np.ndarray
    noisy: np.ndarray
    coarse_clean: np.ndarray
    coarse_noisy: np.ndarray
    noise: float
    rough_clean: float
    rough_noisy: float
    rougher: bool
    equal: bool


def check_pairs(pairs: Pairs, trust: bool = False) -> str:
    """Refuse pairs that do not look like pairs; with `trust`, return what would have been refused, '' for nothing.

    Raises:
        DataError: naming up to three pairs and what is wrong with each, or sides that are equal or swapped as a whole.
    """
    looks = _looks(pairs)
    whole = sides_in_doubt([(look.equal, look.rough_clean, look.rough_noisy) for look in looks])
    if whole is not None:
        if not trust:
            raise DataError(whole.found, whole.expected, f"{whole.mend}; {TRUST}")
        return whole.found
    found = _doubts(looks)
    if not found:
        return ""
    shown = "; ".join(f"{each.name}: the noisy image {each.what}" for each in found[:3])
    looked = min(len(pairs), SAMPLE)
    text = f"{len(found)} of {looked} pairs looked at are no pairs ({shown}{'; ...' if len(found) > 3 else ''})"
    if trust:
        return text
    raise DataError(text, "a noisy image and its clean partner, of one scene, pixel on pixel",
                    f"mend or remove these pairs; {TRUST}")


def doubts(pairs: Pairs) -> list[Doubt]:
    """The pairs, of up to `SAMPLE` looked at, that do not look like pairs."""
    return _doubts(_looks(pairs))


def _looks(pairs: Pairs) -> list[Look]:
    return [_look(pairs, index) for index in range(0, len(pairs), max(1, -(-len(pairs) // SAMPLE)))]


def _doubts(looks: Sequence[Look]) -> list[Doubt]:
    found: dict[str, str] = {}
    swapped = [look for look in looks if look.rougher]
    for look in looks:
        if look.equal:
            found[look.name] = "equals the clean one in every pixel"
    if len(swapped) < len(looks):  # where all are, the sides as a whole are in doubt: `check_sides`
        found |= {look.name: "is smoother than the clean one: swapped" for look in swapped if look.name not in found}
    for look in looks:
        if look.name not in found and (what := _moved(look)):
            found[look.name] = what
    others = [look for look in looks if look.name not in found]
    found |= dict(_mixed_up(others, looks))
    for look in others:
        if look.name not in found and (what := _coloured(look)):
            found[look.name] = what
    return [Doubt(look.name, found[look.name]) for look in looks if look.name in found]


def _look(pairs: Pairs, index: int) -> Look:
    clean, noisy = pairs.clean[index], pairs.noisy[index]
    top, left = ((size - min(size, SIDE)) // 2 for size in clean.shape[:2])
    middle = (slice(top, top + SIDE), slice(left, left + SIDE))
    c, n = clean[middle].astype(np.float64), noisy[middle].astype(np.float64)
    block = max(1, min(c.shape[:2]) // COARSE)
    rough_clean, rough = roughness(clean[middle]), roughness(noisy[middle])
    noise = rough / np.sqrt(6) * np.sqrt(np.pi / 2)  # of white noise; detail makes it larger
    small = min(clean.shape[:2]) < LEAST
    coarse = _coarse(c, block), _coarse(n, block)
    return Look(
        name=pairs.clean.names[index], clean=c, noisy=n, coarse_clean=coarse[0], coarse_noisy=coarse[1],
        noise=np.inf if small else max(noise, 1.0) / block, rough_clean=rough_clean, rough_noisy=rough,
        rougher=rough_clean * min(1.0, _contrast(coarse[1], coarse[0])) > 1.1 * rough,
        equal=bool(np.array_equal(clean, noisy)),
    )


def _coarse(image: np.ndarray, block: int) -> np.ndarray:
    height, width = (size // block * block for size in image.shape[:2])
    blocks: np.ndarray = image[:height, :width].reshape(height // block, block, width // block, block, -1)
    return blocks.mean((1, 3))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two images of one shape, over pixels and channels, each channel without its mean; 0 where one is flat."""
    a, b = a - a.mean((0, 1)), b - b.mean((0, 1))
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def _tells(image: np.ndarray, noise: float) -> bool:
    """Whether the coarse image has structure that its noise does not hide."""
    return bool((image - image.mean((0, 1))).std() > CONTRAST * noise)


def _error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared difference, without a difference of brightness."""
    difference = a - b
    return float((difference - difference.mean((0, 1))).var())


def _moved(look: Look) -> str:
    """How the noisy image lies elsewhere than the clean one, or ''."""
    if not _tells(look.coarse_clean, look.noise) or not _tells(look.coarse_noisy, look.noise):
        return ""
    here = _error(look.noisy, look.clean)
    unlike = correlation(look.coarse_noisy, look.coarse_clean) < OTHER
    for what, turn in TURNS.items() if unlike else ():
        turned = turn(look.coarse_noisy)
        if turned.shape == look.coarse_clean.shape and correlation(turned, look.coarse_clean) > ALIKE:
            return f"is {what}"
    down, right = _shift(look.noisy, look.clean)
    if (down, right) == (0, 0):
        return ""
    height, width = look.clean.shape[:2]
    if abs(down) >= height // 2 or abs(right) >= width // 2:
        return ""
    moved = _part(look.noisy, down, right), _part(look.clean, -down, -right)
    if unlike and correlation(_coarse(moved[0], 4), _coarse(moved[1], 4)) < ALIKE:
        return ""
    there = _error(*moved)
    again = _error(_part(look.noisy, down, right), _part(look.clean, down, right))
    return f"is shifted by ({down}, {right}) pixels" if there < BETTER * min(here, again) else ""


def _part(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """The part of an image that is left when it is moved by that many pixels and cut to where it was."""
    height, width = image.shape[:2]
    return image[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]


def _shift(noisy: np.ndarray, clean: np.ndarray) -> tuple[int, int]:
    """How far the noisy image lies below and right of the clean one, whole pixels, by cross-correlation."""
    from skimage.registration import phase_cross_correlation

    grey = [image.mean(2) - image.mean() for image in (noisy, clean)]
    window = np.outer(*(np.hanning(size) for size in grey[0].shape))
    moved = phase_cross_correlation(grey[0] * window, grey[1] * window, normalization=None)[0]
    return int(moved[0]), int(moved[1])


def _mixed_up(looks: Sequence[Look], known: Sequence[Look]) -> Iterator[tuple[str, str]]:
    """Pairs whose noisy image shows nothing of the clean one; the clean image that it does show, where there is one."""
    for look in looks:
        if not _tells(look.coarse_clean, look.noise) or not _tells(look.coarse_noisy, look.noise):
            continue
        own = correlation(look.coarse_noisy, look.coarse_clean)
        if own >= OTHER:
            continue
        fitting = [other for other in known if other.coarse_clean.shape == look.coarse_noisy.shape]
        best = max(fitting, key=lambda other: correlation(look.coarse_noisy, other.coarse_clean))
        if best is not look and correlation(look.coarse_noisy, best.coarse_clean) > ALIKE:
            yield look.name, f"shows {best.name}"
        elif own < NOTHING:
            yield look.name, f"shows another scene (correlation {own:.2f})"


def _coloured(look: Look) -> str:
    """How colours or exposure differ, or ''."""
    means = look.coarse_clean.mean(), look.coarse_noisy.mean()
    exchanged = _error_with_means(look.coarse_noisy[..., ::-1], look.coarse_clean)
    straight = _error_with_means(look.coarse_noisy, look.coarse_clean)
    if straight > (CONTRAST * look.noise) ** 2 / 4 and exchanged < BETTER / 4 * straight:
        return "has red and blue exchanged"
    alike = correlation(look.coarse_noisy, look.coarse_clean) > ALIKE
    if alike and _tells(look.coarse_clean, look.noise) and min(means) > 0:
        factor = _contrast(look.coarse_noisy, look.coarse_clean)
        ratio = means[1] / means[0]
        if max(factor, 1 / factor) > BRIGHTER and max(ratio, 1 / ratio) > BRIGHTER ** 0.5:
            return f"has another exposure ({factor:.2f} times as bright)"
    return ""


def _error_with_means(a: np.ndarray, b: np.ndarray) -> float:
    return float(((a - b) ** 2).mean())


def _contrast(noisy: np.ndarray, clean: np.ndarray) -> float:
    """Contrast of the noisy image over that of the clean one, symmetric in the two; 1 where one has none."""
    spread = [float((image - image.mean((0, 1))).std()) for image in (noisy, clean)]
    return spread[0] / spread[1] if min(spread) > 0 else 1.0

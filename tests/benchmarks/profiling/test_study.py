"""The study of what moved the number: every way of sampling once, on a row's networks, and levels that come out."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.profiling import study
from senm.data.pool import ArrayImages, Pairs
from tests.benchmarks.tiny import noisy, photograph


class Model:
    """A noise model whose strength tells how it was sampled."""

    def sample(self, clean, *, seed, device, progress, sampling):  # type: ignore[no-untyped-def]
        strong = 1.0 if sampling["level_curve"] == "calibrated" else 0.5
        for index, image in enumerate(clean):
            level = getattr(clean, "levels", {}).get(clean.names[index], 0.1)
            drawn = np.random.default_rng(index).normal(0, 255 * level * strong, image.shape)
            yield (image + drawn).round().clip(0, 255).astype(np.uint8)


@pytest.fixture
def pairs() -> Pairs:
    names = [f"p{i}" for i in range(4)]
    clean = [photograph(name, 64) // 2 + 60 for name in names]
    return Pairs(ArrayImages(np.stack(clean), names),
                 ArrayImages(np.stack([noisy(n, c) for n, c in zip(names, clean, strict=True)]), names))


def test_every_way_is_measured_once(pairs: Pairs) -> None:
    found = list(study.lines("senm-10", [Model(), Model()], pairs))
    assert len({tuple(line.sampling.items()) for line in found}) == len(found) == 8
    assert len(list(study.ways("senm-all"))) == 4, "no clean pass to take a difference with"
    by_curve = {line.sampling["level_curve"]: line.values[0][0] for line in found}
    assert by_curve["calibrated"] < by_curve["none"], "noise of the right strength is nearer"
    assert found[0].text.startswith("senm-10   standard    none        direct") and " ±0.00 " in found[0].text


def test_levels_that_come_out(pairs: Pairs) -> None:
    made = study.levels_made(Model(), pairs, {"level_curve": "none"})
    assert made == pytest.approx([level / 2 for level in study.LEVELS], rel=0.1)


def test_the_rows_have_released_networks() -> None:
    if not study.networks("senm-10"):
        pytest.skip("results/checkpoints is not in this checkout")
    assert [len(study.networks(row)) for row in study.ROWS] == [3, 3]

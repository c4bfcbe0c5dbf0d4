"""Numbers that must repeat: `python -m ci.golden` measures them, `ci.gate` compares them.

Short trainings log every term of the objective, the sampler and every metric are called on fixed images. The noise
models run in float64, where 20 steps of Adam do not blow rounding up, on one thread: a platform repeats them exactly
and other platforms come within a small tolerance.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.core import environment
from benchmarks.core.record import GoldenRecord
from senm.support.files import write_text

if TYPE_CHECKING:
    import numpy as np

    from senm.config import NoiseModelSettings, PairedModelSettings
    from senm.data.domains import Batch, Domains

Case = dict[str, tuple[float, ...]]
SIDE, STEPS, FEW = 40, 20, 4


def photographs(count: int, stream: str) -> tuple[np.ndarray, np.ndarray]:
    """Smooth coloured waves and the same with signal-dependent noise: uint8 (count, 40, 40, 3) each."""
    import numpy as np

    from senm.support.seeding import rng

    draw = rng("golden", stream)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    waves = draw.uniform(1, 9, (2, count, 1, 1, 3))
    phase = draw.uniform(0, 6.28, (count, 1, 1, 3))
    clean = 0.5 + 0.4 * np.sin(waves[0] * x[None, :, :, None] + waves[1] * y[None, :, :, None] + phase)
    noisy = clean + draw.normal(0, 1, clean.shape) * np.sqrt(0.001 + 0.004 * clean)
    return tuple((np.clip(image, 0, 1) * 255).round().astype(np.uint8) for image in (clean, noisy))  # type: ignore


def domains() -> Domains:
    """Four pairs, five source and six target images."""
    from senm.data.domains import Domains
    from senm.data.pool import ArrayImages, Pairs

    def pool(array: np.ndarray, name: str) -> ArrayImages:
        return ArrayImages(array, [f"{name}{i}" for i in range(len(array))])

    clean, noisy = photographs(4, "pairs")
    source, target = photographs(5, "source")[0], photographs(6, "target")[1]
    return Domains(Pairs(pool(clean, "p"), pool(noisy, "p")), pool(source, "s"), pool(target, "t"))


@contextmanager
def double() -> Iterator[None]:
    """New networks and draws are float64 inside."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def trajectory(settings: NoiseModelSettings | PairedModelSettings, steps: int) -> Case:
    """Every logged value of a short float64 training, by name; a term that a step lacks is left out there."""
    from dataclasses import replace

    from senm.training.train import Training

    found: dict[str, list[float]] = {}
    with double():
        training = Training(settings, domains(), seed=0)
        single = training.sampler.batch

        def batch(step: int) -> Batch:
            given = single(step)
            return replace(given, x=given.x.double(), y=given.y.double())

        training.sampler.batch = batch  # type: ignore[method-assign]
        for _ in range(steps):
            for name, value in training.run_step().items():
                found.setdefault(name, []).append(value)
            found.setdefault("rate", []).append(training.optimiser.param_groups[0]["lr"])
        parts = (training.model, training.level_net, training.critic)
        found["weights"] = [float(sum(p.detach().abs().sum() for p in part.parameters())) for part in parts]
    return {name: tuple(values) for name, values in found.items()}


def noise_models() -> dict[str, Case]:
    """The semi-supervised model in both dialects and the fully paired one; milestones and annealing fall inside."""
    from senm.config import PAIRED_PRESETS, PAPER, PRESETS

    train = {"milestones": (2, 13, 17), "crop": 24, "batch": 4}
    small = PRESETS["smoke"].but(loss={"anneal_steps": 12, "lam": 1e-3}, train=train)
    network = small.network.model_dump()
    paper = PAPER.but(network=network, train=train, loss={"anneal_steps": 12, "lpips_weight": 0.0, "critic_filters": 8})
    defaults = PRESETS["smoke"].but(train={"crop": 24, "batch": 4})
    return {
        "train senm-vae": trajectory(small, STEPS),
        "train senm-vae, default weights": trajectory(defaults, FEW),
        "train senm-vae, paper dialect": trajectory(paper, FEW),
        "train senm-paired": trajectory(PAIRED_PRESETS["smoke"].but(train=train), FEW),
    }


def restorer(name: str, steps: int) -> Case:
    """Losses of a restorer's training, and its number of parameters and of tensors in its state."""
    import baselines
    from senm.support.progress import NullProgress

    system = baselines.get(name)
    settings = system.default_settings("smoke")
    settings = settings.but(
        training={"steps": steps, "batch": 4, "crop": 16, "log_every": 1, "checkpoint_every": steps}
    )
    with TemporaryDirectory() as folder:
        trained = system.fit(
            [domains().paired], settings, seed=0, device="cpu", workdir=Path(folder), progress=NullProgress()
        )
        lines = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    state = trained.network.state_dict()
    return {
        "loss": tuple(float(line["loss"]) for line in lines),
        "parameters": (float(sum(p.numel() for p in trained.network.parameters())), float(len(state))),
    }


def sampler() -> dict[str, Case]:
    """Noise on one clean image under three names, in float64 and through the tool.

    A new network hardly uses its latents, so its weights are disturbed until every part of it shows.
    """
    import numpy as np
    import torch

    from senm.config import PRESETS
    from senm.data.pool import ArrayImages
    from senm.model import SeNMVAE
    from senm.sampling.noise import image_noise
    from senm.sampling.sampler import sample_images
    from senm.support.seeding import seed

    names = ["a", "b", "c"]
    clean = np.repeat(photographs(1, "sampled")[0], 3, axis=0)
    with double():
        torch.manual_seed(seed("golden", "network"))
        network = SeNMVAE(PRESETS["smoke"].network).eval()
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(0.06 * torch.randn(weight.shape))
        noise = image_noise(network, names, (SIDE, SIDE), 0, torch.device("cpu"))
        draws = {name: [layer.double() for layer in layers] for name, layers in noise.items()}
        x = torch.from_numpy(clean).permute(0, 3, 1, 2).double() / 255
        with torch.inference_mode():
            exact = network.translate(x, torch.tensor([0.0, 0.05, 0.2]), 1.0, draws)
        means, spreads = tuple(exact.mean((1, 2, 3)).tolist()), tuple(exact.std((1, 2, 3)).tolist())
        spread_of_draws = {f"draws {k}": tuple(float(z.std()) for z in layers) for k, layers in draws.items()}
    made = np.stack(
        list(sample_images(network.float(), ArrayImages(clean, names), levels=lambda name: 0.05, seed=0, batch=2))
    ).astype(np.float64)
    residual = made - clean
    apart = [float(np.abs(residual[i] - residual[j]).mean()) for i, j in ((0, 1), (0, 2), (1, 2))]
    return {
        "sample, float64": {"mean": means, "spread": spreads, **spread_of_draws},
        "sample, uint8": {"mean": tuple(residual.mean((1, 2, 3)).tolist()), "between images": tuple(apart)},
    }


def metrics() -> Case:
    """Every metric of this project that needs no published weights, on three fixed images; no library's own score."""
    from benchmarks.metrics import METRICS

    clean, noisy = photographs(3, "metrics")
    other = photographs(3, "metrics, generated")[1] // 2 + noisy // 2
    found: Case = {}
    for name, metric in METRICS.items():
        if metric.weights or metric.kind == "no-reference":
            continue
        if metric.kind == "pairwise":
            given: dict[str, Any] = {"reference": clean, "restored": noisy}
        else:
            given = {"generated": other, "real": noisy, "clean": clean}
        found[name] = tuple(metric.values(**given)) or (metric(**given),)
    return found


def measure() -> GoldenRecord:
    """All golden numbers of this platform, on one thread."""
    clock = environment.Clock()
    with environment.threads(1):
        cases = noise_models()
        cases["train dncnn"] = restorer("dncnn", FEW)
        cases.update(sampler())
        cases["metrics"] = metrics()
    return GoldenRecord(platform=environment.golden_key(), cases=cases, provenance=environment.provenance(clock=clock))


def main(arguments: list[str]) -> int:
    """Write the record to the file given, or to standard output."""
    environment.deterministic(True)
    text = measure().model_dump_json(indent=1) + "\n"
    if not arguments:
        sys.stdout.write(text)
        return 0
    write_text(Path(arguments[0]), text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

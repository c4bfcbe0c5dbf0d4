"""The planted defects of `ci.mutation_test`: each one a small textual change that a careless edit could make."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Defect:
    """Replace `old`, which must occur exactly once in `file`, by `new`."""

    name: str
    file: str
    old: str
    new: str


DEFECTS = (
    Defect(
        "KL sign",
        "senm/gaussians.py",
        "distance.square() - 1.0 - ratio)",
        "distance.square() - 1.0 + ratio)",
    ),
    Defect(
        "level plane dropped",
        "senm/model.py",
        "p_n: Gaussian = self.p_zn[i](decoded, level)",
        "p_n: Gaussian = self.p_zn[i](decoded, torch.zeros_like(level))",
    ),
    Defect(
        "lambda off by 100",
        "senm/losses.py",
        "s.kl_weight * s.lam *",
        "s.kl_weight * 100 * s.lam *",
    ),
    Defect(
        "posterior used in sampling",
        "senm/model.py",
        "z_n = temperature * p_n.draw(",
        "z_n = temperature * self.q_zn[i](decoded, level).draw(",
    ),
    Defect(
        "DnCNN without batch norm",
        "baselines/dncnn.py",
        'act_mode="BR" if size.norm else "R"',
        'act_mode="R"',
    ),
    Defect(
        "KLD direction swapped",
        "benchmarks/metrics/distribution.py",
        "return _level_divergence(png_grey(generated), png_grey(real))",
        "return _level_divergence(png_grey(real), png_grey(generated))",
    ),
    Defect(
        "grey conversion rounded",
        "benchmarks/metrics/distribution.py",
        "return (weighted >> 15).astype(np.uint8)",
        "return ((weighted + (1 << 14)) >> 15).astype(np.uint8)",
    ),
    Defect(
        "PSNR on floats",
        "benchmarks/metrics/pairwise.py",
        "return _psnr(*uint8(reference, restored), peak=PEAK)",
        "return _psnr(*units(reference, restored), peak=1.0)",
    ),
    Defect(
        "noise reused between images",
        "senm/noise.py",
        "(seed, name, latent, layer)",
        "(seed, latent, layer)",
    ),
    Defect(
        "one side of a pair augmented",
        "senm/data/domains.py",
        "np.concatenate([turn[:p], turn[p + s:]])",
        "np.concatenate([0 * turn[:p], turn[p + s:]])",
    ),
    Defect(
        "target and source swapped",
        "senm/data/domains.py",
        "CropReader(domains.source, crop), CropReader(domains.target, crop)",
        "CropReader(domains.target, crop), CropReader(domains.source, crop)",
    ),
    Defect(
        "learning-rate schedule off by one",
        "senm/train.py",
        "sum(step >= milestone for milestone in t.milestones)",
        "sum(step > milestone for milestone in t.milestones)",
    ),
    Defect(
        "KL not annealed",
        "senm/losses.py",
        "return min(step / s.anneal_steps, 1.0) if s.anneal_steps else 1.0",
        "return 1.0",
    ),
    Defect(
        "generated images truncated to 8 bit",
        "senm/sample.py",
        ".clamp(0, 1) * 255).round()",
        ".clamp(0, 1) * 255)",
    ),
    Defect(
        "critic not trained",
        "senm/train.py",
        "            loss.backward()\n            self.critic_optimiser.step()",
        "            loss.backward()",
    ),
    Defect(
        "variance taken for standard deviation",
        "senm/gaussians.py",
        "return self.mean + self.log_std.exp() * eps",
        "return self.mean + (2 * self.log_std).exp() * eps",
    ),
)

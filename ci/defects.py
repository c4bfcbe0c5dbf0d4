"""The planted defects of `ci.mutation_test`: each one a small textual change that a careless edit could make."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Defect:
    """Replace `old`, which must occur exactly once in `file`, by `new`; the tests in `near` run before all others."""

    name: str
    file: str
    old: str
    new: str
    near: str


DEFECTS = (
    Defect(
        "KL sign",
        "senm/gaussians.py",
        "distance.square() - 1.0 - ratio)",
        "distance.square() - 1.0 + ratio)",
        "tests/senm/test_gaussians.py",
    ),
    Defect(
        "level plane dropped",
        "senm/model.py",
        "p_n: Gaussian = self.p_zn[i](decoded, level)",
        "p_n: Gaussian = self.p_zn[i](decoded, torch.zeros_like(level))",
        "tests/senm/test_official_vectors.py",
    ),
    Defect(
        "lambda off by 100",
        "senm/losses.py",
        "kl_weight(s) * s.lam *",
        "kl_weight(s) * 100 * s.lam *",
        "tests/senm/test_losses.py",
    ),
    Defect(
        "posterior used in sampling",
        "senm/model.py",
        "z_n = temperature * p_n.draw(",
        "z_n = temperature * self.q_zn[i](decoded, level).draw(",
        "tests/senm/test_official_vectors.py",
    ),
    Defect(
        "DnCNN without batch norm",
        "baselines/restorers/dncnn.py",
        'act_mode="BR" if size.norm else "R"',
        'act_mode="R"',
        "tests/baselines/restorers/test_networks.py",
    ),
    Defect(
        "KLD direction swapped",
        "benchmarks/metrics/distribution.py",
        "return _level_divergence(png_grey(generated), png_grey(real))",
        "return _level_divergence(png_grey(real), png_grey(generated))",
        "tests/benchmarks/metrics/test_vectors.py",
    ),
    Defect(
        "grey conversion rounded",
        "benchmarks/metrics/distribution.py",
        "return (weighted >> 15).astype(np.uint8)",
        "return ((weighted + (1 << 14)) >> 15).astype(np.uint8)",
        "tests/benchmarks/metrics/test_vectors.py",
    ),
    Defect(
        "PSNR on floats",
        "benchmarks/metrics/pairwise.py",
        "return _psnr(*uint8(reference, restored), peak=PEAK)",
        "return _psnr(*units(reference, restored), peak=1.0)",
        "tests/benchmarks/metrics/test_vectors.py",
    ),
    Defect(
        "noise reused between images",
        "senm/sampling/noise.py",
        "(seed, name, latent, layer)",
        "(seed, latent, layer)",
        "tests/senm/sampling/test_sampler.py",
    ),
    Defect(
        "one side of a pair augmented",
        "senm/data/domains.py",
        "np.concatenate([turn[:p], turn[p + s:]])",
        "np.concatenate([0 * turn[:p], turn[p + s:]])",
        "tests/senm/data/test_domains.py",
    ),
    Defect(
        "target and source swapped",
        "senm/data/domains.py",
        "CropReader(domains.source, crop), CropReader(domains.target, crop)",
        "CropReader(domains.target, crop), CropReader(domains.source, crop)",
        "tests/senm/data/test_domains.py",
    ),
    Defect(
        "learning-rate schedule off by one",
        "senm/training/train.py",
        "sum(step >= milestone for milestone in t.milestones)",
        "sum(step > milestone for milestone in t.milestones)",
        "tests/senm/training/test_train.py",
    ),
    Defect(
        "KL not annealed",
        "senm/losses.py",
        "return min(step / s.anneal_steps, 1.0) if s.anneal_steps else 1.0",
        "return 1.0",
        "tests/senm/test_losses.py",
    ),
    Defect(
        "generated images truncated to 8 bit",
        "senm/sampling/sampler.py",
        ".clamp(0, 1) * 255).round()",
        ".clamp(0, 1) * 255)",
        "tests/senm/sampling/test_sampler.py",
    ),
    Defect(
        "critic not trained",
        "senm/training/train.py",
        "self.critic_optimiser.step()",
        "pass",
        "tests/senm/training/test_train.py",
    ),
    Defect(
        "variance taken for standard deviation",
        "senm/gaussians.py",
        "return self.mean + self.log_std.exp() * eps",
        "return self.mean + (2 * self.log_std).exp() * eps",
        "tests/senm/test_gaussians.py",
    ),
)

"""More planted defects: those that once passed every test, each with the test that catches its kind."""

from __future__ import annotations

from ci.defects import DEFECTS, Defect

RECIPES = "tests/benchmarks/tables/test_recipes.py"
REDUCTIONS = "tests/baselines/test_reductions.py"
TRAININGS = "tests/benchmarks/running/test_trainings.py"
LEVELS = "tests/senm/test_level.py"
GATE = "tests/ci/test_gate.py"
CLAIMS = "tests/benchmarks/judging/test_claims.py"
FITTED = "\n        device=bench.device,\n        workdir=work,\n        progress=bench.progress,\n    )"

MORE = (
    Defect("one level for all images", "senm/level.py",
           'levels[int(seeding.rng("level", *stream).integers(len(levels)))]', "levels[0]", LEVELS),
    Defect("one level on the line of SIDD", "senm/level.py",
           'draw = seeding.rng("level", *stream)', 'draw = seeding.rng("level", stream[0])', LEVELS),
    Defect("zero mean by image", "baselines/noise/c2n/model.py",
           "(fake - clean).mean(dim=(0, 2, 3)).abs().sum()", "(fake - clean).mean(dim=(2, 3)).abs().mean(0).sum()",
           REDUCTIONS),
    Defect("table 2 without the real pairs", "benchmarks/tables/table2.py",
           '("drunet", pairs=pairs, pool="source")', '("drunet", pairs=0, pool="source")', RECIPES),
    Defect("synthetic pairs of the training pool", "benchmarks/tables/table2.py",
           'pairs=pairs, pool="source"', 'pairs=pairs, pool="train"', RECIPES),
    Defect("fine-tuning without its start", "benchmarks/running/steps.py",
           'start=inputs["start"] / "model" if "start" in inputs else None,', "start=None,", TRAININGS),
    Defect("replicates that share a seed", "benchmarks/running/steps.py",
           f"seed=step.seed,{FITTED}", f"seed=0,{FITTED}", TRAININGS),
    Defect("a mistyped printed number", "results/reference/paper.json", "37.28", "37.82", RECIPES),
    Defect("average inverted", "baselines/fitting/training.py",
           "mine.lerp_(other, 1 - decay)", "mine.lerp_(other, decay)", REDUCTIONS),
    Defect("padding with zeros", "baselines/fitting/restorer.py",
           "F.pad(image, (0, beside, 0, below), mode=mode)", "F.pad(image, (0, beside, 0, below))", REDUCTIONS),
    Defect("features of another range", "baselines/super_resolution/esrgan/step.py",
           "single(self.distance(fake, high)).mean()", "single(self.distance(fake, high * 2 - 1)).mean()", REDUCTIONS),
    Defect("DRUNet without its initialisation", "baselines/restorers/drunet.py",
           "        orthogonal_(network)\n", "", REDUCTIONS),
    Defect("a milestone of DRUNet left out", "baselines/restorers/drunet.py",
           "= (100_000, 200_000)", "= (200_000,)", RECIPES),
    Defect("betas of NAFNet", "baselines/restorers/nafnet.py", "= (0.9, 0.9)", "= (0.9, 0.999)", RECIPES),
    Defect("no correction over comparisons", "benchmarks/judging/predicates.py",
           "LEVEL / (len(order) - rank)", "LEVEL", CLAIMS),
    Defect("a table that is not recomputed", "ci/gate.py", "for each in contradictions(found,",
           "for each in [] and contradictions(found,", GATE),
)
ALL = (*DEFECTS, *MORE)

"""Made-up results for the report tests: every table of the paper with noisy numbers, strips, curves and a history."""

from __future__ import annotations

import numpy as np

from benchmarks.core.record import Cell, Provenance, Row, TableResult
from benchmarks.judging.claims import judge_result
from benchmarks.judging.compare import compare_table, printed
from benchmarks.report.context import ReportContext, Sweep, from_strips
from benchmarks.report.parts.history import HistoryEntry
from benchmarks.report.strips import Strip
from benchmarks.tables import NAMES, table

PLANTED = "<script>window.planted = 1</script>"
QUOTED = ("deflow", "lud-vae", "danet", "flow-srgb", "neca-w")
MACHINE = {"system": "linux x86_64", "processor": "Example CPU", "threads": "2", "device": "cpu"}


def result(name: str, scale: str = "paper", data: str = "sidd", seeds: tuple[int, ...] = (0, 1, 2)) -> TableResult:
    """A table whose cells lie near the printed ones, with every state, claims and deviations."""
    spec, rng = table(name), np.random.default_rng(len(name) + 7 * len(scale))
    reference = printed().table(name)
    rows, cells = [], []
    for row in spec.rows:
        ours = row.id not in QUOTED
        rows.append(Row(
            id=row.id, label=row.label, paired=row.paired, filled="trained" if ours else "quoted",
            note=row.note or ("" if ours else "not built here"), paper=row.paper,
        ))
        for column in spec.columns:
            place = {"row": row.id, "column": column.id}
            paper = reference.get((row.id, column.id))
            if column.metric.endswith("_server"):
                state, reason = "needs server", "scored only by the benchmark's server"
                cells.append(Cell(**place, state=state, reason=reason, paper=paper.value if paper else None))
            elif not ours:
                state = "quoted" if paper else "not run"
                cells.append(Cell(**place, state=state, reason="not built here", paper=paper.value if paper else None))
            else:
                start = paper.value if paper else {"higher": 0.8, "lower": 0.05}[column.better]
                values = tuple(start * (1 + 0.02 * float(rng.standard_normal())) for _ in seeds)
                mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
                cells.append(Cell(
                    **place, state="measured", values=values, mean=mean, spread=spread, images=1280,
                    interval=(mean * 0.99, mean * 1.01), paper=paper.value if paper else None,
                ))
    made = TableResult(
        table=name, caption=spec.caption, data=data, scale=scale, seeds=seeds, rows=tuple(rows), columns=spec.columns,
        cells=tuple(cells), notes=spec.notes,
        deviations=("data: embedded instead of sidd", "senm-vae: steps 40 instead of 300000 (budget of the scale)"),
        provenance=Provenance(
            started="2026-05-04T10:20:30+00:00", wall_seconds=151.2, git="0123456789ab", versions={"torch": "2.12.0"},
            machine=MACHINE, command=f"run.py {name} --scale {scale}",
        ),
    )
    made = compare_table(made)
    return made.model_copy(update={"claims": judge_result(made)})


def results(scale: str = "paper") -> list[TableResult]:
    """All seven tables and the figure."""
    return [result(name, scale) for name in NAMES]


def photograph(side: int = 160, seed: int = 0) -> np.ndarray:
    """A smooth picture with one textured corner: uint8 (side, side, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    image = np.stack([60 + 120 * x, 90 + 60 * y, 160 - 80 * x * y], axis=2)
    image[: side // 3, : side // 3] += 60 * np.sign(np.sin(40 * x + 25 * y))[: side // 3, : side // 3, None]
    return np.clip(image + rng.normal(0, 0.5, image.shape), 0, 255).astype(np.uint8)


def camera_noise(clean: np.ndarray, seed: int, strength: float = 1.0, correlated: bool = True) -> np.ndarray:
    """Signal-dependent noise, blurred along rows where `correlated`; uint8."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, clean.shape) + 0.6 * rng.normal(0, 1, (*clean.shape[:2], 1))
    if correlated:
        noise = (noise + 0.7 * np.roll(noise, 1, axis=1) + 0.4 * np.roll(noise, 1, axis=0)) / 1.3
    sigma = strength * np.sqrt(4 + 0.12 * clean.astype(float))
    return np.clip(clean + sigma * noise, 0, 255).round().astype(np.uint8)


def strips(image: str = "photograph 1") -> tuple[Strip, ...]:
    """One noise strip and one restoration strip of a made-up photograph."""
    clean = photograph()
    noisy = camera_noise(clean, 1)
    systems = ["C2N", "SeNM-VAE (10)", "SeNM-VAE (96)", "SeNM-VAE (960)", "SeNM-VAE (all)", "White Gaussian (10)"]
    generated = {
        label: camera_noise(clean, 2 + i, 1.5 - 0.1 * i, "Gaussian" not in label) for i, label in enumerate(systems)
    }
    restored = {
        label: ((noisy.astype(int) + (2 + i) * clean.astype(int)) // (3 + i)).astype(np.uint8)
        for i, label in enumerate(systems)
    }
    return (
        Strip("noise", image, {"clean": clean, "noisy": noisy, **generated}, "table1"),
        Strip("restoration", image, {"noisy": noisy, **restored, "clean": clean}, "table1"),
    )


def log(seed: int, steps: int = 400) -> list[dict[str, object]]:
    """A training log with a falling loss and nested terms."""
    rng = np.random.default_rng(seed)
    return [
        {"step": s, "loss": float(900 * np.exp(-s / 90) + 30 + 4 * rng.random()), "lr": 1e-4 * 0.5 ** (s // 150),
         "terms": {"kl_z": float(3 + np.sin(s / 40) + rng.random()), "lpips": float(0.4 * np.exp(-s / 200) + 0.02)}}
        for s in range(0, steps, 4)
    ]


def profile() -> dict[str, object]:
    """A record in the form of the sampler profiler, one arm of which failed."""
    part = {"gflop": 10.25, "mib": 20.0, "tflop_s": 0.5, "utilisation": 0.5}
    return {
        "version": 1, "model": "senm", "scale": "short", "case": {"batch": 8, "size": 128},
        "failures": [{"name": "memory", "reason": "out of time"}], "peaks": {"conv_float32": 1.0}, "parts_peak": 1.0,
        "parts_arm": "fast float32", "provenance": {"machine": MACHINE},
        "arms": [
            {"name": "plain float32", "status": "ok", "seconds": 0.5, "q25": 0.45, "q75": 0.6, "speedup": 1.0,
             "max_difference": 6e-8},
            {"name": "fast bf16", "status": "failed", "reason": "no bf16 here"},
        ],
        "parts": [
            {"layer": 0, "part": "encoder", **part, "ms": 35.0, "share": 0.35},
            {"layer": 0, "part": "decoder", **part, "ms": 65.0, "share": 0.65},
        ],
        "scaling": [{"pixels": n, "seconds": n / 40960, "status": "ok"} for n in (4096, 16384)],
    }


def context(image: str = "photograph 1") -> ReportContext:
    """A context with every part."""
    shown = strips(image)
    weights = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
    sweep = tuple((w, (17 + (i - 3) ** 2 / 4, 17.3 + (i - 3) ** 2 / 4)) for i, w in enumerate(weights))
    accepted = tuple(
        HistoryEntry(f"2026-0{month}-02T08:00:00", "linux-x86_64-cpu", "table1", "embedded", "short",
                     reason="first run" if month == 3 else "longer training", git="0123456789ab",
                     values={"senm-10 / kld": 0.03 + 0.001 * month})
        for month in (3, 4)
    )
    return ReportContext(
        strips=shown,
        noise_stats=from_strips(shown),
        curves={f"SeNM-VAE {n} fit (seed 0)": log(n) for n in (10, 96, 960)},
        figure7=(Sweep("FID", "lower", sweep), Sweep("KLD", "lower", sweep), Sweep("PSNR", "higher", sweep)),
        profile=profile(),
        history=accepted,
    )

"""Figure 7: the weight of the KL term of z, at 10 pairs."""

from __future__ import annotations

from benchmarks.tables import ALL, Mix, Noise, RowSpec, TableSpec, noise_columns
from benchmarks.tables.table1 import DNCNN

LAMBDAS = ("1e-9", "1e-8", "1e-7", "1e-6", "1e-5", "1e-4", "1e-3")


def row(value: str) -> RowSpec:
    """SeNM-VAE with 10 pairs, all unpaired images and this lambda."""
    noise = Noise("senm-vae", Mix(10, ALL, ALL), {"loss.lam": float(value)})
    return RowSpec(f"lambda-{value}", f"lambda {value}", "10", noise, DNCNN)


TABLE = TableSpec(
    id="figure7",
    caption="Noise quality against lambda, the weight of the KL term of z, 10 pairs",
    task="noise",
    rows=tuple(row(value) for value in LAMBDAS),
    columns=noise_columns(),
    paper_data="sidd",
    plot="lambda",
    notes=("The paper plots this figure without printing its values, so no cell is compared; its claim is judged.",),
)

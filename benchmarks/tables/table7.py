"""Table 7: how many unpaired images of which domain it takes, at 10 pairs."""

from __future__ import annotations

from benchmarks.tables import ALL, Mix, Noise, RowSpec, TableSpec, noise_columns
from benchmarks.tables.table1 import DNCNN

MIXES = ((0, 0), (96, 96), (960, 960), (ALL, 0), (0, ALL), (ALL, ALL))


def row(source: int | None, target: int | None) -> RowSpec:
    """SeNM-VAE with 10 pairs, this many source and this many target images."""
    words = ["all" if count is None else str(count) for count in (source, target)]
    label = f"10 pairs, {words[0]} source, {words[1]} target"
    return RowSpec(f"10-{words[0]}-{words[1]}", label, "10", Noise("senm-vae", Mix(10, source, target)), DNCNN)


TABLE = TableSpec(
    id="table7",
    caption="Noise quality with different numbers of unpaired images, 10 pairs",
    task="noise",
    rows=tuple(row(source, target) for source, target in MIXES),
    columns=noise_columns(),
    paper_data="sidd",
)

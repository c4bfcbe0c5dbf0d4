"""Table 6: what the reconstruction of the clean image is worth."""

from __future__ import annotations

from benchmarks.tables import ALL, Mix, Noise, RowSpec, TableSpec, noise_columns
from benchmarks.tables.table1 import DNCNN, semi

WITHOUT = Noise("senm-vae", Mix(10, ALL, ALL), {"loss.reconstruct_x": False})

TABLE = TableSpec(
    id="table6",
    caption="Ablation of the reconstruction of the clean image, 10 pairs",
    task="noise",
    rows=(
        RowSpec("without-recon-x", "without reconstruction of x", "10", WITHOUT, DNCNN),
        RowSpec("with-recon-x", "with reconstruction of x", "10", semi(10), DNCNN),
    ),
    columns=noise_columns(),
    paper_data="sidd",
)

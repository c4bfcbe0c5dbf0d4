"""Tables 4 and 5: x4 super-resolution with an ESRGAN trained on synthetic low-resolution images."""

from __future__ import annotations

from benchmarks.tables import Restoration, RowSpec, TableSpec, sr_columns
from benchmarks.tables.table1 import semi

ROWS = (
    RowSpec("fssr", "FSSR", "0", weights="fssr"),
    RowSpec("impressionism", "Impressionism", "0", weights="impressionism"),
    RowSpec("dasr", "DASR", "0", weights="dasr"),
    RowSpec("deflow", "DeFlow", "0", weights="deflow"),
    RowSpec("lud-vae", "LUD-VAE", "0", weights="lud-vae"),
    RowSpec("esrgan", "ESRGAN", "10", restorer=Restoration("esrgan", pairs=10)),
    RowSpec("senm", "SeNM-VAE", "10", semi(10), Restoration("esrgan", pairs=10, pool="source")),
)


def sr_table(name: str, data: str, title: str) -> TableSpec:
    """Table 4 or 5: the same rows on another data set."""
    return TableSpec(
        id=name,
        caption=f"Super-resolution x4 ({title}); ESRGAN and SeNM-VAE use 10 pairs",
        task="sr",
        rows=ROWS,
        columns=sr_columns(),
        paper_data=data,
        notes=("The noise is what remains between the low-resolution image and a bicubic reduction of the clean one.",),
    )


TABLE = sr_table("table4", "aim19", "AIM19 in the paper")

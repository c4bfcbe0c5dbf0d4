"""Table 3: NAFNet fine-tuned on synthetic pairs of the fully paired model."""

from __future__ import annotations

from benchmarks.tables import ALL, Restoration, RowSpec, TableSpec, measured
from benchmarks.tables.table1 import FULL
from benchmarks.tables.table2 import server_columns, validation_columns

NAFNET = Restoration("nafnet", pairs=ALL)
FINETUNED = Restoration("nafnet-finetune", pairs=ALL, pool="train", start=NAFNET)

PSNR_8_BIT = measured("val-psnr-8-bit", "PSNR (8-bit)", "psnr_rgb_uint8", "higher", 2, group="validation", extra=True)
ROWS = (
    RowSpec("uformer", "Uformer", "all", restorer=Restoration("uformer", pairs=ALL), weights="uformer"),
    RowSpec("maxim", "MAXIM", "all", restorer=Restoration("maxim", pairs=ALL), weights="maxim"),
    RowSpec("restormer", "Restormer", "all", restorer=Restoration("restormer", pairs=ALL), weights="restormer"),
    RowSpec("nafnet", "NAFNet", "all", restorer=NAFNET, weights="nafnet"),
    RowSpec("senm-nafnet", "SeNM-VAE", "all", FULL, FINETUNED, note="NAFNet fine-tuned on synthetic and real pairs"),
)

TABLE = TableSpec(
    id="table3",
    caption="Denoising; NAFNet is fine-tuned on synthetic pairs of the fully paired SeNM-VAE",
    task="denoise",
    rows=ROWS,
    columns=(
        *validation_columns("psnr_float_clamped", "ssim_3d_uint8", "ssim_2d_valid_rgb"),
        PSNR_8_BIT,
        *server_columns(("bench",)),
    ),
    paper_data="sidd",
    notes=("PSNR is that of outputs which are not rounded to 8 bit, as in the evaluations of the printed systems.",),
)

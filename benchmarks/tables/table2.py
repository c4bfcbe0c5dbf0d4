"""Table 2: a DRUNet trained on few pairs, with and without synthetic pairs beside them."""

from __future__ import annotations

from benchmarks.core.record import Column
from benchmarks.tables import ALL, Restoration, RowSpec, TableSpec, measured
from benchmarks.tables.table1 import UNPAIRED, semi


def alone(name: str, pairs: int | None) -> RowSpec:
    """DRUNet trained on the pairs and nothing else."""
    return RowSpec(f"drunet-{name}", "DRUNet", name, restorer=Restoration("drunet", pairs=pairs))


def unpaired(system: str) -> Restoration:
    """A denoiser that is trained without pairs, on the images of the source and the target domain or one of them."""
    return Restoration(system, unpaired=UNPAIRED)


def augmented(pairs: int) -> RowSpec:
    """DRUNet trained on the pairs and on synthetic noise put on the clean images of the source domain."""
    return RowSpec(
        f"senm-{pairs}", "SeNM-VAE", str(pairs), semi(pairs), Restoration("drunet", pairs=pairs, pool="source")
    )


def server_columns(names: tuple[str, ...] = ("bench", "dnd")) -> tuple[Column, ...]:
    """Columns that only the benchmark servers can fill."""
    groups = {"bench": "SIDD benchmark", "dnd": "DND benchmark"}
    return tuple(
        Column(
            id=f"{name}-{kind}",
            label=kind.upper(),
            metric=f"{kind}_server",
            split=name,
            better="higher",
            group=groups[name],
            digits=2 if kind == "psnr" else 3,
        )
        for name in names
        for kind in ("psnr", "ssim")
    )


def validation_columns(psnr: str, ssim: str, other: str) -> tuple[Column, ...]:
    """PSNR and SSIM on the validation images; the other SSIM convention comes as an extra column."""
    digits = 4 if ssim == "ssim_2d_valid_rgb" else 3
    dimensions = "3-D" if "3d" in other else "2-D"
    return (
        measured("val-psnr", "PSNR", psnr, "higher", 2, group="validation"),
        measured("val-ssim", "SSIM", ssim, "higher", digits, group="validation"),
        measured("val-ssim-other", f"SSIM ({dimensions})", other, "higher", 4, group="validation", extra=True),
    )


ROWS = (
    RowSpec("n2v", "N2V", "0", restorer=unpaired("n2v"), weights="n2v"),
    RowSpec("n2s", "N2S", "0", restorer=unpaired("n2s"), weights="n2s"),
    RowSpec("cvf-sid", "CVF-SID", "0", restorer=unpaired("cvf_sid"), weights="cvf-sid"),
    RowSpec("ap-bsn-r3", "AP-BSN + R3", "0", restorer=unpaired("apbsn"), weights="ap-bsn-r3"),
    RowSpec("scpgabnet", "SCPGabNet", "0", restorer=unpaired("scpgabnet"), weights="scpgabnet"),
    RowSpec("sdap", "SDAP(S)(E)", "0", restorer=unpaired("sdap"), weights="sdap"),
    alone("10", 10),
    augmented(10),
    alone("96", 96),
    augmented(96),
    alone("960", 960),
    augmented(960),
    alone("all", ALL),
    RowSpec("vdn", "VDN", "all", restorer=Restoration("vdn", pairs=ALL), weights="vdn"),
    RowSpec("deamnet", "DeamNet", "all", restorer=Restoration("deamnet", pairs=ALL), weights="deamnet"),
)

TABLE = TableSpec(
    id="table2",
    caption="Denoising; DRUNet is the downstream denoiser",
    task="denoise",
    rows=ROWS,
    columns=(*validation_columns("psnr_rgb_uint8", "ssim_2d_valid_rgb", "ssim_3d_uint8"), *server_columns()),
    paper_data="sidd",
    notes=(
        "Validation SSIM is the two-dimensional one, as in the paper's table 2; table 3 has the three-dimensional one.",
    ),
)

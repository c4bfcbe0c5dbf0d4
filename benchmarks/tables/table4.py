"""Tables 4 and 5: x4 super-resolution with an ESRGAN trained on synthetic low-resolution images."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.tables import Noise, Restoration, RowSpec, TableSpec, sr_columns
from benchmarks.tables.table1 import UNPAIRED, semi

PSNR = Restoration("rrdb-psnr", pool="source", clean=True)
"""The common start of the adversarial trainings, but for DASR's, which begins from nothing."""


def degraded(id: str, label: str, system: str, restorer: str = "esrgan") -> RowSpec:
    """An enlarger trained on what a degradation model makes of the clean low-resolution images; no pairs."""
    training = Restoration(restorer, pairs=0, pool="source", start=PSNR)
    if restorer == "esrgan-dasr":
        training = replace(training, start=None, guided=True)
    return RowSpec(id, label, "0", Noise(system, UNPAIRED), training, weights=id)


def rows(data: str) -> tuple[RowSpec, ...]:
    """The rows on a data set of the paper; two systems have a configuration for each."""
    return (
        degraded("fssr", "FSSR", "fssr", "esrgan-fssr"),
        degraded("impressionism", "Impressionism", "impressionism"),
        degraded("dasr", "DASR", "dasr", "esrgan-dasr"),
        degraded("deflow", "DeFlow", f"deflow-{data}"),
        degraded("lud-vae", "LUD-VAE", f"lud-vae-{data}"),
        RowSpec("esrgan", "ESRGAN", "10", restorer=Restoration("esrgan", pairs=10, start=PSNR)),
        RowSpec("senm", "SeNM-VAE", "10", semi(10), Restoration("esrgan", pairs=10, pool="source", start=PSNR)),
    )


def sr_table(name: str, data: str, title: str) -> TableSpec:
    """Table 4 or 5: the same rows on another data set."""
    return TableSpec(
        id=name,
        caption=f"Super-resolution x4 ({title}); ESRGAN and SeNM-VAE use 10 pairs",
        task="sr",
        rows=rows(data),
        columns=sr_columns(),
        paper_data=data,
        notes=("The noise is what remains between the low-resolution image and a bicubic reduction of the clean one.",),
    )


TABLE = sr_table("table4", "aim19", "AIM19 in the paper")

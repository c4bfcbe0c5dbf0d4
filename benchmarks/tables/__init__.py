"""The paper's tables as data: rows say which systems are trained on what, columns say what is measured.

A table holds no code that runs anything; `benchmarks.planning.plan` turns it into steps.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from benchmarks.core.record import Column
from senm.support.errors import unknown

Task = Literal["noise", "denoise", "sr"]
NAMES = ("table1", "table2", "table3", "table4", "table5", "table6", "table7", "figure7")
ALL = None  # "all of them", as the number of pairs or images


@dataclass(frozen=True)
class Mix:
    """How many pairs, source (clean) and target (noisy) images a training sees; None means all there are."""

    paired: int | None
    source: int | None
    target: int | None


@dataclass(frozen=True)
class Noise:
    """A noise model to be trained: its registry name, its data, and what differs from its settings at the scale.

    The system 'real' stands for the real noisy images themselves: nothing is trained or sampled. `sampling` changes how
    a trained SeNM-VAE is sampled from (`senm.config.SamplingSettings`), so that rows can share one training.
    """

    system: str
    mix: Mix
    changes: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Restoration:
    """A restorer to be trained.

    Args:
        system: registry name.
        pairs: number of real pairs it sees; 0 = none, None = all.
        pool: which clean images get synthetic noise ('train' or 'source'); '' = no synthetic pairs.
        start: the training whose network this one continues, or None to start from nothing.
        unpaired: for a restorer that needs no pairs, the source and target images it sees instead.
        clean: whether it sees the clean images of `pool` as they are, in place of synthetic noise on them: enlarging.
        guided: whether the noise model tells how near each pixel is to the target domain (DASR).
        changes: settings that differ from the system's settings at the scale.
    """

    system: str
    pairs: int | None = 0
    pool: str = ""
    start: Restoration | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    unpaired: Mix | None = None
    guided: bool = False
    clean: bool = False


@dataclass(frozen=True)
class RowSpec:
    """A row: `noise` and `restorer` say how it is made; a row with neither is quoted from the paper.

    `weights` names a published checkpoint that can fill the row instead (see `baselines.published.weights`). `paper`
    says whether the paper prints the row, `plugin` that it is a user's own system, `external` a folder of images made
    elsewhere.
    """

    id: str
    label: str
    paired: str = ""
    noise: Noise | None = None
    restorer: Restoration | None = None
    weights: str = ""
    paper: bool = True
    note: str = ""
    plugin: bool = False
    external: str = ""

    @property
    def made(self) -> bool:
        """Whether this project can train the row."""
        return self.noise is not None or self.restorer is not None


@dataclass(frozen=True)
class TableSpec:
    """A table: what its rows are, what its columns measure, and on which data sets the paper does so."""

    id: str
    caption: str
    task: Task
    rows: tuple[RowSpec, ...]
    columns: tuple[Column, ...]
    paper_data: str
    notes: tuple[str, ...] = ()
    plot: str = ""

    def row(self, name: str) -> RowSpec:
        """The row of this id.

        Raises:
            UsageError: there is none; the nearest id is suggested.
        """
        for row in self.rows:
            if row.id == name:
                return row
        raise unknown(f"row of {self.id}", name, [row.id for row in self.rows])


def table(name: str) -> TableSpec:
    """The table of this name.

    Raises:
        UsageError: there is none; the nearest name is suggested.
    """
    if name not in NAMES:
        raise unknown("table", name, [*NAMES, "all"])
    found: TableSpec = importlib.import_module(f"benchmarks.tables.{name}").TABLE
    return found


def measured(
    id: str, label: str, metric: str, better: Literal["lower", "higher"], digits: int = 3, *, group: str = "",
    extra: bool = False,
) -> Column:
    """A column that is measured here, on the validation images."""
    return Column(
        id=id, label=label, metric=metric, split="validation", better=better, group=group, digits=digits, extra=extra
    )


def noise_columns() -> tuple[Column, ...]:
    """The columns of tables 1, 6 and 7 and of figure 7, and those that see what the official KLD cannot."""
    return (
        measured("fid", "FID", "fid", "lower", 2),
        measured("kld", "KLD", "kld_senm_official", "lower"),
        measured("psnr", "PSNR", "psnr_rgb_uint8", "higher", 2),
        measured("kld-residual", "KLD residual", "kld_neca", "lower", extra=True),
        measured("correlation", "correlation error", "noise_correlation_error", "lower", extra=True),
        measured("variance", "variance error", "variance_curve_error", "lower", extra=True),
        measured("kld-256", "KLD residual, 256 bins", "kld_noise_256", "lower", extra=True),
        measured("kld-flow", "KLD residual, 4-level bins", "kld_srgb_flow", "lower", extra=True),
        measured("ks", "KS", "ks", "lower", extra=True),
        measured("akld", "AKLD, 1 draw", "akld[draws=1]", "lower", extra=True),
    )


def with_draws(spec: TableSpec, draws: int) -> TableSpec:
    """A table of noise with the average KLD over so many draws of every image as one more column; 0 adds none."""
    if draws == 0 or spec.task != "noise":
        return spec
    more = measured("akld-draws", f"AKLD, {draws} draws", f"akld[draws={draws}]", "lower", extra=True)
    return replace(spec, columns=(*spec.columns, more))


def without_reference(spec: TableSpec) -> TableSpec:
    """A table on photographs without clean partners: its no-reference columns, and none that the paper printed."""
    from benchmarks.metrics import get

    kept = [column for column in spec.columns if get(column.metric).kind == "no-reference"]
    return replace(spec, columns=tuple(column.model_copy(update={"extra": False}) for column in kept))


def sr_columns() -> tuple[Column, ...]:
    """The columns of tables 4 and 5, the variants without four pixels on every side, and what needs no reference."""
    return (
        measured("psnr", "PSNR", "psnr_rgb_uint8", "higher", 2),
        measured("ssim", "SSIM", "ssim_2d_valid_rgb", "higher", 4),
        measured("lpips", "LPIPS", "lpips_alex", "lower"),
        measured("psnr-border4", "PSNR border 4", "psnr_rgb_uint8_border4", "higher", 2, extra=True),
        measured("ssim-border4", "SSIM border 4", "ssim_2d_valid_rgb_border4", "higher", 4, extra=True),
        measured("blur", "blur effect", "blur_effect_skimage", "lower", extra=True),
        measured("piqe", "PIQE", "piqe_pypiqe", "lower", 1, extra=True),
    )

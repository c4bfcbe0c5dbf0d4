"""What the paper says about its tables, as predicates over cells, judged on the printed cells and on ours.

A claim holds, fails, or is undecided: a cell is missing, or a difference lies within the spread over replicates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.core.record import ClaimResult, TableResult
from benchmarks.judging.compare import Reference, printed
from benchmarks.judging.predicates import (
    Comparison,
    Place,
    Values,
    better,
    better_than_all,
    improving,
    shrinking,
    some,
)
from benchmarks.judging.verdicts import Claim, Judged, judge_cells
from benchmarks.tables.figure7 import LAMBDAS

NOISE = ("fid", "kld", "psnr")
VALIDATION = ("val-psnr", "val-ssim")
SIDD = (*VALIDATION, "bench-psnr", "bench-ssim")
ALL_SETS = (*SIDD, "dnd-psnr", "dnd-ssim")
SR = ("psnr", "ssim", "lpips")
SELF_SUPERVISED = ("n2v", "n2s", "cvf-sid", "ap-bsn-r3", "scpgabnet", "sdap")
UNPAIRED_SR = ("fssr", "impressionism", "dasr", "deflow", "lud-vae")
PAIRS = ("10", "96", "960")
LAMBDA = "lambda-"
BEST_LAMBDAS = (1e-7, 1e-6)


def lambda_range(rows: Iterable[str]) -> tuple[Comparison, ...]:
    """Every lambda of 1e-7 to 1e-6 is better than every one outside, on all metrics; rows of others are left out."""
    known = {f"{LAMBDA}{value}": float(value) for value in LAMBDAS}
    points = {row: known[row] for row in sorted(rows) if row in known}
    low, high = (bound * factor for bound, factor in zip(BEST_LAMBDAS, (0.999, 1.001), strict=True))
    inside = [row for row, value in points.items() if low <= value <= high]
    outside = [row for row in points if row not in inside]
    return tuple(one for row in inside for one in better_than_all(row, outside, NOISE))


def _augmentation(pairs: str) -> Claim:
    return Claim(
        f"t2-augment-{pairs}",
        "table2",
        "section 4.4, table 2",
        f"with {pairs} pairs, synthetic pairs make DRUNet better than training it on the pairs alone, on every set",
        better(f"senm-{pairs}", f"drunet-{pairs}", ALL_SETS),
    )


def _super_resolution(table: str, number: int) -> tuple[Claim, Claim]:
    place = f"section 4.6, table {number}"
    return (
        Claim(
            f"t{number}-esrgan",
            table,
            place,
            "better than ESRGAN trained on the same 10 pairs, on all three metrics",
            better("senm", "esrgan", SR),
        ),
        Claim(
            f"t{number}-unpaired",
            table,
            place,
            "better than every unpaired degradation model, on all three metrics",
            better_than_all("senm", UNPAIRED_SR, SR),
        ),
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "t1-unpaired",
        "table1",
        "section 4.3, table 1",
        "with 10 pairs, better than each unpaired noise model on all three metrics",
        better_than_all("senm-10", ("c2n", "deflow", "lud-vae"), NOISE),
    ),
    Claim(
        "t1-paired-1pct",
        "table1",
        "section 4.3, table 1",
        "with 1 % of the pairs, better than NeCA-W trained on all pairs, on all three metrics",
        better("senm-960", "neca-w", NOISE),
    ),
    Claim(
        "t1-paired-full",
        "table1",
        "section 4.3, table 1",
        "with all pairs, better than every other paired noise model on all three metrics",
        better_than_all("senm-all", ("danet", "flow-srgb", "neca-w"), NOISE),
    ),
    Claim(
        "t1-supervised-10",
        "table1",
        "section 1, table 1",
        "with 10 pairs, comparable to paired models: ahead of DANet on all metrics, behind NeCA-W in KLD and PSNR",
        better("senm-10", "danet", NOISE) + better("neca-w", "senm-10", ("kld", "psnr")),
    ),
    Claim(
        "t1-monotone",
        "table1",
        "table 1 (implied)",
        "each step from 10 to 96, 960 and all pairs improves all three metrics",
        improving(("senm-10", "senm-96", "senm-960", "senm-all"), NOISE),
    ),
    Claim(
        "t1-real-gap",
        "table1",
        "table 1 (implied)",
        "a denoiser trained on noise of the full model comes within 0.1 dB of one trained on real noise",
        better("senm-all", "real", ("psnr",), allowance=0.1),
    ),
    *(_augmentation(pairs) for pairs in PAIRS),
    Claim(
        "t2-selfsup",
        "table2",
        "section 4.4, table 2",
        "with 10 pairs, better than every self-supervised method on SIDD validation and benchmark",
        better_than_all("senm-10", SELF_SUPERVISED, SIDD),
    ),
    Claim(
        "t2-near-full",
        "table2",
        "section 4.4, table 2",
        "with 1 % of the pairs, within 0.2 dB of the fully supervised DRUNet on SIDD",
        better("senm-960", "drunet-all", ("val-psnr", "bench-psnr"), allowance=0.2),
    ),
    Claim(
        "t2-diminishing",
        "table2",
        "table 2 (implied)",
        "on the validation images, the gain over training on the pairs alone shrinks as pairs grow",
        shrinking([(f"senm-{pairs}", f"drunet-{pairs}") for pairs in PAIRS], VALIDATION),
    ),
    Claim(
        "t3-finetune",
        "table3",
        "section 4.5, table 3",
        "fine-tuning on synthetic pairs improves NAFNet on validation and benchmark",
        better("senm-nafnet", "nafnet", SIDD),
    ),
    Claim(
        "t3-best",
        "table3",
        "section 4.5, table 3",
        "the fine-tuned NAFNet is better than every compared network on every column",
        better_than_all("senm-nafnet", ("uformer", "maxim", "restormer", "nafnet"), SIDD),
    ),
    *_super_resolution("table4", 4),
    *_super_resolution("table5", 5),
    Claim(
        "t6-recon",
        "table6",
        "section 4.7, table 6",
        "reconstructing the clean image improves all three metrics",
        better("with-recon-x", "without-recon-x", NOISE),
    ),
    Claim(
        "t7-more-unpaired",
        "table7",
        "section 4.7, table 7",
        "noise modelling improves with each step from 0 to 96, 960 and all unpaired images",
        improving(("10-0-0", "10-96-96", "10-960-960", "10-all-all"), NOISE),
    ),
    Claim(
        "t7-any-unpaired",
        "table7",
        "section 4.7, table 7 (implied)",
        "any number of unpaired images of both domains beats none",
        tuple(c for row in ("10-96-96", "10-960-960", "10-all-all") for c in better(row, "10-0-0", NOISE)),
    ),
    Claim(
        "t7-three-domains",
        "table7",
        "section 4.7, table 7",
        "all three domains together beat leaving out the source or the target",
        better_than_all("10-all-all", ("10-all-0", "10-0-all"), NOISE),
    ),
    Claim(
        "t7-both-needed",
        "table7",
        "table 7 (implied)",
        "unpaired images of one domain alone can be worse in FID than none at all",
        better_than_all("10-0-0", ("10-all-0", "10-0-all"), ("fid",)),
        some,
    ),
    Claim(
        "f7-lambda",
        "figure7",
        "section 4.7, figure 7",
        "lambda from 1e-7 to 1e-6 is better than any outside that range, on all three metrics",
        lambda_range,
    ),
    Claim(
        "abstract-sidd",
        "table3",
        "abstract, table 3",
        "the best result on the SIDD benchmark among those compared",
        better_than_all("senm-nafnet", ("uformer", "maxim", "restormer", "nafnet"), ("bench-psnr", "bench-ssim")),
    ),
)


def claims_of(table: str) -> tuple[Claim, ...]:
    """The claims about a table, by its id."""
    return tuple(claim for claim in CLAIMS if claim.table == table)


def judge(
    tables: Mapping[str, Values],
    *,
    reasons: Mapping[str, Mapping[Place, str]] | None = None,
    metrics: Mapping[str, Mapping[str, str]] | None = None,
    claims: Sequence[Claim] = CLAIMS,
    source: Reference | None = None,
) -> list[ClaimResult]:
    """Judge claims on the printed cells and on measured ones.

    Args:
        tables: table id -> (row id, column id) -> values by replicate.
        reasons: why a cell has no values ('quoted', 'needs server', ...), by table and cell.
        metrics: column id -> metric it holds, by table, so that a substitute is named (fd_random in the FID column).
        claims: which ones.
        source: the paper's numbers; those of the repository by default.
    """
    results = []
    for claim in claims:
        known = (reasons or {}).get(claim.table, {}), (metrics or {}).get(claim.table, {})
        ours = judge_cells(claim, tables.get(claim.table, {}), *known)
        on_paper = judge_printed(claim, source)
        notes = list(ours.notes)
        if ours.lone:
            notes.append("one replicate has no known spread and decides nothing: run with --seeds 0,1,2")
        if on_paper.state != "holds":
            words = "it fails" if on_paper.state == "fails" else "it is undecided"
            notes.append(f"on the printed cells {words}: " + ", ".join(on_paper.deciding or on_paper.notes))
        results.append(
            ClaimResult(
                id=claim.id,
                place=claim.place,
                text=claim.text,
                printed=on_paper.state,
                ours=ours.state,
                deciding=ours.deciding,
                reason="; ".join(notes),
            )
        )
    return results


def judge_result(result: TableResult, source: Reference | None = None) -> tuple[ClaimResult, ...]:
    """The claims about a table as run; quoted cells and cells that need a server decide nothing."""
    values = {(c.row, c.column): c.values for c in result.cells if c.state in ("measured", "server score") and c.values}
    reasons = {(c.row, c.column): c.state for c in result.cells if (c.row, c.column) not in values}
    metrics = {column.id: column.metric for column in result.columns}
    name = result.table
    found = judge(
        {name: values}, reasons={name: reasons}, metrics={name: metrics}, claims=claims_of(name), source=source
    )
    return tuple(found)


def judge_printed(claim: Claim, source: Reference | None = None) -> Judged:
    """The claim on the paper's own cells."""
    cells = (source or printed()).table(claim.table)
    if not cells:
        return Judged("undecided", (), ("the paper plots this without printing values",), False)
    return judge_cells(claim, {place: [cell.value] for place, cell in cells.items()}, {}, {}, printed=True)

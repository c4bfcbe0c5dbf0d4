"""Table 1: how close synthetic noise comes to real noise, and how well a DnCNN trained on it denoises."""

from __future__ import annotations

from benchmarks.tables import ALL, Mix, Noise, Restoration, RowSpec, TableSpec, noise_columns

DNCNN = Restoration("dncnn", pairs=0, pool="train")
UNPAIRED = Mix(0, ALL, ALL)
PAIRED = Mix(ALL, 0, 0)


STANDARD = {"prior": "standard", "level_curve": "none"}
"""As the paper samples, where the settings of a scale do otherwise; the networks are those of the rows above."""


def semi(paired: int, sampling: dict[str, str] | None = None) -> Noise:
    """SeNM-VAE with this many pairs and all unpaired images."""
    return Noise("senm-vae", Mix(paired, ALL, ALL), sampling=sampling or {})


FULL = Noise("senm-paired", PAIRED)

ROWS = (
    RowSpec("c2n", "C2N", "0", Noise("c2n", UNPAIRED), DNCNN),
    RowSpec("deflow", "DeFlow", "0", Noise("deflow", UNPAIRED), DNCNN, weights="deflow"),
    RowSpec("lud-vae", "LUD-VAE", "0", Noise("lud-vae", UNPAIRED), DNCNN, weights="lud-vae"),
    RowSpec("senm-10", "SeNM-VAE", "10", semi(10), DNCNN),
    RowSpec("senm-96", "SeNM-VAE", "96", semi(96), DNCNN),
    RowSpec("senm-960", "SeNM-VAE", "960", semi(960), DNCNN),
    RowSpec("danet", "DANet", "all", Noise("danet", PAIRED), DNCNN, weights="danet"),
    RowSpec("flow-srgb", "Flow-sRGB", "all", Noise("flow-srgb", PAIRED), DNCNN, weights="flow-srgb"),
    RowSpec("neca-w", "NeCA-W", "all", Noise("neca-w", PAIRED), DNCNN, weights="neca-w"),
    RowSpec("senm-all", "SeNM-VAE", "all", FULL, DNCNN),
    RowSpec("real", "Real noise", "all", Noise("real", PAIRED), Restoration("dncnn", pairs=ALL)),
    RowSpec("senm-10-standard", "SeNM-VAE, standard prior", "10", semi(10, STANDARD | {"output": "direct"}), DNCNN,
            paper=False),
    RowSpec("senm-all-standard", "SeNM-VAE, standard prior", "all", Noise("senm-paired", PAIRED, sampling=STANDARD),
            DNCNN, paper=False),
    RowSpec("gaussian", "White Gaussian", "10", Noise("gaussian", Mix(10, 0, 0)), DNCNN, paper=False),
    RowSpec("heteroscedastic", "Heteroscedastic Gaussian", "all", Noise("heteroscedastic", PAIRED), DNCNN, paper=False),
)

TABLE = TableSpec(
    id="table1",
    caption="Noise quality on the validation images; DnCNN is the downstream denoiser",
    task="noise",
    rows=ROWS,
    columns=noise_columns(),
    paper_data="sidd",
    notes=(
        "The official KLD compares grey-level histograms of whole images, so white Gaussian noise of the right level "
        "is hard to beat in it; it has a floor of about 0.0035 between two draws of the same noise. The residual KLD, "
        "the correlation error and the variance error see the structure of the noise.",
    ),
)

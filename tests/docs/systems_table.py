"""The README's table of systems, made from the code: `python -m tests.docs.systems_table` prints it."""

from __future__ import annotations

import baselines
from baselines.published.quoted import QUOTED
from baselines.published.weights import RELEASES

LABELS = {
    "senm-vae": "SeNM-VAE, semi-supervised", "senm-paired": "SeNM-VAE, fully paired", "c2n": "C2N",
    "gaussian": "White Gaussian noise", "heteroscedastic": "Signal-dependent Gaussian noise",
    "external-noise": "noisy images made elsewhere", "dncnn": "DnCNN", "drunet": "DRUNet", "nafnet": "NAFNet",
    "nafnet-finetune": "NAFNet, fine-tuned", "esrgan": "ESRGAN", "uformer": "Uformer", "restormer": "Restormer",
    "external-restorer": "restored images made elsewhere", "external-x4": "enlarged images made elsewhere",
}


def rows() -> list[tuple[str, str, str]]:
    """(name, kind, state) of every system that this project makes, evaluates or quotes."""
    found = []
    for name, target in baselines.REGISTRY.items():
        about = baselines.get(name).capabilities
        if name.startswith("external"):
            state = "folder of images, `--external NAME=DIR`"
        else:
            makers = {target, {"senm-vae": "senm"}.get(name, name)}
            files = [each.file for each in RELEASES if each.maker in makers]
            states = ["trained here"] if about.trains else ["fitted here"] if about.kind == "noise" else []
            states += [f"released weights: {', '.join(f'`{file}`' for file in files)}"] if files else []
            state = "; ".join(states)
        found.append((LABELS[name], "noise" if about.kind == "noise" else "restorer", state))
    only = []
    for name, quoted in QUOTED.items():
        files = [f"`{each.file}`" for each in RELEASES if each.maker and name in {row for _, row in each.rows}]
        if not files:
            only.append(f"{quoted.label} ({', '.join(quoted.tables)})")
        elif name not in ("uformer", "restormer"):
            kind = "noise" if {"table1", "table4", "table5"} & set(quoted.tables) else "restorer"
            found.append((quoted.label, kind, f"quoted; released weights: {', '.join(files)}"))
    found.append((", ".join(only), "", "quoted"))
    return found


def markdown() -> str:
    """The table as Markdown."""
    lines = ["| system | kind | state |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {label} | {kind} | {state} |" for label, kind, state in rows())])


if __name__ == "__main__":
    print(markdown())

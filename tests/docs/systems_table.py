"""The table of systems in docs/systems.md, made from the code: `python -m tests.docs.systems_table` prints it."""

from __future__ import annotations

import baselines
from baselines.published.weights import RELEASES

LABELS = {
    "senm-vae": "SeNM-VAE, semi-supervised", "senm-paired": "SeNM-VAE, fully paired", "c2n": "C2N",
    "gaussian": "White Gaussian noise", "heteroscedastic": "Signal-dependent Gaussian noise",
    "external-noise": "noisy images made elsewhere", "dncnn": "DnCNN", "drunet": "DRUNet", "nafnet": "NAFNet",
    "nafnet-finetune": "NAFNet, fine-tuned", "esrgan": "ESRGAN", "rrdb-psnr": "the L1 start of ESRGAN",
    "uformer": "Uformer", "restormer": "Restormer",
    "deflow": "DeFlow", "lud-vae": "LUD-VAE", "danet": "DANet", "flow-srgb": "Flow-sRGB", "neca-w": "NeCA-W",
    "n2v": "Noise2Void", "n2s": "Noise2Self", "cvf_sid": "CVF-SID", "apbsn": "AP-BSN with R3", "scpgabnet": "SCPGabNet",
    "sdap": "SDAP", "vdn": "VDN", "deamnet": "DeamNet", "maxim": "MAXIM", "danet-denoiser": "the denoiser of DANet",
    "fssr": "FSSR, degradation", "impressionism": "Impressionism, degradation", "dasr": "DASR, degradation",
    "deflow-aim19": "DeFlow for AIM19", "deflow-ntire20": "DeFlow for NTIRE20", "lud-vae-aim19": "LUD-VAE for AIM19",
    "lud-vae-ntire20": "LUD-VAE for NTIRE20", "esrgan-fssr": "ESRGAN as FSSR trains it",
    "esrgan-dasr": "ESRGAN as DASR trains it",
    "external-restorer": "restored images made elsewhere", "external-x4": "enlarged images made elsewhere",
}


def rows() -> list[tuple[str, str, str]]:
    """(name, kind, state) of every system that this project makes or evaluates."""
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
    return found


def markdown() -> str:
    """The table as Markdown."""
    lines = ["| system | kind | state |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {label} | {kind} | {state} |" for label, kind, state in rows())])


if __name__ == "__main__":
    print(markdown())

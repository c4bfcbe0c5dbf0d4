"""README.md of a model's folder: the model card, with the front matter that the Hugging Face hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from senm.config import NoiseModelSettings, PairedModelSettings
from senm.training.health import Health

CARD, FACTS = "README.md", "facts.json"
LICENCE = "other"
SHOWN = ("network.nf", "network.zn_dim", "network.nls", "network.growth", "loss.lam", "loss.kl_weight",
         "train.iterations", "train.batch", "train.crop", "train.lr", "level", "sampling.prior", "sampling.level_curve",
         "sampling.output")


def card(settings: NoiseModelSettings | PairedModelSettings, levels: Sequence[float], health: Mapping[str, Any],
         facts: Mapping[str, Any]) -> str:
    """The card as Markdown.

    Args:
        facts: what is known beside the settings: pairs, clean and noisy (numbers of images), data, seed, start,
            licence, quality (lines).
    """
    semi = isinstance(settings, NoiseModelSettings)
    kind = "SeNM-VAE, semi-supervised" if semi else "SeNM-VAE, fully paired"
    flat, licence = settings.flat(), str(facts.get("licence", LICENCE))
    noted = Health(**{k: v for k, v in health.items() if k in Health.__dataclass_fields__}).alarms()
    counts = [f"{facts[name]} {word}" for name, word in (("pairs", "pairs"), ("clean", "unpaired clean images"),
                                                         ("noisy", "unpaired noisy images")) if name in facts]
    data = [*([str(facts["data"])] if "data" in facts else []), *([", ".join(counts)] if counts else []),
            *([f"started from {facts['start']}"] if facts.get("start") else []),
            *([f"seed {facts['seed']}"] if "seed" in facts else [])]
    some = sorted(levels)
    known = [f"{some[0]:.4f} to {some[-1]:.4f}, median {some[len(some) // 2]:.4f} (standard deviations, white is 1)"
             ] if some else []
    owner = ("The weights carry traces of the photographs: they go by the licence of these." if licence == LICENCE
             else f"{licence}")
    return "\n".join([
        "---", f"license: {licence}", "library_name: senm", "pipeline_tag: image-to-image",
        "tags: [image-noise, noise-generation, denoising, variational-autoencoder]", "---", "",
        f"# A camera-noise model ({kind})", "",
        "Puts the noise of the photographs that it was trained on onto clean images" + (", and denoises." if semi
                                                                                        else "."), "",
        "```python", "import senm", 'model = senm.load("FOLDER")', "noisy = senm.sample(model, clean_images, seed=0)",
        "```", "", "## Data", "", *listed(data), "## Noise levels seen in training", "", *listed(known),
        "## What the training noted", "", *(listed(noted) if noted else ["- nothing", ""]),
        "## Quality", "", *listed([str(line) for line in facts.get("quality", ())]),
        "## Settings", "", "| setting | value |", "|---|---|",
        *(f"| {name} | {shown(flat[name])} |" for name in SHOWN if name in flat), "",
        "## Licence", "", owner, "",
    ])


def listed(lines: Sequence[str]) -> list[str]:
    """A Markdown list, or that nothing is known."""
    return [*(f"- {line}" for line in lines or ("not known",)), ""]


def shown(value: Any) -> str:
    """A value of the settings."""
    return f"{value:g}" if isinstance(value, float) else str(list(value) if isinstance(value, tuple) else value)

"""A model's folder laid out as the Hugging Face hub wants it: card, weights, config. Nothing is uploaded."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from senm.config import NoiseModelSettings
from senm.sampling.card import CARD
from senm.sampling.trained import Trained
from senm.support.errors import UsageError
from senm.support.files import writable

CONFIG = "config.json"


def export(model: Trained, out: Path) -> Path:
    """Write `README.md`, `model.safetensors`, `config.json` and what `senm.load` needs into a new folder.

    Raises:
        UsageError: the folder has something in it.
        MachineError: it cannot be written.
    """
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty", "a new folder", "choose another --hub, or remove it")
    parent = writable(out.resolve().parent)
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".{out.name}.") as temporary:
        made = Path(temporary) / out.name
        model.save(made)
        semi = isinstance(model.settings, NoiseModelSettings)
        config = {"model_type": "senm-vae" if semi else "senm-paired",
                  "architectures": ["SeNMVAE" if semi else "PairedVAE"], **model.in_effect.model_dump(mode="json")}
        (made / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        assert (made / CARD).is_file()
        if out.is_dir():
            out.rmdir()
        shutil.move(made, out)
    return out

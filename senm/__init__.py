"""SeNM-VAE: semi-supervised noise modelling with a hierarchical VAE (D. Zheng et al., CVPR 2024).

    import senm
    model = senm.load("models/my-camera")
    noisy = senm.sample(model, clean_images, seed=0)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from senm.api import denoise, fit, images_in, load, pairs_in, sample
    from senm.model import SeNMVAE
    from senm.paired import PairedVAE

__all__ = ["PairedVAE", "SeNMVAE", "denoise", "fit", "images_in", "load", "pairs_in", "sample"]
_API = ("load", "denoise", "fit", "images_in", "pairs_in", "sample")
_WHERE = {"SeNMVAE": "senm.model", "PairedVAE": "senm.paired"} | dict.fromkeys(_API, "senm.api")


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("senm-bench")
        except PackageNotFoundError:  # a source tree that is not installed
            return "0+unknown"
    if name == "api":
        return importlib.import_module("senm.api")
    if name not in _WHERE:
        raise AttributeError(f"module 'senm' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_WHERE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

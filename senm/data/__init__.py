"""Data: pools of images, prepared folders, and the sampler over the paired, source and target domains.

Names are imported on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "ArrayImages": "pool",
    "FileImages": "pool",
    "Images": "pool",
    "Pairs": "pool",
    "RaggedImages": "pool",
    "Batch": "domains",
    "DomainSampler": "domains",
    "Domains": "domains",
    "PreparedData": "prepared",
    "PreparedWriter": "writer",
    "read_rgb": "images",
    "write_png": "images",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]

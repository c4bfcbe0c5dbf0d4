"""The training pass as CUDA graphs: one launch instead of thousands, which is what a small network waits for.

A graph holds fixed shapes, so there is one for each composition of a batch (paired, source, target rows). All share
one memory pool: only one is under way at any time.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from senm.model import Descent, Noise, SeNMVAE

LIMIT = 64
"""Compositions that get a graph; later ones run eagerly (a batch of 8 has 45)."""


class FlatPass(nn.Module):
    """`SeNMVAE.forward` with tensors only, in and out, as a capture wants it."""

    def __init__(self, model: SeNMVAE, paired: int, options: dict[str, bool], autocast: torch.dtype | None) -> None:
        super().__init__()
        self.model, self.paired, self.options, self.autocast = model, paired, options, autocast
        self.present: list[tuple[str, str]] = []

    def forward(self, x: Tensor, y: Tensor, level: Tensor, coin_x: Tensor, coin_y: Tensor,
                *draws: Tensor) -> tuple[Tensor, ...]:
        layers = self.model.settings.layers
        noise_x, noise_y = {"z": list(draws[:layers])}, {
            "z": list(draws[layers:2 * layers]), "zn": list(draws[2 * layers:])}
        with torch.autocast(x.device.type, self.autocast, enabled=self.autocast is not None, cache_enabled=False):
            passes = self.model(x, y, level, self.paired, (coin_x, coin_y), noise_x, noise_y, **self.options)
        named = {
            (which, name): value
            for which, descent in zip(("clean", "noisy"), passes, strict=True) if descent is not None
            for name, value in vars(descent).items() if value is not None
        }
        self.present = list(named)
        return tuple(named.values())

    def unpack(self, outputs: tuple[Tensor, ...]) -> tuple[Descent | None, Descent | None]:
        """The passes of `SeNMVAE.forward` from this module's outputs."""
        found: dict[str, dict[str, Tensor]] = {}
        for (which, name), value in zip(self.present, outputs, strict=True):
            found.setdefault(which, {})[name] = value
        clean, noisy = (Descent(**found[which]) if which in found else None for which in ("clean", "noisy"))
        return clean, noisy


class GraphedPass:
    """Called like the model's training pass; replays a CUDA graph of forward and backward.

    Outputs live in the graph's own memory: they are valid until the next call with the same composition, which is
    long enough for one training step. On a CPU, or where a capture fails (one warning says why), the model runs
    eagerly. Gradients flow to the parameters, and to `level` where it asks for them.

    Args:
        model: the network in training, on its device already; its parameters must keep their storage.
    """

    def __init__(self, model: SeNMVAE, limit: int = LIMIT) -> None:
        self.model, self.limit = model, limit
        self.graphs: dict[tuple[Any, ...], tuple[FlatPass, Any]] = {}
        self.pool: Any = None
        self.failed = ""

    def __call__(self, x: Tensor, y: Tensor, level: Tensor, paired: int, coins: tuple[Tensor, Tensor], noise_x: Noise,
                 noise_y: Noise, **options: bool) -> tuple[Descent | None, Descent | None]:
        if not x.is_cuda or self.failed or not torch.is_grad_enabled():
            return self.model(x, y, level, paired, coins, noise_x, noise_y, **options)
        autocast = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else None
        key = (tuple(x.shape), tuple(y.shape), paired, autocast, level.requires_grad, *sorted(options.items()))
        arguments = (x, y, level, *coins, *noise_x["z"], *noise_y["z"], *noise_y["zn"])
        if key not in self.graphs and (
            len(self.graphs) >= self.limit or not self.capture(key, arguments, paired, options, autocast)
        ):
            return self.model(x, y, level, paired, coins, noise_x, noise_y, **options)
        flat, replay = self.graphs[key]
        with torch.autocast("cuda", enabled=False):
            return flat.unpack(replay(*arguments))

    def capture(self, key: tuple[Any, ...], arguments: tuple[Tensor, ...], paired: int, options: dict[str, bool],
                autocast: torch.dtype | None) -> bool:
        """Capture forward and backward for one composition; False where that fails."""
        flat = FlatPass(self.model, paired, options, autocast)
        samples = tuple(a.detach().clone(memory_format=torch.preserve_format) for a in arguments)
        samples[2].requires_grad_(arguments[2].requires_grad)
        self.pool = self.pool or torch.cuda.graph_pool_handle()
        try:
            with torch.autocast("cuda", enabled=False):
                replay = torch.cuda.make_graphed_callables(flat, samples, allow_unused_input=True, pool=self.pool)
        except RuntimeError as error:
            self.failed = str(error).splitlines()[0][:200]
            self.graphs.clear()
            warnings.warn(f"training runs without CUDA graphs: {self.failed}", stacklevel=3)
            return False
        self.graphs[key] = (flat, replay)
        return True

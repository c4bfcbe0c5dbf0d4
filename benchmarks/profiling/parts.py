"""Where the work is: FLOPs, bytes and time by layer of the hierarchy and by part of the network.

FLOPs and bytes are counted on tensors without data ("meta"), operator by operator, so that counting costs nothing;
bytes are what every eager operator reads and writes, i.e. an upper bound for one that is fused.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

PARTS = {
    "encode": "encoder", "stem": "encoder", "q": "posterior head", "p": "prior head", "project": "projection",
    "mix": "decoder", "decode": "decoder", "output": "output",
}
"""First word of a module's name -> the part it belongs to."""
HEADS = {"q_zx": "posterior head z", "q_zy": "posterior head z", "q_zn": "posterior head zn",
         "p_zn": "prior head zn"}


def part_modules(model: nn.Module) -> dict[tuple[int, str], list[nn.Module]]:
    """(layer, part) -> the modules that are called; layer -1 holds stems and output."""
    found: dict[tuple[int, str], list[nn.Module]] = defaultdict(list)
    for name, child in model.named_children():
        part = HEADS.get(name) or PARTS[name.split("_")[0]]
        layers = getattr(child, "layers", child)
        if isinstance(layers, nn.ModuleList) or name == "output":
            listed = list(layers) if isinstance(layers, nn.ModuleList | nn.Sequential) else [child]
            for i, module in enumerate(listed):
                found[(-1 if name == "output" else i, part)].append(module)
        else:
            found[(-1, part)].append(child)
        if hasattr(child, "stem"):
            found[(-1, "encoder")].append(child.get_submodule("stem"))
    return found


def remove(handles: Iterable[Any]) -> None:
    """Take hooks off again."""
    for handle in handles:
        handle.remove()


class Counter(TorchDispatchMode):
    """Adds up FLOPs and bytes of every operator under the label that is set at the time."""

    def __init__(self) -> None:
        super().__init__()
        self.label: tuple[int, str] = (-1, "rest")
        self.flops: dict[tuple[int, str], float] = defaultdict(float)
        self.bytes: dict[tuple[int, str], float] = defaultdict(float)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        packet = func._overloadpacket
        if packet not in flop_registry:  # in inference mode operators arrive whole
            with self:
                inside = func.decompose(*args, **(kwargs or {}))
            if inside is not NotImplemented:
                return inside
        out = func(*args, **(kwargs or {}))
        if packet in flop_registry:
            self.flops[self.label] += flop_registry[packet](*args, **(kwargs or {}), out_val=out)
        if not func.is_view:
            self.bytes[self.label] += sum(size(value) for value in (*args, out))
        return out


def size(value: Any) -> int:
    """Bytes of a tensor or of the tensors in a list."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    return sum(size(v) for v in value) if isinstance(value, list | tuple) else 0


def counted(model: nn.Module, call: Callable[[], object]) -> Counter:
    """Count one call of a model whose parameters, like the call's tensors, are on the meta device."""
    counter = Counter()
    with ExitStack() as stack:
        for key, modules in part_modules(model).items():
            for module in modules:
                handles = hooks(module, partial(setattr, counter, "label", key),
                                lambda: setattr(counter, "label", (-1, "rest")))
                stack.callback(remove, handles)
        with torch.no_grad(), counter:
            call()
    return counter


def hooks(module: nn.Module, before: Callable[[], Any], after: Callable[[], Any]) -> list[Any]:
    """Call `before` and `after` around a module's forward pass; returns the handles."""

    def start(module: nn.Module, args: Any) -> None:
        before()

    def stop(module: nn.Module, args: Any, out: Any) -> None:
        after()

    return [module.register_forward_pre_hook(start), module.register_forward_hook(stop)]


def timed(model: nn.Module, call: Callable[[], object], device: torch.device,
          rounds: int = 5) -> tuple[dict[tuple[int, str], float], float]:
    """Median seconds of each (layer, part), and of the whole call; on a GPU by events, without waiting in between."""
    cuda = device.type == "cuda"
    marks: list[tuple[tuple[int, str], Any]] = []

    def mark(key: tuple[int, str]) -> None:
        if cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            marks.append((key, event))
        else:
            marks.append((key, time.perf_counter()))

    samples: dict[tuple[int, str], list[float]] = defaultdict(list)
    totals: list[float] = []
    with ExitStack() as stack:
        for key, modules in part_modules(model).items():
            for module in modules:
                handles = hooks(module, partial(mark, key), partial(mark, key))
                stack.callback(remove, handles)
        for round_ in range(rounds + 1):
            marks.clear()
            start = time.perf_counter()
            call()
            if cuda:
                torch.cuda.synchronize(device)
            whole = time.perf_counter() - start
            sums: dict[tuple[int, str], float] = defaultdict(float)
            for (key, begin), (_, end) in zip(marks[::2], marks[1::2], strict=True):
                sums[key] += begin.elapsed_time(end) / 1e3 if cuda else end - begin
            if round_:
                totals.append(whole)
                for key, value in sums.items():
                    samples[key].append(value)
    return {key: statistics.median(values) for key, values in samples.items()}, statistics.median(totals)


def table(counter: Counter, times: dict[tuple[int, str], float], peak: float, total: float) -> list[dict[str, Any]]:
    """One row a layer and part: GFLOP, MiB, milliseconds, share of the whole call, rate and share of the peak.

    Args:
        peak: TFLOP/s that utilisation refers to.
        total: seconds of the whole call; what no part covers (draws, sums) is the last row.
    """
    rows = []
    for key in sorted(times, key=lambda key: (key[0] < 0, key)):
        seconds, flops = times[key], counter.flops.get(key, 0.0)
        rows.append({
            "layer": key[0] if key[0] >= 0 else "", "part": key[1], "gflop": flops / 1e9,
            "mib": counter.bytes.get(key, 0.0) / 2**20, "ms": seconds * 1e3, "share": seconds / total,
            "tflop_s": flops / seconds / 1e12 if seconds else 0.0,
            "utilisation": flops / seconds / 1e12 / peak if seconds and peak else 0.0,
        })
    rest = max(total - sum(times.values()), 0.0)
    rows.append({"layer": "", "part": "draws, sums and everything else", "gflop": counter.flops[(-1, "rest")] / 1e9,
                 "mib": counter.bytes[(-1, "rest")] / 2**20, "ms": rest * 1e3, "share": rest / total,
                 "tflop_s": 0.0, "utilisation": 0.0})
    return rows

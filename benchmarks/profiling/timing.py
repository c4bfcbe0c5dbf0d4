"""Timing for the profiler: interleaved rounds, synchronisation, medians with quartiles, and what the machine can do.

All arms of a comparison take turns within each round, so that what a busy machine adds hits all of them; a speed-up
is the median over rounds of the ratio of neighbours.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

Work = Callable[[], object]


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Numbers below the normal range count as zero on this thread while inside; afterwards as IEEE 754 has them."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def synchronise(device: torch.device) -> None:
    """Wait until everything launched on a GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(work: Work, device: torch.device, clock: Callable[[], float] = time.perf_counter) -> float:
    """Time of one call, until the device is idle again.

    Args:
        clock: wall time, or `time.process_time` on a CPU that other processes use too (with one thread).
    """
    synchronise(device)
    start = clock()
    work()
    synchronise(device)
    return clock() - start


def spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles and number of measurements."""
    ordered = sorted(values)
    quarter = statistics.quantiles(ordered, n=4) if len(ordered) > 1 else [ordered[0]] * 3
    return {"seconds": statistics.median(ordered), "q25": quarter[0], "q75": quarter[2], "rounds": len(ordered)}


def reason(error: BaseException) -> str:
    """First line of an error, for the record."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


def race(arms: Mapping[str, Work], device: torch.device, rounds: int, warmup: int = 2,
         deadline: float = float("inf"), clock: Callable[[], float] = time.perf_counter) -> dict[str, dict[str, Any]]:
    """Time all arms in turn; the first one is what the others' speed-ups refer to.

    An arm that fails is recorded with its reason and takes no further part.

    Args:
        deadline: value of `time.monotonic` after which no further round begins, three excepted.
        clock: see `seconds`.
    """
    found: dict[str, dict[str, Any]] = {}
    times: dict[str, list[float]] = {}
    for name, work in arms.items():
        try:
            for _ in range(warmup):
                seconds(work, device)
            times[name] = []
        except (RuntimeError, ValueError, TypeError, AttributeError, ImportError, AssertionError) as error:
            found[name] = {"status": "failed", "reason": reason(error)}
            free(device)
    for round_ in range(rounds):
        if round_ >= 3 and time.monotonic() > deadline:
            break
        for name, taken in times.items():
            taken.append(seconds(arms[name], device, clock))
    first = next(iter(times), "")
    for name, taken in times.items():
        ratios = [a / b for a, b in zip(times[first], taken, strict=True)]
        found[name] = {"status": "ok", **spread(taken), "speedup": statistics.median(ratios)}
    return {name: found[name] for name in arms}


def free(device: torch.device) -> None:
    """Give cached memory back after a failed or finished arm."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def rate(work: Work, flops: float, device: torch.device, rounds: int = 7) -> float:
    """Best TFLOP/s of a piece of work over some rounds: what the machine reaches, not what it does on average."""
    for _ in range(3):
        work()
    return flops / min(seconds(work, device) for _ in range(rounds)) / 1e12


def peaks(device: torch.device, quick: bool = False) -> dict[str, float]:
    """Measured arithmetic rates in TFLOP/s: large matrix products and 3x3 convolutions, by precision."""
    found: dict[str, float] = {}
    cuda = device.type == "cuda"
    side = 8192 if cuda else 512 if quick else 1024
    shape, channels = ((16, 256, 128) if cuda else (1, 128, 32 if quick else 64)), 256 if cuda else 128
    kinds = {"float32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16} if cuda else {
        "float32": torch.float32}
    before = torch.get_float32_matmul_precision()
    for name, dtype in kinds.items():
        try:
            torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
            a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
            found[f"matmul_{name}"] = rate(lambda a=a, b=b: a @ b, 2.0 * side**3, device)  # type: ignore[misc]
            x = torch.randn(shape[0], channels, shape[2], shape[2], device=device, dtype=dtype)
            w = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
            x, w = (t.contiguous(memory_format=torch.channels_last) for t in (x, w))

            def convolve(x: torch.Tensor = x, w: torch.Tensor = w) -> object:
                return torch.nn.functional.conv2d(x, w, padding=1)

            with torch.inference_mode():
                flops = 18.0 * channels**2 * shape[0] * shape[2] ** 2
                if cuda:
                    with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=name != "float32"):
                        found[f"conv_{name}"] = rate(convolve, flops, device)
                else:
                    found[f"conv_{name}"] = rate(convolve, flops, device)
        except RuntimeError as error:
            found[f"failed_{name}"] = 0.0
            print(f"no peak for {name}: {reason(error)}")
        finally:
            torch.set_float32_matmul_precision(before)
    if cuda:
        size = 2**28
        source = torch.empty(size, device=device, dtype=torch.float32)
        target = torch.empty_like(source)
        found["memory_tb_s"] = rate(lambda: target.copy_(source), 8.0 * size, device)
    return found

"""Where a number comes from: code state, library versions and machine; and the switch that makes runs repeatable.

Nothing here names the host or the user: records are meant to be shared.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from benchmarks.core.record import Provenance

PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "pillow", "spandrel", "torch-fidelity", "lpips", "pydantic")
ROOT = Path(__file__).resolve().parents[2]

CUDA_NOT_DETERMINISTIC = (
    "bilinear and bicubic interpolation (backward): LPIPS on resized images, learnt upsampling",
    "reflection and replication padding (backward)",
    "scatter-adds and index_add (atomic float additions)",
    "convolutions picked by cuDNN benchmarking, and TF32 or bf16 against float32",
    "another GPU model, driver, cuDNN or cuBLAS version, or another number of GPUs",
)
"""What may differ between two runs on a GPU even with `deterministic`; printed by `run doctor` and in the docs."""

CODE = (":/", ":(top,exclude)results/accepted")


def git_state(folder: Path = ROOT) -> str:
    """Commit of the code, with '+changes' where tracked files differ from it; outside a repository SENM_COMMIT.

    Accepted records are no code.
    """

    def git(*arguments: str) -> str:
        answer = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
        return answer.stdout.strip() if answer.returncode == 0 else ""

    try:
        commit = git("rev-parse", "--short=12", "HEAD")
    except OSError:  # no git on this machine
        commit = ""
    if not commit:
        return os.environ.get("SENM_COMMIT", "")
    return commit + ("+changes" if git("status", "--porcelain", "--untracked-files=no", "--", *CODE) else "")


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that numbers depend on; nothing is imported for it."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpuinfo(key: str) -> str:
    """The first value of a key of /proc/cpuinfo, such as 'model name'; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() == key), "")


def peak_mib() -> float:
    """Peak memory of this process in MiB; `getrusage` would count what its parent had when starting it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def reset_peak() -> None:
    """Begin to count `peak_mib` anew, where the kernel allows it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def machine(device: str = "cpu") -> dict[str, str]:
    """System, processor, threads, memory and, for a CUDA device, the GPU with its driver-side versions."""
    import torch

    found = {
        "system": f"{platform.system().lower()} {platform.machine()}",
        "processor": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "threads": str(torch.get_num_threads()),
        "device": device,
    }
    if hasattr(os, "sysconf"):
        found["memory_gib"] = str(round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30))
    if device.startswith("cuda") and torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name(device)
        found["cuda"] = str(torch.version.cuda)
        found["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    return found


def machine_key(device: str = "cpu") -> str:
    """The folder name under results/accepted for this kind of machine, such as 'linux-x86_64-cpu'."""
    chip = "cpu"
    if device.startswith("cuda"):
        import torch

        chip = re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name(device).lower()).strip("-")
    return f"{platform.system().lower()}-{platform.machine().lower()}-{chip}"


def golden_key() -> str:
    """Names the platform on which CPU losses repeat to the last bit: Python, torch, architecture, vector unit, chip.

    The chip (maker, family, model) counts, because libraries choose their kernels by it.
    """
    import torch

    torch_version = torch.__version__.split("+")[0]
    unit = torch.backends.cpu.get_cpu_capability().lower()
    chip = ".".join(_cpuinfo(key) for key in ("vendor_id", "cpu family", "model")).strip(".").lower()
    parts = (f"py{sys.version_info[0]}{sys.version_info[1]}", f"torch{torch_version}", platform.machine(), unit, chip)
    return "-".join(re.sub(r"[^a-z0-9_.]+", "", part.lower()) for part in parts if part)


def deterministic(on: bool, device: str = "cpu") -> None:
    """Make runs repeat: on a CPU to the last bit; on a GPU except for `CUDA_NOT_DETERMINISTIC`, which only warn.

    Must be called before the first CUDA operation.
    """
    import torch

    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = on
    torch.use_deterministic_algorithms(on, warn_only=not device.startswith("cpu"))


def by_default(scale: str, device: str) -> bool:
    """Whether runs are deterministic unless asked otherwise: at smoke and short scale on a CPU."""
    return scale in ("smoke", "short") and device.startswith("cpu")


class Clock:
    """Wall time of a piece of work, from a clock that is never set back."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the clock was made."""
        return round(time.monotonic() - self._start, 3)


def _without_folders(word: str) -> str:
    """An argument without the folders of an absolute path, which are nobody else's business."""
    return re.sub(r"/(?:[^/:,=\s]+/)+", "", word)


def provenance(device: str = "cpu", clock: Clock | None = None, command: str | None = None) -> Provenance:
    """The provenance of what is measured now.

    Args:
        device: where the numbers were computed.
        clock: started when the work began.
        command: the command line; by default this process's, with the program reduced to its name.
    """
    import torch

    clock = clock or Clock()
    if command is None:
        command = " ".join(_without_folders(word) for word in sys.argv)
    return Provenance(
        started=clock.started,
        wall_seconds=clock.seconds,
        git=git_state(),
        versions=versions(),
        machine=machine(device),
        command=command,
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run the block with this number of CPU threads in torch."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""One training on several GPUs of a node: the step starts a process for each, which shares every batch with the others.

The first process writes the model; the step waits for all. Losses are those of one process with the same batch up to
rounding (`senm.training.distributed`), so the step's key does not hold the number of GPUs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from senm.support.errors import MachineError, TrainingError
from senm.support.progress import NullProgress, Progress

if TYPE_CHECKING:
    from benchmarks.core.step import Step


def fit(step: Step, data: Path, folder: Path, work: Path, device: str, devices: int, progress: Progress) -> None:
    """Train a noise model on `devices` GPUs (processes, on a CPU) and write `model/` and `log.jsonl` into `folder`.

    Raises:
        MachineError: fewer GPUs than that.
        TrainingError: one of the processes ended: more of them than rows of a batch, losses that stay non-finite.
    """
    import torch
    from lightning_fabric import Fabric
    from torch.multiprocessing import ProcessRaisedException

    kind = device.partition(":")[0]
    if kind == "cuda" and torch.cuda.device_count() < devices:
        raise MachineError(f"{step.label} was given {devices} GPUs, and {torch.cuda.device_count()} are here",
                           "as many as --resources says")
    told = {  # names and folders, from which each process opens data of its own
        "system": step.params["system"], "settings": step.params["settings"], "domains": step.params["domains"],
        "data": str(data), "seed": step.seed, "device": kind, "work": str(work), "out": str(folder),
        "progress": progress if hasattr(progress, "path") else NullProgress(),
    }
    try:
        Fabric(accelerator=kind, devices=devices, strategy="ddp_spawn").launch(train, told)  # type: ignore[arg-type]
    except ProcessRaisedException as error:
        last = str(error).strip().splitlines()[-1].partition(": ")[2]
        raise TrainingError(f"one of {devices} processes ended: {last}") from error


def train(fabric: Any, told: dict[str, Any]) -> None:
    """What each process does; the first one writes."""
    import torch

    import baselines
    from benchmarks.core.systems import settings_from
    from benchmarks.running.health import keep_health, keep_log
    from senm.data.prepared import PreparedData
    from senm.training.distributed import mapped_once

    torch.set_num_threads(1)
    model, work, folder = baselines.get(told["system"]), Path(told["work"]), Path(told["out"])
    domains = mapped_once(PreparedData.open(told["data"]).domains(**told["domains"]), work, fabric)
    first = bool(fabric.is_global_zero)
    trained = model.fit(
        domains, settings_from(model, told["settings"]), seed=told["seed"], device=told["device"], workdir=work,
        progress=told["progress"] if first else NullProgress(), fabric=fabric,
    )
    if first:
        trained.save(folder / "model")
        keep_log(work, folder)
        keep_health(trained, folder)
    fabric.barrier()

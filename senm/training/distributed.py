"""One training on several processes: shares of a batch, sums over processes, and statistics of the whole batch.

The objective is a sum over rows with the whole batch's counts in the denominators, so gradients of shares add up to
the gradient of the whole; they are summed, never averaged. Only the critic mixes rows: its batch norms and the
relativistic means use sums over all processes, through which gradients flow. Every process takes part in every
collective, one without noisy rows with empty tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from senm.data.domains import Batch, Domains
from senm.data.mapped import mapped
from senm.losses import Draws
from senm.model import Noise
from senm.support.errors import MachineError, SettingsError, UsageError


def launch(devices: int, nodes: int = 1, device: str = "cpu") -> Any:
    """A Lightning Fabric whose processes run (NCCL on GPUs, gloo on CPUs), or None where one process is wanted.

    The command line is started again for the other processes of a node, so call it early and from a command. With
    several nodes, start the same command on each under SLURM or torchrun, or with MASTER_ADDR and NODE_RANK set.

    Raises:
        UsageError: fewer than one device or node, or a numbered device beside several.
        MachineError: fewer GPUs than devices.
    """
    if devices < 1 or nodes < 1:
        raise UsageError(f"{devices} devices on {nodes} nodes", "at least 1 of each")
    if devices * nodes == 1:
        return None
    accelerator, numbered, _ = device.partition(":")
    if numbered:
        raise UsageError(f"device {device!r} for {devices * nodes} processes", "cpu or cuda, without a number")
    if accelerator == "cuda" and torch.cuda.device_count() < devices:
        raise MachineError(f"this machine has {torch.cuda.device_count()} CUDA GPUs", f"{devices}", "lower --devices")
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, strategy="ddp")
    fabric.launch()
    return fabric


def mapped_once(domains: Domains, folder: Path, fabric: Any = None) -> Domains:
    """`senm.data.mapped.mapped`, written by one process of each node and read by the others."""
    if fabric is None:
        return mapped(domains, folder)
    found = mapped(domains, folder) if fabric.local_rank == 0 else None
    fabric.barrier()
    return found or mapped(domains, folder, write=False)


class Ranks:
    """The processes of a training; without a launched Fabric there is one, and nothing is communicated."""

    def __init__(self, fabric: Any = None) -> None:
        self.fabric = fabric
        self.size = int(fabric.world_size) if fabric is not None else 1
        self.rank = int(fabric.global_rank) if fabric is not None else 0

    @property
    def several(self) -> bool:
        """Whether there is anybody to talk to."""
        return self.size > 1

    def check(self, batch: int) -> None:
        """Every process needs a row.

        Raises:
            SettingsError: more processes than rows.
        """
        if self.size > batch:
            raise SettingsError(f"{self.size} processes share batches of {batch} crops", "at least one crop each",
                                "raise train.batch, or use fewer devices")

    def share(self, batch: Batch, draws: Draws) -> tuple[Batch, Draws]:
        """This process's rows of the whole batch: every `size`-th, so that all have as many, and pairs are spread."""
        if not self.several:
            return batch, draws
        p, s, t = batch.paired, batch.source, batch.target
        at = range(self.rank, p + s + t, self.size)
        return piece(batch, draws, [i for i in at if i < p], [i - p for i in at if p <= i < p + s],
                     [i - p - s for i in at if i >= p + s])

    def from_first(self, value: Any) -> Any:
        """The first process's value (plain values and CPU tensors), on all."""
        return self.fabric.broadcast(value, src=0) if self.several else value

    def wait(self) -> None:
        """Until all processes are here."""
        if self.several:
            self.fabric.barrier()

    def sum(self, value: Tensor) -> Tensor:
        """The sum over processes, which gradients do not enter."""
        if not self.several:
            return value.detach()
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    def gather(self, parameters: Iterable[nn.Parameter], logged: dict[str, float] | None = None,
               names: Sequence[str] = ()) -> dict[str, float]:
        """Sum gradients and logged values over processes, in one collective.

        A gradient or value that no process has stays absent, so that Adam leaves that parameter's moments alone.

        Args:
            parameters: their `.grad` is replaced by the sum.
            logged: this process's values, with names from `names`, which is the same on all processes.

        Returns:
            The sums of the logged values.
        """
        logged = logged or {}
        if not self.several:
            return logged
        assert set(logged) <= set(names), sorted(set(logged) - set(names))
        held = list(parameters)
        values = [logged.get(name, 0.0) for name in names]
        present = [*(float(p.grad is not None) for p in held), *(float(name in logged) for name in names)]
        device = held[0].device
        flat = torch.cat([
            torch.tensor([*present, *values], dtype=torch.float32, device=device),
            *((torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in held),
        ])
        dist.all_reduce(flat)
        head, *sums = flat.split([len(present) + len(values), *(p.numel() for p in held)])
        numbers = head.tolist()
        for p, found, total in zip(held, numbers, sums, strict=False):
            if found:
                p.grad = torch.empty_like(p) if p.grad is None else p.grad
                p.grad.copy_(total.view(p.shape))
        found_names, totals = numbers[len(held):len(present)], numbers[len(present):]
        return {name: total for name, found, total in zip(names, found_names, totals, strict=True) if found}


class SumOverRanks(torch.autograd.Function):
    """Sum of a tensor over processes; the gradient is the sum of theirs, as the objective is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def sum_over_ranks(value: Tensor) -> Tensor:
    """`SumOverRanks` as a function; all processes must call it, and go back through it, in the same order."""
    return SumOverRanks.apply(value)


class WholeBatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` in training, with mean and variance of the rows of all processes; some may have none."""

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float() if x.dtype == torch.bfloat16 else x
        count = wide.new_full((1,), x.numel() / x.shape[1])
        *sums, rows = sum_over_ranks(torch.cat([wide.sum((0, 2, 3)), count])).split([x.shape[1], 1])
        rows = rows.detach()
        mean = sums[0] / rows
        centred = wide - mean.view(1, -1, 1, 1)
        variance = sum_over_ranks(centred.square().sum((0, 2, 3))) / rows
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(variance.detach() * rows / (rows - 1), self.momentum)
        scale = (variance + self.eps).rsqrt() * self.weight
        return torch.addcmul(self.bias.view(1, -1, 1, 1), centred, scale.view(1, -1, 1, 1)).to(x.dtype)


def whole_relativistic(higher: Tensor, lower: Tensor, rows: int) -> Tensor:
    """This process's part of `senm.losses.relativistic` over the `rows` rows of all processes; the parts add up."""
    count = rows * higher[0:1].shape[1:].numel()
    up = higher - sum_over_ranks(lower.sum()) / count
    down = lower - sum_over_ranks(higher.sum()) / count
    losses = (F.binary_cross_entropy_with_logits(a, torch.full_like(a, goal), reduction="sum")
              for a, goal in ((up, 1.0), (down, 0.0)))
    return 0.5 * sum(losses, higher.new_zeros(())) / count


def rows_of(noise: Noise, index: Tensor) -> Noise:
    """The draws of some rows."""
    return {name: [layer[index] for layer in layers] for name, layers in noise.items()}


def piece(batch: Batch, draws: Draws, p: Sequence[int], s: Sequence[int], t: Sequence[int]) -> tuple[Batch, Draws]:
    """Rows p of the pairs, s of the source and t of the target samples, with their draws."""
    def index(*rows: int) -> Tensor:
        return torch.tensor(rows, dtype=torch.long, device=batch.x.device)

    in_x, in_y = index(*p, *(i + batch.paired for i in s)), index(*p, *(i + batch.paired for i in t))
    coins = (draws.coins[0][index(*p)], draws.coins[1][index(*p)])
    return (Batch(batch.x[in_x], batch.y[in_y], len(p), len(s), len(t)),
            Draws(coins, rows_of(draws.noise_x, in_x), rows_of(draws.noise_y, in_y)))

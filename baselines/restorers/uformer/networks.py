"""Uformer (paper section 3) from spandrel, with its stochastic depth on random numbers that the training names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

HEADS = (1, 2, 4, 8, 16, 16, 8, 4, 2)
UFORMER_B = (1, 2, 8, 8, 2, 8, 8, 2, 1)


class StochasticDepth(nn.Module):
    """In training, a branch of an image is left out with probability `rate`, and kept ones are divided by 1 - rate."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def kept(self, images: int) -> Tensor:
        """Which images keep the branch, (images,) of 0 and 1 on the CPU."""
        return (torch.rand(images, generator=self.generator) >= self.rate).float()

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training:
            return branch
        factor = self.kept(len(branch)).to(branch) / (1 - self.rate)
        return branch * factor.view(-1, *(1,) * (branch.ndim - 1))


def uformer(
    width: int = 32, depths: Sequence[int] = UFORMER_B, heads: Sequence[int] = HEADS, window: int = 8, side: int = 128,
    drop_path: float = 0.1,
) -> nn.Module:
    """A new network: (B, 3, S, S) in [0, 1] to the restored images, not clipped; square inputs only.

    Args:
        width: channels at full resolution.
        depths: blocks of the four encoder levels, the bottleneck and the four decoder levels.
        heads: attention heads at these nine places.
        window: side of an attention window.
        side: of the training crops; blocks whose map is no larger than the window there do not shift, at any size.
        drop_path: largest probability that a branch is left out; it rises linearly along the encoder.
    """
    from spandrel.architectures.Uformer import Uformer as Network
    from spandrel.util.timm import DropPath

    network = Network(
        img_size=side, embed_dim=width, depths=list(depths), num_heads=list(heads), win_size=window,
        token_projection="linear", token_mlp="leff", modulator=True, dd_in=3, drop_path_rate=drop_path,
    )
    for block in list(network.modules()):
        old = getattr(block, "drop_path", None)
        if isinstance(old, DropPath):
            block.drop_path = StochasticDepth(old.drop_prob)
    return network


def stochastic(network: nn.Module) -> Iterator[StochasticDepth]:
    """The places of stochastic depth in the order of the blocks."""
    return (module for module in network.modules() if isinstance(module, StochasticDepth))

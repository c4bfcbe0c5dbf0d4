"""The cyclic multi-variate function of CVF-SID; layers are named as in the published checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Parts:
    """A noisy image taken apart, each (N, 3, H, W): it is clean + clean * dependent + independent."""

    dependent: Tensor
    independent: Tensor
    clean: Tensor

    def together(self, dependent: int, independent: int) -> Tensor:
        """An image of the clean part and the two noises with these signs (0 leaves one out)."""
        return self.clean + dependent * self.clean * self.dependent + independent * self.independent


def chain(layers: int, channels: int, width: int, out: int | None = None) -> nn.Sequential:
    """`layers` 3x3 convolutions with ReLU and, where `out` is given, a last 1x1."""
    made: list[nn.Module] = []
    for number in range(layers):
        made += [nn.Conv2d(width if number else channels, width, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*made, *([] if out is None else [nn.Conv2d(width, out, 1)]))


class Clean(nn.Module):
    """The clean image itself, without a skip from the noisy one."""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.genclean = chain(layers, 3, width, 3)

    def forward(self, noisy: Tensor) -> Tensor:
        out: Tensor = self.genclean(noisy)
        return out


class Noise(nn.Module):
    """Signal-dependent and independent noise from what the clean network took away; each map has mean 0."""

    def __init__(self, layers: int, width: int, head: int = 4) -> None:
        super().__init__()
        self.body = chain(layers, 3, width)
        self.gen_noise_w = chain(head, width, width, 3)
        self.gen_noise_b = chain(head, width, width, 3)

    def forward(self, removed: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(removed)
        dependent, independent = self.gen_noise_w(features), self.gen_noise_b(features)
        return (dependent - dependent.mean((-2, -1), keepdim=True),
                independent - independent.mean((-2, -1), keepdim=True))


class CVFSIDNetwork(nn.Module):
    """Takes a noisy image apart (section 3.2, 3.3); 1,185,865 parameters at the published size.

    Args:
        clean_layers, noise_layers: 3x3 convolutions of the clean network and of the body of the noise network.
        clean_width, noise_width: their channels.
    """

    def __init__(self, clean_layers: int = 16, noise_layers: int = 10, clean_width: int = 64,
                 noise_width: int = 64) -> None:
        super().__init__()
        self.gen_noise = Noise(noise_layers, noise_width)
        self.genclean = Clean(clean_layers, clean_width)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, noisy: Tensor) -> Parts:
        """(N, 3, H, W) on the scale 0 .. 1."""
        clean = self.genclean(noisy)
        dependent, independent = self.gen_noise(noisy - clean)
        return Parts(dependent, independent, clean)

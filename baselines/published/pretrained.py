"""Restorers that exist only as published weights: inference, no training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from torch import Tensor, nn

from baselines.base import Capabilities, Scale
from baselines.fitting.restorer import NetworkRestorer, RestorerSettings
from senm.support.errors import MachineError, UsageError

if TYPE_CHECKING:
    from senm.data.pool import Pairs
    from senm.support.progress import Progress


class PretrainedSettings(RestorerSettings):
    """Published weights have no settings of their own."""


class Pretrained(NetworkRestorer):
    """Base: `build` makes the published network, `fit` is refused."""

    settings_type = PretrainedSettings
    capabilities = Capabilities(kind="restorer", trains=False)

    @classmethod
    def default_settings(cls, scale: Scale) -> PretrainedSettings:
        """The same at every scale."""
        return PretrainedSettings()

    @classmethod
    def fit(
        cls,
        sources: Sequence[Pairs],
        settings: Any,
        *,
        seed: int,
        device: str,
        workdir: Path,
        progress: Progress,
        start: Path | None = None,
    ) -> NoReturn:
        """Refused: there is no recipe here.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{cls.name} is not trained here", "its published weights", "give their folder with --weights")


class Uformer(Pretrained):
    """Uformer-B (Wang et al., CVPR 2022); 50,880,946 parameters. Inputs are padded to squares, multiples of 128."""

    name = "uformer"

    @classmethod
    def build(cls, settings: Any) -> nn.Module:
        from spandrel.architectures.Uformer import Uformer as Network

        return Network(
            img_size=128, embed_dim=32, depths=[1, 2, 8, 8, 2, 8, 8, 2, 1], win_size=8, token_projection="linear",
            token_mlp="leff", modulator=True, dd_in=3,
        )

    def _padded(self, network: nn.Module, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        side = -(-max(height, width) // 128) * 128
        padded = nn.functional.pad(image, (0, side - width, 0, side - height), mode="replicate")
        result: Tensor = network(padded)
        return result[..., :height, :width]


class Restormer(Pretrained):
    """Restormer (Zamir et al., CVPR 2022), academic use only; 26,111,668 parameters."""

    name = "restormer"
    multiple = 8

    @classmethod
    def build(cls, settings: Any) -> nn.Module:
        try:
            from spandrel_extra_arches.architectures.Restormer import Restormer as Network
        except ImportError as error:
            raise MachineError(
                "Restormer needs the package spandrel_extra_arches, which is not installed",
                "a package that this project leaves out, since Restormer is for academic use only",
                "pip install spandrel_extra_arches",
            ) from error
        return Network(
            inp_channels=3, out_channels=3, dim=48, num_blocks=[4, 6, 6, 8], num_refinement_blocks=4,
            heads=[1, 2, 4, 8], ffn_expansion_factor=2.66, bias=False, LayerNorm_type="BiasFree",
            dual_pixel_task=False,
        )


def open_published(kind: type[NetworkRestorer], settings: RestorerSettings, file: Path) -> NetworkRestorer:
    """A restorer with the weights of a published file.

    Raises:
        CheckpointError: missing, broken or of another layout; names the file and the first differing layer.
    """
    return kind(kind.initialised(settings, 0, file), settings)

"""Starting from a trained model instead of from random weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from senm.config import NoiseModelSettings, PairedModelSettings
from senm.level import LevelNet
from senm.model import SeNMVAE
from senm.paired import PairedVAE
from senm.support.errors import CheckpointError


@dataclass(frozen=True)
class Start:
    """Networks whose weights a training begins with; a level network that is not there begins at random."""

    network: SeNMVAE | PairedVAE
    level_net: LevelNet | None = None
    name: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the weights, which decide those after any step."""
        found = hashlib.sha256()
        for part in (self.network, self.level_net):
            for name, value in sorted(part.state_dict().items()) if part is not None else ():
                found.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def fits(self, settings: NoiseModelSettings | PairedModelSettings) -> None:
        """Refuse a network of another kind or size.

        Raises:
            CheckpointError: names both sizes.
        """
        ours, theirs = settings.network.but(level_scale=1.0), self.network.settings.but(level_scale=1.0)
        if type(ours) is not type(theirs) or ours != theirs:
            raise CheckpointError(f"{self.name or 'the model to start from'} is a network of {theirs}", f"{ours}",
                                  "start from another model, or choose the preset of its size")

    def give(self, network: SeNMVAE | PairedVAE, level_net: LevelNet) -> None:
        """Put the weights into networks of the same sizes, whatever the factors on the level are."""
        network.load_state_dict(self.network.state_dict())
        factor = self.network.settings.level_scale / network.settings.level_scale
        with torch.no_grad():
            if isinstance(network, SeNMVAE):
                for head in (*network.q_zn, *network.p_zn):
                    head.scale_plane(factor)  # type: ignore[operator]
            else:
                network.stem_x.weight[:, -1] *= factor
        own = level_net.state_dict()
        if self.level_net is not None and all(own[k].shape == v.shape for k, v in self.level_net.state_dict().items()):
            level_net.load_state_dict(self.level_net.state_dict())

"""DeFlow as a noise model: a clean photograph is encoded, its latents are shifted to the degraded domain, and decoded.

Wolf et al., CVPR 2021, and the published configurations. There is none for SIDD: the row of table 1 is a later
adaptation without published settings, so the recipe is that of NTIRE 2020 (scale 4, no matching of statistics).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from baselines.base import (
    Capabilities,
    Scale,
    load_checkpoint,
    load_state,
    save_checkpoint,
    to_image,
    to_tensor,
)
from baselines.fitting.loop import identity, run_loop
from baselines.noise.deflow.matching import AIM19, Matching, matched
from baselines.noise.deflow.networks import SIDE, DeFlowNetwork, TorchDraws
from baselines.noise.deflow.training import DeFlowSettings, Likelihood, build
from senm.checkpoint import read_state_dict
from senm.data.digest import content
from senm.data.formats.bicubic import reduce
from senm.data.manifest import file_sha256
from senm.data.mapped import mapped
from senm.support import seeding
from senm.support.device import torch_device
from senm.support.errors import CheckpointError

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images
    from senm.support.progress import Progress

TABLE = "matching"  # name of the statistics in a checkpoint


class DeFlow:
    """The flow as a noise model."""

    name = "deflow"
    capabilities = Capabilities(kind="noise", uses_unpaired=True)

    def __init__(self, network: DeFlowNetwork, settings: DeFlowSettings, matching: Matching | None = None) -> None:
        self.network, self.settings, self.matching = network.eval(), settings, matching

    @classmethod
    def default_settings(cls, scale: Scale) -> DeFlowSettings:
        """`paper` is the published configuration; the others are smaller, and let M move (`shift_start`)."""
        return smaller(DeFlowSettings(), scale)

    @classmethod
    def fit(
        cls, domains: Domains, settings: DeFlowSettings, *, seed: int, device: str, workdir: Path, progress: Progress
    ) -> Self:
        """Train on clean images of the source and noisy images of the target domain (sides of pairs join unpaired).

        Raises:
            DataError: one side is empty, or an image is smaller than the crop.
            CheckpointError: the encoder's file is missing, broken or of another layout.
            TrainingError: the loss stays non-finite.
        """
        torch_device(device)
        domains = mapped(domains, workdir)
        run, train = Likelihood(domains, settings, seed, device), settings.training
        origin = file_sha256(Path(train.encoder_file)) if train.encoder_file else ""
        run_loop(
            run.step, run.parts, steps=train.steps, workdir=workdir,
            identity=identity(settings, seed, origin, content(domains.source, domains.target, domains.paired)),
            progress=progress, label=f"train {cls.name}", log_every=train.log_every,
            checkpoint_every=train.checkpoint_every,
        )
        return cls(run.network, settings, run.matching)

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """Degraded versions in order; an image's noise depends on the seed and its name only.

        Sides that are no multiple of 8 are mirrored at the bottom and right up to one, and cut again afterwards (the
        published program cuts them off).
        """
        place = torch_device(device)
        self.network.to(place).eval()
        with progress.task(f"sample with {self.name}", len(clean)) as task:
            for index, name in enumerate(clean.names):
                draws = TorchDraws(seeding.generator("sample", seed, name, self.name), place)
                yield self.degrade(clean[index], draws)
                task.advance()

    @torch.inference_mode()
    def degrade(self, image: np.ndarray, draws: TorchDraws) -> np.ndarray:
        """One image, uint8 (H, W, 3); draws: the condition's noise, the dequantisation, then eps and z."""
        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % SIDE), (0, -width % SIDE), (0, 0)), mode="symmetric")
        low = to_tensor(reduce(padded, self.settings.network.scale), draws.device)
        features = self.network.condition(low, draws)
        x = self.network.dequantise(to_tensor(padded, draws.device), draws)
        latents, _ = self.network.flowUpsamplerNet.encode(x, features)
        found = self.network.decode(self.network.degraded(latents, draws), features)
        if self.matching is not None:
            found = matched(found, self.matching.clean, self.matching.degraded)
        return np.ascontiguousarray(to_image(found)[:height, :width])

    def save(self, folder: Path, half: bool = False) -> None:
        """Write the network and the statistics; `half` stores float16. See `baselines.base.save_checkpoint`."""
        state = self.network.state_dict()
        if half:
            state = {name: value.half() for name, value in state.items()}
        if self.matching is not None:
            state[TABLE] = self.matching.tensor()
        save_checkpoint(folder, self.name, self.settings, state)

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read a checkpoint written by `save`.

        Raises:
            CheckpointError: missing, broken or of another layout.
        """
        settings, state = load_checkpoint(folder, cls.name, DeFlowSettings)
        table, file = state.pop(TABLE, None), folder / "model.safetensors"
        if settings.training.matching != "none" and (table is None or table.shape != (4, 2, 3)):
            raise CheckpointError(f"{file} lacks the statistics {TABLE!r}", "a table of shape (4, 2, 3)")
        network = build(settings)
        load_state(network, state, file)
        return cls(network.to(torch_device(device)), settings, None if table is None else Matching.from_tensor(table))

    @classmethod
    def from_published(cls, file: Path) -> Self:
        """The published networks of AIM 2019 and NTIRE 2020; which of the two is seen from the layers.

        Raises:
            CheckpointError: the file is missing, broken or of another layout.
        """
        state = read_state_dict(file)
        settings = aim19() if "RRDB.upconv3.weight" in state else DeFlowSettings()
        network = build(settings)
        load_state(network, state, file)
        return cls(network, settings, AIM19 if settings.training.matching == "aim19" else None)


def aim19() -> DeFlowSettings:
    """The published configuration of AIM 2019."""
    return DeFlowSettings().but(
        network={"scale": 8, "hidden": 128}, training={"lr": 1e-4, "matching": "aim19"},
    )


def smaller(settings: DeFlowSettings, scale: Scale) -> DeFlowSettings:
    """A published configuration at one of the scales of this project; numbers of AIM 2019 hold at `paper` only."""
    if scale == "paper":
        return settings
    matching = "none" if settings.training.matching == "none" else "measured"
    short = settings.but(
        network={"width": 12, "growth": 8, "blocks": 2, "stacked": (0, 1), "steps": 3, "hidden": 12,
                 "shift_start": 0.1},
        training={"steps": 6_000, "batch": 8, "crop": 48, "lr": 1e-3, "matching": matching, "log_every": 50,
                  "checkpoint_every": 250},
    )
    if scale == "short":
        return short
    return short.but(
        network={"width": 4, "growth": 4, "blocks": 1, "stacked": (0,), "steps": 1, "hidden": 4},
        training={"steps": 20, "batch": 4, "crop": 24, "log_every": 5, "checkpoint_every": 10},
    )

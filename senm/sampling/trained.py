"""A trained noise model as a folder: network, settings and levels, ready to sample from or to denoise with.

The folder holds `model.safetensors` (the authors' layout), `settings.json`, `levels.json`, `health.json`, for the
semi-supervised model `level_net.safetensors`, what was fitted after training (`prior.safetensors`, `curve.json`), and
for people the model card, `README.md`, with the facts that the other files do not say in `facts.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from senm import level as levels
from senm.checkpoint import read_state_dict
from senm.config import NoiseModelSettings, PairedModelSettings, SamplingSettings
from senm.data.domains import Domains
from senm.data.levelled import level_of_pair
from senm.data.pool import Images, Pairs
from senm.level import LevelNet
from senm.model import SeNMVAE
from senm.paired import PairedVAE
from senm.sampling.afterwards import LevelCurve, calibrate, fit_prior
from senm.sampling.card import CARD, FACTS, card
from senm.sampling.noise import latent_channels
from senm.sampling.precision import AUTO, Choice, choose
from senm.sampling.prior import REACH, FittedPrior
from senm.sampling.released import folder_of
from senm.sampling.sampler import check_noise, check_tile, denoise_image, sample_images
from senm.support.device import torch_device
from senm.support.errors import CheckpointError, DataError
from senm.support.files import write_atomically
from senm.support.progress import NullProgress, Progress
from senm.training.start import Start
from senm.training.train import Training

ENOUGH_LEVELS = 512
MIDDLE = 0.08  # a level of the camera of SIDD: what a model without levels of its own is tried at
HEALTH, PRIOR, CURVE = "health.json", "prior.safetensors", "curve.json"
Settings = NoiseModelSettings | PairedModelSettings


def measured_levels(pairs: Pairs) -> list[float]:
    """std(noisy - clean) of pairs, in [0, 1] units; see `spread` for which."""
    return [level_of_pair(pairs, i) for i in spread(len(pairs))]


def spread(count: int) -> range:
    """All of `count` images, or from twice `ENOUGH_LEVELS` on at least so many of them, evenly spread."""
    return range(0, count, max(1, count // ENOUGH_LEVELS))


@torch.inference_mode()
def predicted_levels(net: LevelNet, noisy: Images, crop: int, device: torch.device) -> list[float]:
    """Predicted levels of noisy images (see `spread`), from a centre crop of each, none below 0."""
    found = []
    for i in spread(len(noisy)):
        image = noisy[i]
        top, left = (max(0, (side - crop) // 2) for side in image.shape[:2])
        window = np.ascontiguousarray(image[top : top + crop, left : left + crop].transpose(2, 0, 1))
        found.append(max(0.0, float(net(torch.from_numpy(window)[None].to(device).float().div(255)))))
    return found


@dataclass
class Trained:
    """A trained noise model.

    Attributes:
        levels: degradation levels seen in training, for the sources `measured` and `predicted`.
        health: what training counted (skipped steps, collapsed layers).
        prior: fitted on the training pairs, used where the settings ask for it; None leaves the draws white.
        curve: of the level, the same.
        facts: for the model card: numbers of images, seed, what it was started from, its quality (see `card`).
    """

    network: SeNMVAE | PairedVAE
    settings: Settings
    levels: list[float]
    level_net: LevelNet | None = None
    health: dict[str, Any] = field(default_factory=dict)
    prior: FittedPrior | None = None
    curve: LevelCurve | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.eval()

    @classmethod
    def fit(cls, domains: Domains, settings: Settings, *, seed: int = 0, device: str = "cpu", workdir: Path,
            progress: Progress | None = None, observe: Any = None, fabric: Any = None, start: Trained | None = None
            ) -> Trained:
        """Train on the domains, resuming from `workdir` (see `senm.training.train.Training`).

        Args:
            start: a trained model whose weights it begins with.
        """
        begin = Start(start.network, start.level_net, str(start.facts.get("name", ""))) if start is not None else None
        training = Training(settings, domains, seed=seed, device=str(torch_device(device)), fabric=fabric, start=begin)
        done = training.run(workdir, progress, observe)
        semi = isinstance(settings, NoiseModelSettings)
        net = done.level_net.eval() if semi else None
        found = measured_levels(domains.paired)
        if net is not None and settings.level == "predicted" and len(domains.target) and len(domains.paired):
            found = predicted_levels(net, domains.target, settings.train.crop, done.device)
        health = {name: value for name, value in vars(done.health).items() if value is not None}
        trained = cls(done.model, done.settings, found, net, health)
        trained.facts = {**dict(zip(("pairs", "clean", "noisy"), domains.counts, strict=True)), "seed": seed}
        if begin is not None:
            trained.facts["start"] = begin.name or begin.digest[:12]
        trained.fit_afterwards(domains.paired, seed, progress or NullProgress())
        return trained

    def fit_afterwards(self, pairs: Pairs, seed: int, progress: Progress) -> None:
        """Fit what the settings ask for on the training pairs; without pairs nothing is fitted, which is said."""
        asked = self.settings.sampling
        wants = asked.prior == "fitted" or asked.level_curve == "calibrated"
        if wants and not len(pairs):
            progress.say("no pairs to fit the prior and the level curve on: the standard ones are used")
            self.settings = self.in_effect
            return
        device = next(self.network.parameters()).device
        if asked.prior == "fitted":
            self.prior = fit_prior(self.network, pairs, seed, device, progress)
        if asked.level_curve == "calibrated":
            self.curve = calibrate(pairs, self.network.stride, seed, self._sample)

    def _sample(self, clean: Images, level: Callable[[str], float], seed: int, sampling: SamplingSettings | None = None,
                **options: Any) -> Iterator[np.ndarray]:
        how = sampling or self.settings.sampling
        options = {"device": next(self.network.parameters()).device} | options
        return sample_images(self.network, clean, levels=level, seed=seed, normalize=self.settings.normalize,
                             prior=self.prior if how.prior == "fitted" else None,
                             difference=how.output == "difference", **options)

    def level_of(self, seed: int, clean: Images | None = None) -> Callable[[str], float]:
        """The level of an image, by its name, from the settings' level source.

        `measured` takes the images' own levels where they have them, else draws from those of the training pairs.

        Raises:
            CheckpointError: the source needs levels and the model has none.
        """
        return levels.level_source(self.settings.level, self.levels, seed, clean)

    def sample(self, clean: Images, *, seed: int = 0, device: str | None = None, progress: Progress | None = None,
               level: float | None = None, sampling: Mapping[str, str] | None = None, **options: Any
               ) -> Iterator[np.ndarray]:
        """Noisy uint8 (H, W, 3) images in the order of `clean`; noise depends on (seed, image name) only.

        Args:
            device: where to compute; None stays where the network is.
            level: one level for all images; None draws each from the settings' source.
            sampling: changes of `settings.sampling`, such as ``{"prior": "standard"}``.
            options: of `senm.sampling.sampler.sample_images` (batch, tile, temperature, precision, compile);
                precision may be 'auto', see `senm.sampling.precision`.
        """
        how = self.settings.sampling.but(**(sampling or {}))
        chosen = self.level_of(seed, clean) if level is None else lambda name: float(level)
        if level is not None:
            check_noise(level)  # before the curve, which would hide it
        if how.level_curve == "calibrated" and self.curve is not None:
            curve, asked = self.curve, chosen
            chosen = lambda name: curve(asked(name))  # noqa: E731
        if device is not None:
            options["device"] = torch_device(device)
        if options.get("precision") == AUTO:
            options["precision"] = self.precision(device, how).precision
        return self._sample(clean, chosen, seed, how, progress=progress or NullProgress(), **options)

    def precision(self, device: str | None = None, sampling: SamplingSettings | None = None) -> Choice:
        """The precision that 'auto' stands for with this model on this device, and why."""
        on = torch_device(device) if device is not None else next(self.network.parameters()).device
        middle = float(np.median(self.levels)) if self.levels else MIDDLE

        def drawn(images: Images, precision: str) -> Iterator[np.ndarray]:
            return self._sample(images, lambda name: middle, 0, sampling, device=on, precision=precision)

        return choose(drawn, on)

    @property
    def in_effect(self) -> Settings:
        """The settings, without a fitted prior or curve where none was fitted: what a folder is written with."""
        sampling = {**({} if self.prior else {"prior": "standard"}), **({} if self.curve else {"level_curve": "none"})}
        return self.settings.but(sampling=sampling)

    def denoise(self, noisy: Images, *, tile: int | None = None, progress: Progress | None = None
                ) -> Iterator[np.ndarray]:
        """Denoised uint8 (H, W, 3) images in the order of `noisy`: the mean of z at every layer, no draw.

        Raises:
            DataError: the fully paired network, which cannot denoise.
        """
        check_tile(tile)
        network = self.network
        if not isinstance(network, SeNMVAE):
            raise DataError("the fully paired network cannot denoise", "a semi-supervised model")
        with (progress or NullProgress()).task("denoising", len(noisy)) as task:
            for image in noisy:
                result = denoise_image(network, image, tile)
                task.advance()
                yield result

    def save(self, folder: Path, half: bool = False) -> None:
        """Write the folder; `half` stores float16 and leaves the level network out."""
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / "model.safetensors", self.network.to_authors(), half)
        if self.level_net is not None and not half:
            write_tensors(folder / "level_net.safetensors", self.level_net.to_authors())
        (folder / "settings.json").write_text(self.in_effect.model_dump_json(indent=1))
        (folder / "levels.json").write_text(json.dumps([round(level, 6) for level in self.levels]))
        if self.health:
            (folder / HEALTH).write_text(json.dumps(self.health, sort_keys=True))
        if self.prior is not None:
            write_tensors(folder / PRIOR, {"phase" if self.prior.phase else "stationary": self.prior.filter}, half)
        if self.curve is not None:
            (folder / CURVE).write_text(json.dumps(asdict(self.curve)))
        self.save_card(folder)

    def save_card(self, folder: Path) -> None:
        """Write the model card, and the facts it needs."""
        if self.facts:
            (folder / FACTS).write_text(json.dumps(self.facts, indent=1, sort_keys=True))
        (folder / CARD).write_text(card(self.in_effect, self.levels, self.health, self.facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> Trained:
        """Read a folder, or a released model by its name (`python -m senm models` lists them).

        Raises:
            CheckpointError: missing, broken or of another layout.
        """
        folder, on = folder_of(folder), torch_device(device)
        if folder.is_file():
            raise CheckpointError(f"{folder} is a file", "the folder of a model that was trained here",
                                  "published weights of the authors open with senm.model.SeNMVAE.from_authors(FILE), "
                                  "and in tables with --weights FOLDER")
        values = read_json(folder, "settings.json")
        semi = isinstance(values, dict) and "zn_dim" in values.get("network", {})
        settings: Settings = NoiseModelSettings(**values) if semi else PairedModelSettings(**values)
        state = read_state_dict(folder / "model.safetensors")
        network = (SeNMVAE if semi else PairedVAE).from_authors(state).float().to(on)
        if network.settings != settings.network.but(level_scale=1.0):  # the authors' layout has it in its weights
            raise CheckpointError(f"{folder} holds a network of {network.settings}",
                                  f"{settings.network}, as its settings.json says")
        net = folder / "level_net.safetensors"
        level_net = LevelNet.from_authors(net).to(on).eval() if net.is_file() else None
        trained = cls(network, settings, read_json(folder, "levels.json"), level_net)
        if (folder / HEALTH).is_file():
            trained.health = read_json(folder, HEALTH)
        if (folder / FACTS).is_file():
            trained.facts = read_json(folder, FACTS)
        for file, asked in ((PRIOR, settings.sampling.prior == "fitted"),
                            (CURVE, settings.sampling.level_curve == "calibrated")):
            if asked and not (folder / file).is_file():
                raise CheckpointError(f"{folder} has no {file}", "the file that its settings.json asks for",
                                      "train it again, or set sampling to standard and none")
        if (folder / PRIOR).is_file():
            trained.prior = read_prior(folder / PRIOR, network)
        if (folder / CURVE).is_file():
            trained.curve = read_curve(folder)
        return trained


def read_prior(path: Path, network: SeNMVAE | PairedVAE) -> FittedPrior:
    """The fitted prior of a network.

    Raises:
        CheckpointError: broken, or of another network.
    """
    ((kind, taps), *rest) = read_state_dict(path).items()
    shapes = network.latent_shapes(network.stride, network.stride)
    channels = latent_channels(network)["zn"] * sum(h * w for h, w in shapes)
    want = (channels, channels, 2 * REACH + 1, 2 * REACH + 1)
    if rest or kind not in ("phase", "stationary") or tuple(taps.shape) != want or not bool(taps.isfinite().all()):
        raise CheckpointError(f"{path} holds {kind!r} of shape {tuple(taps.shape)}", f"finite numbers of shape {want}")
    return FittedPrior(taps.float(), kind == "phase")


def read_curve(folder: Path) -> LevelCurve:
    """The level curve of a folder (CheckpointError where it is broken)."""
    values = read_json(folder, CURVE)
    try:
        low, high = values["range"]
        numbers = [float(value) for value in (*values["coefficients"], low, high)]
        if not all(map(math.isfinite, numbers)):
            raise ValueError("a value is not finite")
        return LevelCurve(tuple(numbers[:-2]), (numbers[-2], numbers[-1]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / CURVE} is broken: {error}", "coefficients and a range") from None


def write_tensors(path: Path, state: dict[str, torch.Tensor], half: bool = False) -> None:
    """A state dict as safetensors, atomically.

    Raises:
        MachineError: the folder cannot be written, or the disk is full.
    """
    kept = {k: v.cpu().to(torch.float16 if half else v.dtype).contiguous() for k, v in state.items()}
    write_atomically(path, lambda temporary: temporary.write_bytes(save(kept)))


def read_json(folder: Path, name: str) -> Any:
    """A JSON file of a checkpoint folder.

    Raises:
        CheckpointError: missing or broken, or not of the form of this file.
    """
    try:
        found = json.loads((folder / name).read_text())
    except (OSError, ValueError, RecursionError) as error:
        reason = type(error).__name__
        raise CheckpointError(f"{folder / name} cannot be read ({reason})", "a checkpoint folder") from None
    if name == "levels.json":
        fits = isinstance(found, list) and all(type(v) in (int, float) and 0 <= v < math.inf for v in found)
        form = "a list of levels, none below 0"
    else:
        fits = isinstance(found, dict) and isinstance(found.get("network", {}), dict)
        form = "names and values"
    if not fits:
        raise CheckpointError(f"{folder / name} is broken", form, "train the model again")
    return found

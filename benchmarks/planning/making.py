"""The steps that rows are made of: trainings, samples, restored images and measurements, each with its key's parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.core.scale import Scale
from benchmarks.core.step import Step
from benchmarks.core.systems import get, module_of, registered
from benchmarks.core.units import counted
from benchmarks.data.datasets import Data, listing
from benchmarks.tables import Mix, Noise, Restoration, RowSpec
from senm.config import Settings, nested


def limited(mix: Mix, data: Data) -> Mix:
    """The mix in one way of writing it, so that rows that see the same images share their steps.

    A number that reaches what the data holds becomes 'all'; of several numbers of the paper that stand for the same
    number of pairs here, the smallest is taken.
    """

    def limit(count: int | None, role: str) -> int | None:
        return None if count is not None and count >= data.counts[role] > 0 else count

    paired = mix.paired
    if paired is not None:
        used = data.paired_counts.get(paired, paired)
        same = [paper for paper, here in data.paired_counts.items() if here == used]
        paired = None if used >= data.counts["paired"] > 0 else min(same, default=paired)
    return Mix(paired, limit(mix.source, "source"), limit(mix.target, "target"))


def settings_of(system: str, scale: str, changes: Mapping[str, Any], side: int = 0) -> Settings:
    """A system's settings at a scale with dotted-path changes applied; crops are cut down to images of `side` pixels.

    Raises:
        UsageError: unknown system.
        SettingsError: unknown setting.
    """
    settings: Settings = get(system).default_settings(scale)
    crops = {
        path: max(8, side - side % 8)
        for path, value in settings.flat().items()
        if path.rpartition(".")[2] == "crop" and 0 < side < value
    }
    return settings.but(**nested({**crops, **changes}))


class StepMaker:
    """Makes steps on one data set at one scale.

    Args:
        data: the data set.
        scale: the scale.
        fd: name of the Frechet distance that this machine can compute, 'fid' or 'fd_random'.
        released: identity -> sha256 of released checkpoints that may stand in for trainings.
        weights: (table, row) -> published weights (`baselines.published.weights.Found`) that fill a row.
        starts: system -> published weights from which its training goes on, where its network has their size.
    """

    def __init__(
        self,
        data: Data,
        scale: Scale,
        fd: str = "fid",
        released: Mapping[str, str] | None = None,
        weights: Mapping[tuple[str, str], Any] | None = None,
        starts: Mapping[str, Any] | None = None,
    ) -> None:
        self.data, self.scale, self.fd = data, scale, fd
        self.released, self.weights, self.starts = released or {}, weights or {}, starts or {}

    def published(self, found: Any) -> Step:
        """Published weights in place of a training."""
        each = found.release
        maker = {"senm": "senm-vae", "senm-paired": "senm-paired"}.get(each.maker) or registered(each.maker)
        return Step(
            "weights",
            f"train {maker} (published weights {each.file})",
            {"release": each.name, "sha256": found.sha256, "system": maker},
            sources=("benchmarks.running.external_rows", "baselines.published.weights", module_of(maker)),
            local={"file": str(found.path)},
        )

    def read_external(self, row: RowSpec, kind: str) -> Step:
        """Images that somebody else made, read from a folder."""
        params = {"files": listing(Path(row.external)), "split": "validation", "images": self.scale.validation_images}
        return Step(
            "external",
            f"read {counted(self._limit('validation'), 'validation image')} by {row.label}",
            {**params, "kind": kind, **self._data()},
            sources=("benchmarks.running.external_rows",),
            local={"folder": row.external},
        )

    def _limit(self, split: str) -> int:
        limit, there = self.scale.validation_images, self.data.counts[split]
        return there if limit is None else min(limit, there)

    def fit(self, noise: Noise, seed: int) -> Step:
        """Train a noise model."""
        mix = limited(noise.mix, self.data)
        settings = settings_of(noise.system, self.scale.name, noise.changes, self.data.side)
        return self._released(
            Step(
                "fit",
                f"train {noise.system} on {_mix_text(mix)}{_changes_text(noise.changes)}",
                {
                    "system": noise.system,
                    "settings": settings.model_dump(mode="json"),
                    "domains": {"paired": mix.paired, "source": mix.source, "target": mix.target},
                    **self._data(),
                },
                seed,
                sources=("benchmarks.running.steps", module_of(noise.system)),
                cost=dict(work(settings)),
            )
        )

    def sample(self, fit: Step, pool: str, seed: int, sampling: Mapping[str, str] | None = None) -> Step:
        """Put synthetic noise on the clean images of a pool ('validation', 'train' or 'source').

        Validation images get noise as strong as their own real noise: what is compared is its kind, and with few
        images the luck of drawn levels would decide. So do training images where the model saw all their partners.
        """
        limit = self.scale.validation_images if pool == "validation" else self.scale.train_images
        count = self.data.counts[pool] if limit is None else min(limit, self.data.counts[pool])
        every = fit.params.get("domains", {"paired": 0})["paired"] is None
        own = {"levels": "own"} if pool == "validation" or (pool == "train" and every) else {}
        how = {"sampling": dict(sampling)} if sampling else {}
        return Step(
            "sample",
            f"noise for {counted(count, f'{pool} image')} by {fit.label.removeprefix('train ')}",
            {"system": fit.params["system"], "pool": pool, "images": limit, **own, **how, **self._data()},
            seed,
            {"model": fit},
            ("benchmarks.running.steps", module_of(fit.params["system"])),
            cost={"images": count},
        )

    def fit_restorer(self, spec: Restoration, noise: Step | None, seed: int,
                     sampling: Mapping[str, str] | None = None) -> Step:
        """Train a restorer on real pairs, synthetic pairs, or both."""
        settings = settings_of(spec.system, self.scale.name, spec.changes, self.data.side)
        inputs: dict[str, Step] = {}
        if spec.pool and noise is not None and not spec.clean:
            inputs["synthetic"] = self.sample(noise, spec.pool, seed, sampling)
        start = self.start(spec, settings, seed)
        if start is not None:
            inputs["start"] = start
        seen: dict[str, Any] = {}
        if spec.unpaired is not None or spec.guided:
            mix = limited(spec.unpaired or Mix(0, None, None), self.data)
            seen = {"domains": {"paired": mix.paired, "source": mix.source, "target": mix.target}}
        if spec.guided and noise is not None:
            inputs["guide"] = noise
        if spec.clean:
            seen["clean"] = spec.pool
        pairs = limited(Mix(spec.pairs, 0, 0), self.data).paired
        parts = [] if pairs == 0 else [f"{'all' if pairs is None else pairs} pairs"]
        if spec.clean:
            parts.append(f"clean {spec.pool} images")
        if spec.unpaired is not None:
            parts.append("images without partners")
        if "synthetic" in inputs and noise is not None:
            parts.append("synthetic pairs of " + noise.label.removeprefix("train "))
        return self._released(
            Step(
                "fit-restorer",
                f"train {spec.system} on {' and '.join(parts)}",
                {
                    "system": spec.system,
                    "settings": settings.model_dump(mode="json"),
                    "pairs": pairs,
                    "images": self.scale.train_images,
                    **seen,
                    **self._data(),
                },
                seed,
                inputs,
                ("benchmarks.running.steps", module_of(spec.system)),
                cost=dict(work(settings, started="start" in inputs)),
            )
        )

    def start(self, spec: Restoration, settings: Any, seed: int) -> Step | None:
        """What a restorer's training goes on from: published weights where they fit, else the row's own training."""
        from baselines.published.weights import suits

        found = self.starts.get(spec.system)
        if found is not None and suits(found.release, settings):
            return self.published(found)
        return None if spec.start is None else self.fit_restorer(spec.start, None, seed)

    def restore(self, network: Step, split: str = "validation", exact: bool = False) -> Step:
        """Restore the noisy images of a split; `exact` outputs are not rounded to 8 bit where the system can."""
        limit = self.scale.validation_images if split == "validation" else None
        count = self.data.counts[split] if limit is None else min(limit, self.data.counts[split])
        more = {"exact": True} if exact else {}
        return Step(
            "restore",
            f"restore {counted(count, f'{split} image')} with {network.label.removeprefix('train ')}",
            {"system": network.params["system"], "split": split, "images": limit, **self._data(), **more},
            network.seed,
            {"model": network},
            ("benchmarks.running.steps", module_of(network.params["system"])),
            cost={"images": count},
        )

    def restoration(self, row: RowSpec, network: Step, metrics: list[str], seed: int) -> Step:
        """Restore the validation images, as exactly as the metrics ask for, and measure them."""
        from benchmarks.metrics import METRICS

        exact = any(METRICS[name].exact for name in metrics if name in METRICS)
        return self.evaluate("restoration", row, self.restore(network, exact=exact), metrics, seed)

    def evaluate(self, kind: str, row: RowSpec, images: Step | None, metrics: Iterable[str], seed: int) -> Step:
        """Measure generated images against real ones, or restored images against clean ones.

        Metrics whose networks this machine lacks are in the key, so that they are measured once their weights are here.
        """
        from benchmarks.metrics import METRICS

        wanted = [self.fd if name == "fid" else name for name in metrics]
        noise = kind == "noise"
        chosen = [
            name for name in dict.fromkeys(wanted)
            if name in METRICS and (METRICS[name].kind == "distribution") == noise
        ]
        modules = {"benchmarks.metrics." + METRICS[name].target.partition(":")[0] for name in chosen}
        absent = [name for name in chosen if METRICS[name].missing()]
        lacking = {"lacking": absent} if absent else {}
        limit = self.scale.validation_images
        made_by = re.split(r" images? ", images.label, maxsplit=1)[-1].partition(" ")[2] if images else ""
        subject = made_by or "the real images themselves"
        return Step(
            "evaluate",
            f"measure {'noise of' if kind == 'noise' else 'restoration by'} {subject}",
            {"kind": kind, "metrics": chosen, **lacking, "split": "validation", "images": limit, **self._data()},
            seed,
            {"images": images} if images else {},
            ("benchmarks.running.measure", "benchmarks.metrics", *sorted(modules)),
            cost={"images": self.data.counts["validation"] if limit is None else limit},
        )

    def draws(self, row: RowSpec, fit: Step, count: int, seed: int) -> Step:
        """Measure the average KLD over many draws of noise on the validation images; none of them is kept."""
        one = self.sample(fit, "validation", seed, row.noise.sampling if row.noise else {})
        return Step(
            "draws",
            f"measure {count} draws of noise by {fit.label.removeprefix('train ')}",
            {**one.params, "kind": "noise", "metrics": [f"akld[draws={count}]"], "draws": count, "split": "validation"},
            seed,
            {"model": fit},
            (*one.sources, "benchmarks.running.draws", "benchmarks.metrics", "benchmarks.metrics.distribution"),
            cost={"images": count * one.cost["images"]},
        )

    def _data(self) -> dict[str, str]:
        return {"data": self.data.name, "origin": self.data.origin, "fingerprint": self.data.fingerprint}

    def _released(self, step: Step) -> Step:
        digest = self.released.get(step.identity, "")
        return replace(step, released=digest, label=step.label.replace("train ", "released ", 1)) if digest else step


def iterations(settings: Settings, started: bool = False) -> int:
    """Training steps of a system's settings over all its stages, 0 for one that is fitted in closed form.

    A training that is `started` from other weights leaves out the stage 'psnr', which only makes such weights.
    """
    return work(settings, started).get("iterations", 0)


def work(settings: Settings, started: bool = False) -> dict[str, int]:
    """What a training does, for estimates: iterations, or epochs whose length only the data tell.

    >>> from baselines.noise.neca_w.model import NeCAW
    >>> work(NeCAW.default_settings("short")), work(NeCAW.default_settings("paper"))
    ({'iterations': 1600}, {'epochs': 5000})
    """
    training = getattr(settings, "training", None)
    epochs, length = (getattr(training, name, None) for name in ("epochs", "epoch_steps"))
    if epochs is not None:
        return {"iterations": epochs * length} if length is not None else {"epochs": epochs}
    whole = getattr(training, "steps", None)
    if whole is not None and "training.steps" not in settings.flat():  # a sum over stages
        return {"iterations": int(whole)}
    found = sum(
        int(value)
        for path, value in settings.flat().items()
        if path.rpartition(".")[2] in ("iterations", "steps") and not path.startswith("network.")
        and not (started and path.startswith("psnr."))
    )
    return {"iterations": found}


def _mix_text(mix: Mix) -> str:
    words = {"pairs": mix.paired, "source": mix.source, "target": mix.target}
    return ", ".join(f"{'all' if n is None else n} {word}" for word, n in words.items() if n != 0)


def _changes_text(changes: Mapping[str, Any]) -> str:
    return "".join(f", {path.rpartition('.')[2]} {value}" for path, value in changes.items())

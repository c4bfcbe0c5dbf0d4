"""One training loop for both noise models: step, finite check, log, checkpoint, stop, resume.

Everything random about a step is a function of (seed, step), so a resumed run needs weights, optimisers and a step
number, and nothing else. On the CPU the resumed run equals the uninterrupted one bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from senm.checkpoint import load_state
from senm.config import NoiseModelSettings, PairedModelSettings, TrainSettings
from senm.data.digest import content
from senm.data.domains import Batch, Domains, DomainSampler
from senm.level import LevelNet
from senm.losses import Critic, Draws, Terms, auxiliary_scale, paired_terms, relativistic, semi_terms
from senm.model import SeNMVAE
from senm.paired import PairedVAE
from senm.support import seeding
from senm.support.errors import CheckpointError, MachineError, TrainingError
from senm.support.files import only_one
from senm.support.progress import NullProgress, Progress
from senm.support.stopping import noted_interrupts
from senm.training.compiled import arithmetic, training_pass
from senm.training.distributed import Ranks, WholeBatchNorm, whole_relativistic
from senm.training.health import COLLAPSED, MOST_SETBACKS, Health
from senm.training.perceptual import Perceptual
from senm.training.rows import layer_rows, logged_names, split
from senm.training.scales import clip_bound, kl_weight, note_norm
from senm.training.start import Start
from senm.training.states import LOG, STATE, STOPPED, States, newest, trim_log


class Training:
    """A noise model in training: the networks, their optimisers and schedules, and the step number.

    Args:
        settings: of the semi-supervised or of the fully paired model; decides which network is trained.
        domains: the data; for the fully paired model the pairs only.
        seed: of every stream of this training.
        device: a torch device.
        fabric: a launched Lightning Fabric; its processes share each batch and its device replaces `device`. Losses
            and weights are those of one process with the same batch, up to the rounding of sums.
        start: networks to begin with; None draws the weights.

    Raises:
        DataError: no data, or images smaller than a crop.
        SettingsError: more processes than crops in a batch.
    """

    def __init__(self, settings: NoiseModelSettings | PairedModelSettings, domains: Domains, *, seed: int,
                 device: str = "cpu", fabric: Any = None, start: Start | None = None) -> None:
        self.ranks = Ranks(fabric)
        self.health = Health()
        if settings.loss.kl_weight == "noise":
            self.health.kl_weight = kl_weight(settings, domains.paired)
            settings = settings.but(loss={"kl_weight": self.health.kl_weight})
        self.settings, self.seed = settings, seed
        self.device = torch.device(device) if fabric is None else fabric.device
        t, s = settings.train, settings.loss
        self.ranks.check(t.batch)
        if isinstance(settings, PairedModelSettings):
            domains = Domains(paired=domains.paired)
        self.content = content(domains.paired, domains.source, domains.target)
        self.sampler = DomainSampler(domains, t.batch, t.crop, seeding.seed("crops", seed), weights=t.domain_weights)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("init", seed))
            if isinstance(settings, NoiseModelSettings):
                self.model: SeNMVAE | PairedVAE = SeNMVAE(settings.network)
            else:
                self.model = PairedVAE(settings.network)
            self.level_net = LevelNet(s.level_filters)
            self.critic = Critic(s.critic_filters, WholeBatchNorm if self.ranks.several else nn.BatchNorm2d)
        self.started = start.digest if start is not None else ""
        if start is not None:
            start.fits(settings)
            start.give(self.model, self.level_net)
        for network in (self.model, self.level_net, self.critic):
            network.to(self.device)
        self.perceptual = Perceptual(s.lpips_range == "minus_one_one").to(self.device) if s.lpips_weight else None
        self.optimiser = torch.optim.Adam([*self.model.parameters(), *self.level_net.parameters()], lr=t.lr, fused=True)
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), lr=t.lr, fused=True)
        self.step = 0
        self.forward: Callable[..., Any] = training_pass(self.model) if t.compile else self.model

    def draws(self, batch: Batch, step: int) -> Draws:
        """Coins and normal draws of a step, on the device, from the stream of (seed, step)."""
        g = seeding.generator("draws", self.seed, step, device=self.device)
        crop, p = self.settings.train.crop, batch.paired

        def coin() -> Tensor:
            return torch.rand(p, generator=g, device=self.device) < 0.5

        if isinstance(self.model, PairedVAE):
            return Draws((coin(), coin()), {}, self.model.draw_noise(p, crop, crop, g))
        coins = (coin(), coin())
        if self.settings.loss.paired_latent == "crossed":
            coins = (torch.zeros_like(coins[0]), torch.ones_like(coins[1]))
        noise_x = self.model.draw_noise(p + batch.source, crop, crop, g, ("z",))
        noise_y = self.model.draw_noise(p + batch.target, crop, crop, g)
        return Draws(coins, noise_x, noise_y)

    def terms(self, batch: Batch, draws: Draws, step: int, counts: dict[str, int]) -> Terms:
        """All terms of the generator's objective on a batch or a part of one."""
        s = self.settings.loss
        if isinstance(self.settings, PairedModelSettings):
            assert isinstance(self.model, PairedVAE)
            terms = paired_terms(self.model, batch, draws, step, self.settings, counts["paired"])
        else:
            assert isinstance(self.model, SeNMVAE)
            terms = semi_terms(self.model, self.level_net, batch, draws, step, s, counts, self.forward)
        rows = counts["paired"] + counts["target"]
        if terms.fake is None and rows and self.ranks.several:
            terms.real, terms.fake = batch.y, torch.zeros_like(batch.y).requires_grad_()
        if terms.fake is not None and terms.real is not None:
            scale, share = auxiliary_scale(s, terms.fake), len(terms.fake) / rows
            if self.perceptual is not None and share:
                distance = self.perceptual(terms.fake, terms.real).mean()
                terms.add("lpips", share * scale * s.lpips_weight, distance)
            if s.gan_weight:
                real = self.critic(terms.real).detach()
                part = 1.0 if self.ranks.several else share
                terms.add("gan", part * scale * s.gan_weight, self.opposed(self.critic(terms.fake), real, rows))
        return terms

    def opposed(self, higher: Tensor, lower: Tensor, rows: int) -> Tensor:
        """The relativistic loss, or this process's part of it over the `rows` rows of all."""
        return whole_relativistic(higher, lower, rows) if self.ranks.several else relativistic(higher, lower)

    def precision(self) -> Any:
        """The autocast context of the settings' precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.train.precision == "bf16")

    def run_step(self) -> dict[str, float]:
        """One step of generator, level network and critic; returns the logged values.

        Raises:
            TrainingError: too many steps in a row were skipped; names the first non-finite term.
        """
        with arithmetic(self.device, self.settings.train.precision):
            return self.whole_step()

    def whole_step(self) -> dict[str, float]:
        """`run_step` in the arithmetic that is set."""
        t = self.settings.train
        batch = self.sampler.batch(self.step).to(self.device)
        draws = self.draws(batch, self.step)  # of the whole batch, so that a row's draws do not depend on its process
        counts = {"paired": batch.paired, "source": batch.source, "target": batch.target}
        for optimiser in (self.optimiser, self.critic_optimiser):
            optimiser.param_groups[0]["lr"] = learning_rate(t, self.step) * 0.5 ** self.health.setbacks
        self.critic.requires_grad_(False)
        self.optimiser.zero_grad(set_to_none=True)
        logged, pairs_of_y = self.backward(*self.ranks.share(batch, draws), counts)
        generator = (p for group in self.optimiser.param_groups for p in group["params"])
        logged = self.ranks.gather(generator, logged, logged_names(self.model.settings.layers))
        self.critic.requires_grad_(True)
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), clip_bound(t, self.health)))
        limit = t.skip_norm if t.skip_norm is not None else math.inf
        if math.isfinite(norm) and norm < limit:
            self.optimiser.step()
            self.health.skipped_in_a_row = 0
            note_norm(t, self.health, norm)
        else:
            self.skip(logged, norm)
        if self.settings.loss.gan_weight and pairs_of_y:
            logged["critic"] = self.critic_step(pairs_of_y, counts["paired"] + counts["target"])
        self.step += 1
        return logged | {"grad_norm": norm}

    def backward(self, batch: Batch, draws: Draws, counts: dict[str, int]) -> tuple[dict[str, float], list[Any]]:
        """Gradients of the whole batch, in as many parts as memory asks for; CUDA out of memory doubles the parts."""
        while True:
            try:
                sums: dict[str, Tensor] = {}
                pairs_of_y = []
                parts = 1 if self.ranks.several else self.health.micro_batches
                for part, part_draws in split(batch, draws, parts):
                    with self.precision():
                        terms = self.terms(part, part_draws, self.step, counts)
                    if terms.values:
                        terms.total.backward()
                    for name, value in terms.values.items():
                        sums[name] = sums.get(name, 0.0) + value.detach()
                    for name, layers in terms.layers.items():
                        share = layer_rows(name, vars(part)) / layer_rows(name, counts)
                        for i, value in enumerate(layers):
                            sums[f"{name}/layer{i}"] = sums.get(f"{name}/layer{i}", 0.0) + share * value
                    if terms.fake is not None:
                        pairs_of_y.append((terms.real, terms.fake.detach()))
                names = list(sums)
                values = torch.stack([sums[n].float() for n in names]).tolist() if names else []
                return dict(zip(names, values, strict=True)), pairs_of_y
            except torch.cuda.OutOfMemoryError as error:
                if self.ranks.several or self.health.micro_batches >= len(batch):
                    raise MachineError(f"CUDA memory does not hold the {len(batch)} crops of one process",
                                       "room for its share of a batch",
                                       "use more devices, or lower train.crop") from error
                self.forward = self.model  # graphs keep memory, and gradients that a second part would overwrite
                self.health.micro_batches = min(2 * self.health.micro_batches, len(batch))
                self.optimiser.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()

    def critic_step(self, pairs_of_y: list[tuple[Tensor, Tensor]], rows: int) -> float:
        """One step of the critic on real noisy images and their reconstructions, `rows` in all processes."""
        self.critic_optimiser.zero_grad(set_to_none=True)
        with self.precision():
            losses = [self.opposed(self.critic(real), self.critic(fake), rows) for real, fake in pairs_of_y]
        loss = torch.stack(losses).mean()
        whole = self.ranks.sum(loss)
        if torch.isfinite(whole):
            loss.backward()
            self.ranks.gather(self.critic.parameters())
            self.critic_optimiser.step()
        return float(whole)

    def skip(self, logged: dict[str, float], norm: float) -> None:
        """Count a skipped step; stop after too many in a row, naming the term that went non-finite."""
        self.health.skipped += 1
        self.health.skipped_in_a_row += 1
        bad = next((name for name, value in logged.items() if not math.isfinite(value)), "")
        if bad:
            self.health.nonfinite = [*self.health.nonfinite[-19:], f"{bad} at step {self.step}"]
        if self.health.skipped_in_a_row >= self.settings.train.max_skipped:
            why = f"term {bad!r} is not finite" if bad else f"the gradient norm is {norm:.3g}"
            raise TrainingError(
                f"{self.health.skipped_in_a_row} steps in a row were skipped up to step {self.step}: {why}",
                "finite terms and a gradient norm below the limit", "lower train.lr, or raise train.skip_norm",
            )

    def parts(self) -> dict[str, Any]:
        """Everything that has a state dict, by name."""
        return {"model": self.model, "level_net": self.level_net, "critic": self.critic,
                "optimiser": self.optimiser, "critic_optimiser": self.critic_optimiser}

    def state(self) -> dict[str, Any]:
        """The whole state, for `save_state`."""
        saved = {name: part.state_dict() for name, part in self.parts().items()}
        return saved | {"identity": self.identity, "step": self.step, "health": dict(vars(self.health))}

    @cached_property
    def identity(self) -> str:
        """Hash of what decides the weights after a given step: settings, seed and data."""
        deciding = self.settings.model_dump(mode="json")
        del deciding["sampling"]
        for name in ("iterations", "log_every"):
            del deciding["train"][name]
        given = [self.started] if self.started else []
        return hashlib.sha256(json.dumps([deciding, self.seed, self.content, *given]).encode()).hexdigest()

    def load(self, state: dict[str, Any], source: Path | str = "the saved state") -> None:
        """Take over a saved state; it may be of a shorter training, which is then continued.

        Raises:
            CheckpointError: it belongs to other settings, another seed or other data, or to a longer training.
        """
        mend = f"choose another folder, or remove {source} to train anew"
        if state.get("identity") != self.identity:
            raise CheckpointError(f"{source} belongs to another training (settings, seed or data differ)",
                                  "the state of this training", mend)
        if int(state["step"]) > self.settings.train.iterations:
            raise CheckpointError(f"{source} is at step {state['step']}",
                                  f"at most {self.settings.train.iterations}, the iterations asked for", mend)
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.step, self.health = int(state["step"]), Health(**state["health"])
        if self.health.micro_batches > 1:
            self.forward = self.model  # see `backward`

    def run(self, workdir: Path, progress: Progress | None = None, observe: Callable[[Training, dict[str, float]], None]
            | None = None) -> Training:
        """Train to the end, resuming from `workdir` where a state of this training is there.

        Of several processes the first one reads and writes files and reports; the others need no `workdir`.

        Args:
            observe: called after each logged step, for TensorBoard and the like.

        Raises:
            CheckpointError: `workdir` holds the state of another training.
            MachineError: another process trains in `workdir`, or it cannot be written.
            TrainingError: the network blew up too often, or before a state was saved.
            KeyboardInterrupt: Ctrl-C, after the step and its state; the same call goes on from there.
        """
        first = self.ranks.rank == 0
        progress = progress if progress and first else NullProgress()
        with only_one(workdir / "lock", f"training in {workdir}") if first else nullcontext():
            saved, path = self.ranks.from_first(newest(workdir) if first else None)
            if saved is not None:
                self.load(saved, path)
            if self.health.kl_weight is not None:
                progress.say(f"loss.kl_weight from the noise of the pairs: {self.health.kl_weight:.3g}")
            if first:
                trim_log(workdir / LOG, self.step)
            self.run_steps(workdir, progress, observe)
        self.ranks.wait()
        for alarm in self.health.alarms():
            progress.say(alarm)
        return self

    def run_steps(self, workdir: Path, progress: Progress, observe: Callable[[Training, dict[str, float]], None] | None
                  ) -> None:
        """The steps that are left, logged and saved by the first process."""
        first, t, states = self.ranks.rank == 0, self.settings.train, States(workdir)
        with (progress.task("training the noise model", t.iterations) as task,
              noted_interrupts(not self.ranks.several) as stop):
            task.advance(self.step)
            started = time.monotonic()
            while self.step < t.iterations:
                step = self.step
                try:
                    logged = self.run_step()
                except TrainingError as error:
                    self.go_back(workdir, error)
                    progress.say(f"{error.found}; going on from step {self.step} at half the learning rate")
                    task.advance(self.step - step)
                    continue
                task.advance(1, loss=sum(v for k, v in logged.items() if k.endswith(("rec_x", "rec_y"))))
                if first and (step % t.log_every == 0 or self.step == t.iterations):
                    line = {"step": step, "lr": self.optimiser.param_groups[0]["lr"], **logged,
                            "skipped": self.health.skipped, "seconds": round(time.monotonic() - started, 3)}
                    with (workdir / LOG).open("a") as log:
                        log.write(json.dumps(line) + "\n")
                    if observe is not None:
                        observe(self, logged)
                if self.step % t.checkpoint_every == 0 or self.step == t.iterations:
                    self.check_collapse(logged)
                    if first and (not self.health.skipped_in_a_row or self.step == t.iterations):
                        states.keep(self.state())
                if first and self.step < t.iterations and (stop.asked or states.due):
                    states.note(self.state())
                if stop.asked and self.step < t.iterations:
                    progress.say(f"stopped after step {self.step} of {t.iterations}; its state is saved")
                    raise KeyboardInterrupt

    def go_back(self, workdir: Path, error: TrainingError) -> None:
        """Take up the last saved state again, with half the learning rate from there on.

        A network that blew up skips every later step, and would so to the end.

        Raises:
            TrainingError: `error`, where there is no saved state, or it has happened too often.
        """
        first, setbacks = self.ranks.rank == 0, self.health.setbacks + 1
        saved = self.ranks.from_first(load_state(workdir / STATE) if first else None)
        if saved is None or setbacks > MOST_SETBACKS:
            raise error
        self.load(saved, workdir / STATE)
        self.health.setbacks = setbacks
        if first:
            (workdir / STOPPED).unlink(missing_ok=True)
            trim_log(workdir / LOG, self.step)

    def check_collapse(self, logged: dict[str, float]) -> None:
        """Note layers whose degradation latent carries nothing: posterior and prior agree to the last digit."""
        if self.step < self.settings.loss.anneal_steps:
            return
        found = [logged.get(f"kl_zn/layer{i}", math.inf) * each for i, each in enumerate(self.to_elements())]
        self.health.collapsed_layers = [i for i, value in enumerate(found) if value < COLLAPSED]

    def to_elements(self) -> list[float]:
        """Factors from the logged KL of zn to its mean over the elements of each layer."""
        crop = self.settings.train.crop
        areas = [h * w for h, w in self.model.latent_shapes(crop, crop)]
        if isinstance(self.model, PairedVAE):
            return [3 * crop * crop / (self.model.settings.nf // 4 * area) for area in areas]
        if self.settings.loss.reduction == "sum":
            return [1 / (self.model.settings.zn_dim * area) for area in areas]
        return [1.0] * len(areas)


def learning_rate(t: TrainSettings, step: int) -> float:
    """Adam's rate at a step counted from 0: halved from each milestone on."""
    return t.lr * 0.5 ** sum(step >= milestone for milestone in t.milestones)

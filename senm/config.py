"""Typed, frozen settings of the method and the presets: each preset shows only what differs from the one before.

Two dialects exist wherever the paper and the authors' published code disagree: `authors` (the default, since it made
the printed numbers) and `paper`. `differences()` computes the list from the settings themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from senm.support.errors import SettingsError, nearest


class Settings(BaseModel):
    """Base of all settings: frozen, unknown keys and wrong types are `SettingsError`s that name the nearest key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise SettingsError(
                f"{type(self).__name__}.{where} is {first['input']!r}", first["msg"].lower()
            ) from None

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    guess = nearest(str(key), cls.model_fields)
                    raise SettingsError(
                        f"unknown setting {key!r} of {cls.__name__}",
                        "one of " + ", ".join(cls.model_fields),
                        f"did you mean {guess!r}?" if guess else "",
                    )
        return data

    def but(self, **changes: Any) -> Self:
        """A copy with changes; a dict changes a nested group: ``s.but(train={"iterations": 10})``."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        for name, change in changes.items():
            old = values.get(name)
            values[name] = old.but(**change) if isinstance(old, Settings) and isinstance(change, dict) else change
        return type(self)(**values)

    def flat(self, prefix: str = "") -> dict[str, Any]:
        """All values by dotted path, nested groups unfolded."""
        out: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Settings):
                out |= value.flat(f"{prefix}{name}.")
            else:
                out[prefix + name] = value
        return out


def nested(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes by dotted path as nested ones, all for one `but`, so that they are judged together.

    Raises:
        SettingsError: a group and one of its settings are both given.

    >>> nested({"train.iterations": 10, "train.batch": 4, "level": "measured"})
    {'train': {'iterations': 10, 'batch': 4}, 'level': 'measured'}
    """
    found: dict[str, Any] = {}
    for path, value in changes.items():
        *groups, name = path.split(".")
        place = found
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise SettingsError(f"{group!r} is given and {path!r} too", "either of them")
        place[name] = value
    return found


LEVEL_SCALE = Field(
    1.0, gt=0, description="factor on the level where it enters the network; `to_authors` folds it into the weights",
    json_schema_extra={"source": "code and paper: 1; seen from a few thousand steps, levels of 0.02 to 0.2 are all 0"},
)


def checked_ladder(nls: tuple[int, ...]) -> None:
    """Refuse numbers of blocks that make no network, or one whose saved weights do not show its shape.

    Raises:
        SettingsError: no resolution, none at the first one, or a negative number.
    """
    if not nls or nls[0] < 1 or min(nls) < 0:
        raise SettingsError(f"network.nls is {list(nls)}", "numbers of blocks by resolution, the first at least 1")


class NetworkSettings(Settings):
    """Size of the semi-supervised network. L = nls[0] + 1 + nls[1] + ... layers."""

    nf: int = Field(64, ge=1, description="feature channels")
    zn_dim: int = Field(16, ge=1, description="channels of the degradation latent at each layer")
    nls: tuple[int, ...] = Field((2, 4), description="residual dense blocks at each resolution, shallowest first")
    growth: int = Field(32, ge=1, description="growth of a residual dense block")
    level_scale: float = LEVEL_SCALE

    @model_validator(mode="after")
    def _makes_a_network(self) -> Self:
        checked_ladder(self.nls)
        if len(self.nls) > 1 and self.nf % 4:
            raise SettingsError(f"network.nf is {self.nf}", "a multiple of 4, as a pixel-shuffle needs")
        return self

    @property
    def layers(self) -> int:
        """Number of hierarchical layers L, the down-sampling layers included."""
        return sum(self.nls) + len(self.nls) - 1


class PairedNetworkSettings(Settings):
    """Size of the fully paired network of the 100 % rows; its latent has nf // 4 channels."""

    nf: int = Field(64, ge=4, description="feature channels")
    nls: tuple[int, ...] = Field((4, 4), description="residual dense blocks at each resolution, shallowest first")
    growth: int = Field(32, ge=1, description="growth of a residual dense block")
    level_scale: float = LEVEL_SCALE

    @model_validator(mode="after")
    def _makes_a_network(self) -> Self:
        checked_ladder(self.nls)
        return self

    @property
    def layers(self) -> int:
        """Number of hierarchical layers, the resolution changes included."""
        return sum(self.nls) + len(self.nls) - 1


class LossSettings(Settings):
    """The objective. Every field on which the paper and the authors' code differ names both sides in its source."""

    reduction: Literal["mean", "sum"] = Field(
        "mean", description="per-element means, or sums over an image as a log-likelihood has",
        json_schema_extra={"source": "code: means; paper eq. 11: log-likelihoods and KL divergences, i.e. sums"},
    )
    p1: float = Field(
        1.0, description="weight of the terms along q(z given x)",
        json_schema_extra={"source": "code: absent; paper eq. 5: 0.5"},
    )
    p2: float = Field(
        1.0, description="weight of the terms along q(z given y)",
        json_schema_extra={"source": "code: absent; paper eq. 5: 0.5"},
    )
    paired_latent: Literal["mixture", "crossed"] = Field(
        "mixture", description="latent of a paired sample: a fair coin a sample and pass, or y from x and x from y",
        json_schema_extra={"source": "code: one coin a sample and pass; paper eq. 11: y from q(z|x), x from q(z|y)"},
    )
    kl_z_passes: Literal["both", "from_y"] = Field(
        "both", description="along which decoding passes KL(q(z given y) to q(z given x)) is summed",
        json_schema_extra={"source": "code: clean and noisy pass; paper eq. 11 and 13: the pass of z ~ q(z|y)"},
    )
    average_over: Literal["samples", "domains"] = Field(
        "samples", description="a term is averaged over all samples that have it, or by domain and then summed",
        json_schema_extra={"source": "code: one mean over the batch; paper eq. 10: Loss_p + Loss_s + Loss_t"},
    )
    lam: float = Field(1e-7, ge=0, description="lambda, the weight of KL_z beside KL_zn (figure 7)")
    kl_weight: Annotated[float, Field(ge=0)] | Literal["noise"] = Field(
        1e-2, description="weight of the whole KL part; noise: the one at which 1 % of the pairs' noise is not coded",
        json_schema_extra={"source": "code: 1e-2; paper eq. 9: none, i.e. 1"},
    )
    anneal_steps: int = Field(10_000, ge=0, description="linear KL annealing over this many steps")
    anneal: Literal["all", "kl_zn"] = Field(
        "all", description="which KL terms are annealed",
        json_schema_extra={"source": "code: both; paper 4.2: KL(q(zn|y,z) to p(zn|z)) only"},
    )
    reconstruct_x: bool = Field(True, description="reconstruct the clean image (table 6 switches it off)")
    lpips_weight: float = Field(
        1e-2, ge=0, description="LPIPS (AlexNet) of the reconstructed noisy image",
        json_schema_extra={"source": "code: 1e-2; paper 4.2 names the term and no weight"},
    )
    lpips_range: Literal["zero_one", "minus_one_one"] = Field(
        "zero_one", description="range of the images given to LPIPS",
        json_schema_extra={"source": "code: [0, 1]; paper: silent, the lpips package expects [-1, 1]"},
    )
    gan_weight: float = Field(
        0.1, ge=0, description="relativistic average GAN on the reconstructed noisy image",
        json_schema_extra={"source": "code: 0.1; paper 4.2 names the term and no weight"},
    )
    critic_filters: int = Field(64, ge=1, description="base filters of the PatchGAN critic")
    level_filters: int = Field(64, ge=1, description="base filters of the level network")
    level_weight: float = Field(
        1.0, ge=0, description="L1 loss of the level network",
        json_schema_extra={"source": "code: 1; paper 3.2 names the network and no loss"},
    )


class TrainSettings(Settings):
    """Optimiser, schedule and budget of a noise model."""

    iterations: int = Field(300_000, ge=1)
    batch: int = Field(8, ge=1, description="crops a step")
    crop: int = Field(64, ge=8, description="side of a training crop in pixels")
    lr: float = Field(1e-4, gt=0, description="Adam learning rate of generator, level network and critic")
    milestones: tuple[int, ...] = Field((150_000, 225_000, 270_000, 285_000), description="steps that halve the rate")
    domain_weights: tuple[float, float, float] = Field((1.0, 1.0, 1.0), description="paired, source, target")
    clip_norm: float | Literal["running"] | None = Field(
        200.0, description="gradient norm of the generator is clipped here; running: at 4 times its running mean",
        json_schema_extra={"source": "code: 200; paper: none"},
    )
    skip_norm: float | None = Field(
        150.0, description="steps whose gradient norm reaches this are skipped",
        json_schema_extra={"source": "code: 150; paper: none"},
    )
    max_skipped: int = Field(100, ge=1, description="consecutive skipped steps that stop the run")
    precision: Literal["float32", "tf32", "bf16"] = "float32"
    compile: bool = Field(False, description="torch.compile the training pass")
    log_every: int = Field(100, ge=1)
    checkpoint_every: int = Field(5_000, ge=1)


LEVEL_SIDE, CRITIC_SIDE, ALEXNET_SIDE = 16, 24, 31
"""Sides in pixels below which a convolution or pooling of the level network, critic or LPIPS has nothing left."""


def checked_crop(crop: int, resolutions: int, loss: LossSettings, level_net: bool) -> None:
    """Refuse a training crop on which a network that the settings switch on cannot be computed.

    Raises:
        SettingsError: a crop too small for one of them, or no multiple of the noise model's stride.
    """
    stride = 2 ** (resolutions - 1)
    if crop % stride:
        raise SettingsError(f"train.crop is {crop}", f"a multiple of {stride}, as network.nls halves it "
                            f"{resolutions - 1} times", f"set train.crop to {-(-crop // stride) * stride}")
    for needed, side, whose, mend in (
        (level_net, LEVEL_SIDE, "the level network", ""),
        (loss.gan_weight > 0, CRITIC_SIDE, "the critic", ", or loss.gan_weight to 0"),
        (loss.lpips_weight > 0, ALEXNET_SIDE, "LPIPS", ", or loss.lpips_weight to 0"),
    ):
        if needed and crop < side:
            raise SettingsError(f"train.crop is {crop}", f"at least {side} pixels for {whose}",
                                f"set train.crop to {-(-side // stride) * stride}{mend}")


class SamplingSettings(Settings):
    """What is done beyond the paper so that generated noise is as strong and as structured as the real one."""

    prior: Literal["standard", "fitted"] = Field(
        "standard", description="draws of zn: white, or coloured as the aggregate posterior of the training pairs",
        json_schema_extra={"source": "code and paper: white; fitted after training (ex-post density estimation)"},
    )
    level_curve: Literal["none", "calibrated"] = Field(
        "none", description="the level fed for a level asked for, fitted on the training pairs after training",
        json_schema_extra={"source": "code and paper: the level asked for"},
    )
    output: Literal["direct", "difference"] = Field(
        "direct", description="the noisy pass, or x + noisy pass - clean pass with the draws of one z",
        json_schema_extra={"source": "code and paper: the noisy pass, so that errors of reconstruction become noise"},
    )


class NoiseModelSettings(Settings):
    """Everything that defines a trained SeNM-VAE."""

    network: NetworkSettings = NetworkSettings()
    loss: LossSettings = LossSettings()
    train: TrainSettings = TrainSettings()
    level: Literal["sidd_line", "measured", "predicted"] = Field(
        "sidd_line", description="where a level comes from when generating; measured: on pairs, own or training's",
        json_schema_extra={"source": "code: log-linear shot/read line of SIDD; paper 3.2: 'the specified level'"},
    )
    normalize: bool = Field(False, description="shift generated images so that each channel keeps the clean mean")
    sampling: SamplingSettings = SamplingSettings()

    @model_validator(mode="after")
    def _can_be_trained(self) -> Self:
        checked_crop(self.train.crop, len(self.network.nls), self.loss, level_net=True)
        return self


class PairedModelSettings(Settings):
    """Everything that defines a trained fully paired network (100 % rows, table 3)."""

    network: PairedNetworkSettings = PairedNetworkSettings()
    loss: LossSettings = LossSettings(kl_weight=1e-4, gan_weight=1e-2)
    train: TrainSettings = TrainSettings(batch=16)
    level: Literal["sidd_line", "measured"] = Field(
        "measured", description="where a level comes from when generating; measured: on pairs, own or training's",
        json_schema_extra={"source": "code: an array measured per training image; paper: silent"},
    )
    normalize: bool = False
    sampling: SamplingSettings = SamplingSettings()

    @model_validator(mode="after")
    def _can_be_trained(self) -> Self:
        if self.sampling.output == "difference":
            raise SettingsError("sampling.output is 'difference'", "'direct': this network has no clean pass")
        checked_crop(self.train.crop, len(self.network.nls), self.loss, level_net=False)
        return self


AUTHORS = NoiseModelSettings()
PAPER = AUTHORS.but(
    loss=dict(
        reduction="sum", p1=0.5, p2=0.5, paired_latent="crossed", kl_z_passes="from_y", average_over="domains",
        kl_weight=1.0, anneal="kl_zn", lpips_range="minus_one_one",
    ),
    train=dict(clip_norm=None, skip_norm=None),
)
SHORT = AUTHORS.but(
    network=dict(nf=16, zn_dim=8, nls=(1, 1), growth=16, level_scale=16.0),
    loss=dict(paired_latent="crossed", kl_z_passes="from_y", kl_weight=1e-3, anneal_steps=500, lpips_weight=0.0,
              gan_weight=0.0, critic_filters=16, level_filters=16),
    train=dict(iterations=7_000, lr=8e-4, crop=32, milestones=(4_500, 5_500, 6_200, 6_600, 6_850),
               domain_weights=(2.0, 1.0, 0.5), checkpoint_every=250, log_every=50),
    level="measured",
    normalize=True,
    sampling=dict(prior="fitted", level_curve="calibrated", output="difference"),
)
SMOKE = SHORT.but(  # every term of the objective is on: this scale is for tests and gates
    network=dict(nf=8, zn_dim=4, nls=(1, 1), growth=8, level_scale=1.0),
    loss=dict(paired_latent="mixture", kl_z_passes="both", kl_weight=1e-2, anneal_steps=10, gan_weight=0.02,
              critic_filters=8, level_filters=8),
    train=dict(iterations=24, batch=6, lr=6e-4, crop=32, milestones=(12, 18, 21, 23), domain_weights=(1.0, 1.0, 1.0),
               checkpoint_every=8, log_every=4),
)

PAIRED = PairedModelSettings()
PAIRED_SHORT = PAIRED.but(
    network=dict(nf=16, nls=(1, 1), growth=16, level_scale=16.0),
    loss=dict(anneal_steps=500, lpips_weight=0.0, gan_weight=0.0, critic_filters=16, level_filters=16),
    train=dict(iterations=8_000, lr=8e-4, crop=32, batch=8, milestones=(5_000, 6_200, 7_000, 7_500, 7_800),
               checkpoint_every=250, log_every=50),
    normalize=True,
    sampling=dict(prior="fitted", level_curve="calibrated"),
)
PAIRED_SMOKE = PAIRED_SHORT.but(
    network=dict(nf=8, nls=(1, 1), growth=8, level_scale=1.0),
    loss=dict(anneal_steps=10, gan_weight=1e-2, critic_filters=8, level_filters=8),
    train=dict(iterations=24, batch=6, lr=6e-4, crop=32, milestones=(12, 18, 21, 23), checkpoint_every=8, log_every=4),
)

PRESETS: dict[str, NoiseModelSettings] = {"authors": AUTHORS, "paper": PAPER, "short": SHORT, "smoke": SMOKE}
PAIRED_PRESETS: dict[str, PairedModelSettings] = {
    "authors": PAIRED, "short": PAIRED_SHORT, "smoke": PAIRED_SMOKE,
}


def preset(name: str) -> NoiseModelSettings:
    """The semi-supervised settings of that name.

    Raises:
        SettingsError: unknown name; the nearest is suggested.
    """
    if name not in PRESETS:
        guess = nearest(name, PRESETS)
        raise SettingsError(f"unknown preset {name!r}", "one of " + ", ".join(PRESETS),
                            f"did you mean {guess!r}?" if guess else "")
    return PRESETS[name]


def of_length(settings: NoiseModelSettings | PairedModelSettings, iterations: int
              ) -> NoiseModelSettings | PairedModelSettings:
    """The settings with another number of steps, and milestones and annealing at the same shares of it.

    >>> of_length(SHORT, 700).train.milestones
    (450, 550, 620, 660, 685)
    """
    share = iterations / settings.train.iterations
    milestones = tuple(max(1, round(step * share)) for step in settings.train.milestones)
    anneal = round(settings.loss.anneal_steps * share)
    return settings.but(train={"iterations": iterations, "milestones": milestones}, loss={"anneal_steps": anneal})


def source_of(settings: Settings, path: str) -> str:
    """Where the value at a dotted path comes from, as its field says; empty where it says nothing."""
    *groups, name = path.split(".")
    for group in groups:
        settings = getattr(settings, group)
    extra = type(settings).model_fields[name].json_schema_extra
    return str(extra.get("source", "")) if isinstance(extra, dict) else ""


def differences(first: str = "paper", second: str = "authors") -> list[dict[str, Any]]:
    """Every setting on which two presets differ: ``[{"setting", first, second, "source"}, ...]``."""
    a, b = preset(first).flat(), preset(second).flat()
    return [
        {"setting": path, first: a[path], second: b[path], "source": source_of(preset(first), path)}
        for path in a
        if a[path] != b[path]
    ]

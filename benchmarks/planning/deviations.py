"""What a run does differently from the paper, computed from the settings of its steps and from its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.core.systems import get
from benchmarks.metrics import METRICS

if TYPE_CHECKING:
    from benchmarks.core.scale import Scale
    from benchmarks.core.step import Step
    from benchmarks.planning.plan import TablePlan

BOOKKEEPING = ("log_every", "checkpoint_every", "compile", "max_skipped")  # these move no number


def deviations(plan: TablePlan, scale: Scale, metrics: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Sentences, each naming a setting, our value, the paper's and the reason where one is known.

    Args:
        plan: the table as planned.
        scale: its scale.
        metrics: column id -> metric used in place of the column's own.
    """
    found: list[str] = []
    if plan.data.name != plan.spec.paper_data:
        found.append(f"data: {plan.data.name} instead of {plan.spec.paper_data}")
    found += plan.data.notes
    if scale.train_images is not None:
        found.append(f"restorers see synthetic noise on at most {scale.train_images} clean images")
    if scale.validation_images is not None:
        found.append(f"measured on the first {scale.validation_images} validation images")
    for column, metric in (metrics or {}).items():
        asked = not METRICS["fid"].missing()
        why = "it was asked for" if asked else "the published network of the paper's metric is not at hand"
        found.append(f"column {column}: {metric}, because {why}")
    found += _starts(plan)
    for system, steps in _by_system(plan.steps()).items():
        found += _of_system(system, steps, plan)
    return tuple(dict.fromkeys(found))


def _starts(plan: TablePlan) -> list[str]:
    """Which trainings go on from published weights: what is measured then is not all trained here."""
    started = [(planned, planned.start) for planned in plan.rows]
    return [
        f"{planned.row.label}: its restorer goes on from {start.label.removeprefix('train ')}"
        f" (sha256 {start.params['sha256'][:12]})"
        for planned, start in started
        if start is not None
    ]


def _by_system(steps: list[Step]) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for step in steps:
        if step.kind in ("fit", "fit-restorer"):
            found.setdefault(str(step.params["system"]), []).append(step)
    return found


def _of_system(system: str, steps: list[Step], plan: TablePlan) -> list[str]:
    """Differences between the settings used and the paper's, and settings that are guesses wherever they are used.

    A setting that a row changes on purpose (an ablation) is no deviation: only what all rows share is reported. Sizes
    and lengths come in one sentence, points where the paper and the authors' code disagree in one each.
    """
    from baselines.base import guesses

    kind = get(system)
    used = [type(kind.default_settings("paper")).model_validate(step.params["settings"]) for step in steps]
    sizes, found = [], []
    started = all("start" in step.inputs or _stage(step, "psnr") == 0 for step in steps)  # no start is made then
    for path, theirs in paper_settings(system).flat().items():
        ours = [settings.flat()[path] for settings in used]
        if started and path.startswith("psnr."):
            continue
        if path.rpartition(".")[2] in BOOKKEEPING or theirs in ours or len({repr(v) for v in ours}) > 1:
            continue
        why = _why(used[0], path)
        text = f"{path} {_word(ours[0])} instead of {_word(theirs)}"
        if why:
            found.append(f"{system}: {text} ({why})")
        else:
            sizes.append(text)
    reasons: dict[str, list[str]] = {}
    for settings in used:
        for path, why in guesses(settings).items():
            if started and path.startswith("psnr."):
                continue
            entry = f"{path} {_word(used[0].flat()[path])}"
            if entry not in reasons.setdefault(why, []):
                reasons[why].append(entry)
    guessed = [
        f"{system}: our choice: {', '.join(paths)} ({why.removeprefix('ours: ')})" for why, paths in reasons.items()
    ]
    return [*([f"{system}: {', '.join(sizes)}"] if sizes else []), *found, *guessed]


def _stage(step: Step, name: str) -> int | None:
    steps: int | None = step.params["settings"].get(name, {}).get("steps")
    return steps


def paper_settings(system: str) -> Any:
    """The settings that the paper states for a system: the `paper` dialect of the method, the paper scale of others."""
    from senm.config import PAIRED, PAPER

    own = {"senm-vae": PAPER, "senm-paired": PAIRED}
    return own.get(system) or get(system).default_settings("paper")


def _why(settings: Any, path: str) -> str:
    from senm.config import source_of

    source = source_of(settings, path)
    return source


def _word(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return str(list(value)) if isinstance(value, tuple) else str(value)

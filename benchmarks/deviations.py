"""What a run does differently from the paper, computed from the settings of its steps and from its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.plan import TablePlan
    from benchmarks.scale import Scale
    from benchmarks.step import Step

METHOD = ("senm-vae", "senm-paired")


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
        found.append(f"column {column}: {metric}, because the published network of the paper's metric is not at hand")
    for system, steps in _by_system(plan.steps()).items():
        found += _of_system(system, steps, plan)
    return tuple(dict.fromkeys(found))


def _by_system(steps: list[Step]) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for step in steps:
        if step.kind in ("fit", "fit-restorer"):
            found.setdefault(str(step.params["system"]), []).append(step)
    return found


def _of_system(system: str, steps: list[Step], plan: TablePlan) -> list[str]:
    """Differences between the settings used and the paper's, and settings that are guesses wherever they are used.

    A setting that a row changes on purpose (an ablation) is no deviation: only what all rows share is reported.
    """
    import baselines

    kind = baselines.get(system)
    paper = paper_settings(system)
    used = [type(kind.default_settings("paper")).model_validate(step.params["settings"]) for step in steps]
    found = []
    for path, theirs in paper.flat().items():
        ours = [settings.flat()[path] for settings in used]
        if all(value != theirs for value in ours) and len({repr(v) for v in ours}) == 1:
            found.append(f"{system}: {path} {_word(ours[0])} instead of {_word(theirs)}{_why(used[0], path)}")
    guessed = {path: why for settings in used for path, why in _guesses(settings).items()}
    found += [f"{system}: {path} {_word(used[0].flat()[path])} is our guess: {why}" for path, why in guessed.items()]
    return found


def paper_settings(system: str) -> Any:
    """The settings that the paper states for a system: the `paper` dialect of the method, the paper scale of others."""
    import baselines
    from senm.config import PAIRED, PAPER

    if system == "senm-vae":
        return PAPER
    if system == "senm-paired":
        return PAIRED
    return baselines.get(system).default_settings("paper")


def _guesses(settings: Any) -> dict[str, str]:
    from baselines.base import guesses

    return guesses(settings)


def _why(settings: Any, path: str) -> str:
    from senm.config import source_of

    source = source_of(settings, path)
    return f" ({source})" if source else ""


def _word(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return str(list(value)) if isinstance(value, tuple) else str(value)

"""What went on in a training, counted and not hidden."""

from __future__ import annotations

from dataclasses import dataclass, field

COLLAPSED = 1e-5
"""KL an element below which a layer's degradation latent carries nothing."""
MOST_SETBACKS = 3
"""How often a training that blew up is taken up again from its last saved state, each time at half the rate."""


@dataclass
class Health:
    """Counts of a training.

    Attributes:
        skipped: steps without an update, since a term or the gradient was not finite or too large.
        nonfinite: the last such terms and steps.
        micro_batches: parts that a batch was computed in for want of GPU memory.
        collapsed_layers: layers whose degradation latent carries nothing.
        setbacks: how often the training blew up and was taken up again.
        kl_weight: the weight of the KL part that was found from the noise of the pairs; None where it was given.
        typical_norm: running mean of the gradient norm, where clipping follows it.
    """

    skipped: int = 0
    skipped_in_a_row: int = 0
    nonfinite: list[str] = field(default_factory=list)
    micro_batches: int = 1
    collapsed_layers: list[int] = field(default_factory=list)
    setbacks: int = 0
    kl_weight: float | None = None
    typical_norm: float | None = None

    def alarms(self) -> list[str]:
        """What a user should know of a finished training, a sentence each."""
        found = []
        if self.collapsed_layers:
            layers = ", ".join(map(str, self.collapsed_layers))
            word = "layer" if len(self.collapsed_layers) == 1 else "layers"
            found.append(f"posterior collapse: zn of {word} {layers} carries nothing (KL below {COLLAPSED:g})")
        if self.skipped:
            why = f", last for {self.nonfinite[-1]}" if self.nonfinite else ""
            found.append(f"{self.skipped} {'step was' if self.skipped == 1 else 'steps were'} skipped{why}")
        if self.setbacks:
            times = "once" if self.setbacks == 1 else f"{self.setbacks} times"
            found.append(f"the network blew up {times} and went on from a saved state at half the learning rate")
        if self.micro_batches > 1:
            found.append(f"CUDA memory ran out: each batch was computed in {self.micro_batches} parts, its size "
                         "unchanged")
        return found

"""What the trainer trains, and what it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

from synthkit.gan.state import Tensors, Values

HELD_OUT = "held-out"
StopReason = Literal["finished", "good enough", "patience", "time budget", "interrupted"]


class Stage(Protocol):
    """One part of a fit that is trained by steps (likelihood, adversary, ...).

    Attributes
    ----------
    name
        Unique within a fit; names the stage in progress, logs and checkpoints.
    total_steps
        Length of the plan.
    evaluate_every
        Steps between two calls of `evaluate`.

    Notes
    -----
    A stage whose `evaluate` is not a held-out score, because under a privacy budget there is none, says what it is in
    an attribute ``scored_by``.
    """

    name: str
    total_steps: int
    evaluate_every: int

    def step(self, index: int) -> Mapping[str, float | Tensor] | None:
        """Take optimisation step ``index`` (0-based).

        May return its losses; tensors are read only when they are needed, so returning them costs no synchronisation.
        """

    def evaluate(self) -> float:
        """Score the current state on held-out data, higher is better, using no random numbers of the training."""

    def snapshot(self) -> Tensors:
        """Copy the weights that `evaluate` scores (the averaged ones where there are averaged ones)."""

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Make a `snapshot` the current state."""

    def state(self) -> tuple[Values, Tensors]:
        """Return everything that the next step depends on: parameters, optimiser moments, random generator states."""

    def load_state(self, values: Values, tensors: Mapping[str, Tensor]) -> None:
        """Continue exactly where `state` was taken."""

    def recover(self) -> None:
        """Halve the learning rate; called once, after a non-finite loss and with the best weights restored."""


def scored_by(stage: Stage) -> str:
    """Name of what a stage scores itself by."""
    return str(getattr(stage, "scored_by", HELD_OUT))


@dataclass(frozen=True)
class StageReport:
    """How a stage went.

    Attributes
    ----------
    steps
        Steps taken, over all processes when the fit was resumed.
    seconds
        Wall time of the stage, in seconds, over all processes.
    initial_score, best_score
        Held-out score before the first step and of the state that was kept.
    best_step
        Steps after which the kept state was reached; 0 when no step improved on the start.
    recovered
        True when a non-finite loss was met and the learning rate was halved.
    scored_by
        What the scores are.
    """

    name: str
    steps: int
    seconds: float
    initial_score: float
    best_score: float
    best_step: int
    stopped_because: StopReason
    recovered: bool = False
    scored_by: str = HELD_OUT

    @property
    def improved(self) -> bool:
        """Whether any step improved on the state before the stage."""
        return self.best_step > 0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-safe form, for the report of a model."""
        return asdict(self)

    def describe(self) -> str:
        """Say in one line for people what was reached, when, and why it stopped."""
        kept = f"kept step {self.best_step}" if self.improved else "kept the start (no step improved on it)"
        return (
            f"{self.scored_by} {self.initial_score:.4f} -> {self.best_score:.4f}, {kept}, "
            f"{self.steps} steps in {self.seconds:.1f} s, {self.stopped_because}"
        )

"""What fits of tables and of scans need around a trainer: progress, log, budget, and the seed of a fit that goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from synthkit.gan.budget import Budget
from synthkit.gan.checkpoint import Progression
from synthkit.gan.progress import JsonLinesLog, progress_for
from synthkit.gan.trainer import Trainer


@contextmanager
def trainer_for(
    settings: Mapping[str, Any],
    checkpoint: Path | None = None,
    fingerprint: Mapping[str, Any] | None = None,
    *,
    resume: bool = False,
) -> Iterator[Trainer]:
    """Give what runs the stages, with the time budget, progress and log of an estimator's settings."""
    progress = progress_for(settings["verbose"])
    budget, log_file = Budget.parse(settings["time_budget"]), settings["log"]
    with (
        JsonLinesLog(log_file) if log_file is not None else nullcontext() as log,
        Trainer(budget, checkpoint, progress, log, fingerprint=fingerprint, resume=resume) as trainer,
    ):
        yield trainer


def seed_for(random_state: int | None, resumed: Path | None) -> int | None:
    """Return the seed of a fit; a resumed one without a seed goes on with that of its checkpoint.

    With another seed other records would be held out: records that were trained on would judge the fit.
    """
    if random_state is not None or resumed is None or not resumed.exists():
        return random_state
    seed = Progression.load(resumed).fingerprint.get("seed")
    return seed if isinstance(seed, int) else None
